// @ts-check
/** The host of a session's model, in whatever thread: takes the model piece by piece, then runs it. */

import { ModelError, PlanError, TinyInferError } from "./errors.js";
import { ModelReader } from "./plan.js";
import { allocate, Runtime } from "./runtime.js";
import { Sha256 } from "./sha256.js";

/**
 * @typedef {import("./plan.js").Data} Data
 * @typedef {import("./plan.js").Model} Model
 *
 * @typedef {object} Opening
 * @property {string} source the model's name in messages
 * @property {number} [status] of the HTTP answer that it comes with
 * @property {number} threads how many will run it
 * @property {boolean} shared whether they will share its memory
 * @property {string} [sha256] the only content to accept
 *
 * @typedef {object} Kernels
 * @property {WebAssembly.Module} module over a shared memory if the model's is
 * @property {import("./features.js").Tier} tier
 * @property {string} url
 * @property {string} sha256
 * @property {number} bytes of the file
 *
 * @typedef {Pick<Model, "name" | "metadata"> & {
 *   plans: Pick<import("./plan.js").Plan, "inputs" | "outputs">[],
 *   tier: Kernels["tier"],
 *   threads: number,
 *   memory: Runtime["memory"],
 *   bytes: {model: number, kernels: number},
 * }} Created
 *
 * @typedef {{outputs: Data[], ms: number}} Ran
 */

export class Host {
  #onFailure;
  /** @type {Loader | undefined} */
  #loader;
  /** @type {Runtime | undefined} */
  #runtime;
  #ended = false;

  /** @param {(error: Error) => void} onFailure told when another thread fails, at any time */
  constructor(onFailure) {
    this.#onFailure = onFailure;
  }

  /** Begin with a model. @param {Opening} opening */
  async open(opening) {
    this.#loader = new Loader(opening);
  }

  /**
   * @param {Uint8Array<ArrayBuffer>} piece the next bytes of the model's file
   * @returns {Promise<ArrayBuffer>} its buffer, which is not needed any more
   */
  async write(piece) {
    this.#loader?.write(piece);
    return piece.buffer;
  }

  /**
   * Make the model that has been written ready to run.
   * @param {Kernels} kernels
   * @param {number} threads
   * @returns {Promise<Created>}
   */
  async create(kernels, threads) {
    if (!this.#loader) throw new TinyInferError("no model has been opened");
    const { model, memory, bytes } = await this.#loader.end();
    const { module, tier } = kernels;
    if (model.kernels[tier] !== kernels.sha256) {
      throw new PlanError(
        `${model.name} was compiled for other kernels (SHA-256 ${short(model.kernels[tier])}, ` +
          `${kernels.url} has ${short(kernels.sha256)}). Author of this page: compile it again, and upload it with ` +
          "index.js and kernels of the same version (`tinyinfer bundle`)",
        { cause: model.kernels[tier] },
      );
    }
    const instance = await WebAssembly.instantiate(module, { env: { memory } });
    if (this.#ended) throw new TinyInferError("the session has ended");
    const runtime = new Runtime(model, memory, module, instance, threads, this.#onFailure);
    this.#runtime = runtime;
    this.#loader = undefined;
    return {
      name: model.name,
      metadata: model.metadata,
      plans: model.plans.map(({ inputs, outputs }) => ({ inputs, outputs })),
      tier,
      threads: runtime.threads,
      memory: runtime.memory,
      bytes: { model: bytes, kernels: kernels.bytes },
    };
  }

  /** What threads may share of the model: its memory, if it is made for that. */
  get shared() {
    const buffer = this.#runtime?.buffer;
    return buffer instanceof ArrayBuffer ? undefined : buffer;
  }

  /**
   * Run plan `plan`.
   * @param {number} plan
   * @param {readonly Data[]} feeds in the order of the plan's inputs; none if they are in memory
   * @param {readonly string[]} names the outputs wanted, as copies
   * @param {import("./places.js").Into} [into]
   * @returns {Promise<Ran>}
   */
  async run(plan, feeds, names, into) {
    const start = performance.now();
    const outputs = this.#ready.run(plan, feeds, names, into);
    return { outputs, ms: performance.now() - start };
  }

  /** @param {number} plan @param {readonly Data[]} feeds */
  async profile(plan, feeds) {
    return this.#ready.profile(plan, feeds);
  }

  /** End all threads and let go of the memory. */
  end() {
    this.#ended = true;
    this.#runtime?.end();
    this.#runtime = this.#loader = undefined;
  }

  get #ready() {
    if (!this.#runtime) throw new TinyInferError("no model has been created");
    return this.#runtime;
  }
}

/** A model on its way into memory. */
class Loader {
  #source;
  #wanted;
  #hash;
  #reader;
  /** @type {Promise<{model: Model, memory: WebAssembly.Memory, bytes: number}> | undefined} */
  #loaded;
  /** @type {WebAssembly.Memory} */
  #memory = /** @type {any} */ (undefined);

  /** @param {Opening} opening */
  constructor({ source, status, threads, shared, sha256 }) {
    this.#source = source;
    this.#wanted = sha256;
    this.#hash = sha256 ? new Sha256() : undefined;
    const place = (/** @type {Model} */ model) => {
      this.#memory = allocate(model, threads, shared);
      return new Uint8Array(this.#memory.buffer, model.plans[0].weights, model.size);
    };
    this.#reader = new ModelReader(source, place, status);
  }

  /** @param {Uint8Array<ArrayBuffer>} piece */
  write(piece) {
    this.#hash?.update(piece);
    this.#reader.write(piece);
  }

  /** The model, its weights in memory. */
  end() {
    this.#loaded ??= this.#check();
    return this.#loaded;
  }

  async #check() {
    const model = await this.#reader.end();
    const sha256 = this.#hash?.digest();
    if (sha256 !== this.#wanted) {
      throw new ModelError(`${this.#source}: its SHA-256 is ${sha256}, expected ${this.#wanted}`);
    }
    return { model, memory: this.#memory, bytes: this.#reader.size };
  }
}

/** @param {string | undefined} hash */
const short = hash => `${`${hash}`.slice(0, 12)}…`;
