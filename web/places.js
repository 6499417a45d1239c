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
   * @returns {Data[]} copies of those outputs of plan `index`
   */
  read(index, names, into = []) {
    const { outputs } = this.#plans[index];
    return names.map((name, i) => {
      const place = /** @type {Data} */ (outputs.get(name));
      const copy = into[i];
      if (!copy) return place.slice();
      copy.set(/** @type {any} */ (place));
      return copy;
    });
  }
}
