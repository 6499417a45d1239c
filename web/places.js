// @ts-check
/** The inputs and outputs of plans where they lie in linear memory. */

import { sizeOf, TYPES } from "./plan.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan.js").Binding} Binding
 * @typedef {import("./plan.js").Data} Data
 * @typedef {readonly (Data | undefined)[]} Into arrays to copy outputs into; a new one for each that is not given
 */

/** Bytes of all new arrays from which on they are worth making ahead: less comes from memory that the browser has kept. */
const MUCH = 2 ** 20;
/** The share of linear memory that they may take. */
const SHARE = 1 / 16;

export class Places {
  #plans;
  /** Where the outputs lie that the last run has new arrays for. @type {Data[]} */
  #asked = [];
  /** Buffers for the new arrays of the next run. @type {ArrayBuffer[]} */
  #spare = [];
  #timer = 0;

  /**
   * @param {readonly Pick<Plan, "inputs" | "outputs">[]} plans
   * @param {ArrayBufferLike} memory
   */
  constructor(plans, memory) {
    const place = (/** @type {Binding} */ { type, shape, address }) =>
      new TYPES[type](/** @type {ArrayBuffer} */ (memory), address, sizeOf(shape));
    this.#plans = plans.map(({ inputs, outputs }) => ({
      inputs: inputs.map(place),
      outputs: new Map(outputs.map(binding => [binding.name, place(binding)])),
    }));
  }

  /**
   * Copy feeds to the inputs of plan `index`.
   * @param {number} index
   * @param {readonly Data[]} feeds in the order of the plan's inputs; none if they are in place
   */
  write(index, feeds) {
    const { inputs } = this.#plans[index];
    for (const [i, feed] of feeds.entries()) inputs[i].set(/** @type {any} */ (feed));
  }

  /**
   * @param {number} index
   * @param {readonly string[]} names
   * @param {Into} [into]
   * @returns {Data[]} arrays for these outputs of plan `index`: those given, and new ones
   */
  room(index, names, into = []) {
    const { outputs } = this.#plans[index];
    const places = names.map(name => /** @type {Data} */ (outputs.get(name)));
    this.#asked = places.filter((_, i) => !into[i]);
    return places.map((place, i) => into[i] ?? like(place, this.#spare));
  }

  /** Once this thread has nothing else to do, make new arrays for another run like the last one. */
  prepare() {
    const bytes = this.#asked.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.drop();
    if (bytes < MUCH || bytes > SHARE * this.#asked[0].buffer.byteLength) return;
    this.#timer = setTimeout(() => {
      const made = this.#asked.map(place => like(place, this.#spare));
      touch(made);
      this.#spare = buffersOf(made);
    });
  }

  /** Let go of what has been prepared, or is about to be. */
  drop() {
    clearTimeout(this.#timer);
    this.#spare = [];
  }

  /**
   * Copy outputs of plan `index`.
   * @param {number} index
   * @param {readonly string[]} names
   * @param {Data[]} room
   */
  read(index, names, room) {
    const { outputs } = this.#plans[index];
    for (const [i, name] of names.entries()) room[i].set(/** @type {any} */ (outputs.get(name)));
    return room;
  }
}

/**
 * @param {Data} other
 * @param {ArrayBuffer[]} spare
 * @returns {Data} a new array of the type and length of `other`; takes a spare buffer of its size, if there is one
 */
export function like(other, spare) {
  const i = spare.findIndex(({ byteLength }) => byteLength === other.byteLength);
  const buffer = i < 0 ? new ArrayBuffer(other.byteLength) : spare.splice(i, 1)[0];
  return new /** @type {any} */ (other.constructor)(buffer);
}

/** The buffers of arrays that can change their owner. @param {readonly Data[]} arrays */
export const buffersOf = arrays => [
  ...new Set(arrays.map(({ buffer }) => buffer).filter(buffer => buffer instanceof ArrayBuffer)),
];

/**
 * Write to every page of new arrays, so that the system gives their memory: it takes several times as long as a copy,
 * and can be done while others compute.
 * @param {Data[]} room
 * @param {Into} [into] those that are not new
 */
export function touch(room, into = []) {
  for (const [i, { buffer }] of room.entries()) {
    if (into[i]) continue;
    const bytes = new Uint8Array(buffer);
    for (let at = 0; at < bytes.length; at += 4096) bytes[at] = 0;
  }
}
