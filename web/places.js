// @ts-check
/** The inputs and outputs of plans where they lie in linear memory. */

import { sizeOf, TYPES } from "./plan.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan.js").Binding} Binding
 * @typedef {import("./plan.js").Data} Data
 * @typedef {readonly (Data | undefined)[]} Into arrays to copy outputs into; a new one for each that is not given
 */

export class Places {
  #plans;

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
    return names.map((name, i) => {
      const place = /** @type {Data} */ (outputs.get(name));
      return into[i] ?? new /** @type {any} */ (place.constructor)(place.length);
    });
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
