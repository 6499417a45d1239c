// @ts-check
/**
 * TinyInfer in the browser: run a model that `tinyinfer compile` made, with the bits that Python computes.
 *
 *     import { InferenceSession, Tensor } from "./index.js";
 *     const session = await InferenceSession.create("./model.tinf");
 *     const { probabilities } = await session.run({ image: new Tensor("float32", pixels, [1, 1, 28, 28]) });
 */

import { FeedError, TinyInferError } from "./errors.js";
import { canShare, chooseThreads, chooseTier, hasWorkers, requireFeatures } from "./features.js";
import { Host } from "./host.js";
import { load } from "./loading.js";
import { CREATE, checkOptions, isObject, RUN, wrong } from "./options.js";
import { sizeOf, TYPES } from "./plan.js";
import { RemoteHost, serve } from "./remote.js";
import { isOwnWorker } from "./worker.js";

export { modelCache } from "./cache.js";
export { EngineError, FeedError, ModelError, PlanError, TinyInferError } from "./errors.js";
export { features } from "./features.js";

/**
 * @typedef {import("./plan.js").DataType} DataType
 * @typedef {import("./plan.js").Data} Data
 * @typedef {import("./plan.js").Binding} Binding
 * @typedef {import("./features.js").Tier} Tier
 * @typedef {import("./host.js").Created} Created
 * @typedef {import("./runtime.js").StepTime} StepTime
 * @typedef {{name: string, isTensor: true, type: DataType, shape: readonly number[]}} ValueMetadata
 *
 * @typedef {object} CreateOptions
 * @property {boolean} [worker] whether the session gets a Worker of its own (default where one can be started), so that its
 *   runs block nobody; `false` runs it in the calling thread, which starts sooner and saves the way to a Worker and back
 * @property {(progress: import("./cache.js").Progress) => void} [onProgress] told of downloads, in bytes
 * @property {boolean | "no-cache"} [cache] keep model and kernels in the browser's cache storage; default true. What is
 *   kept is used at once, and the server asked afterwards, for the next time; "no-cache" asks it first
 * @property {string} [sha256] the model's SHA-256; a cached file with another one is fetched again
 * @property {Tier | "auto"} [tier] whose kernels: `simd128` (default) has the same bits in every browser; `relaxed`
 *   rounds each multiply-add once; `auto` is `relaxed` where the browser and the machine can, else `simd128`
 * @property {number} [threads] how many share the work; default: half of the cores, at most 4. Their number changes
 *   no bit. Without cross-origin isolation there is one
 * @property {string | URL} [wasmUrl] the kernels of the tier; default: beside this file
 * @property {AbortSignal} [signal] ends loading
 * @property {boolean} [transfer] take the model's buffer instead of copying it
 *
 * @typedef {object} RunOptions
 * @property {boolean} [transfer] the buffers of the feeds may be taken where they would have to be copied on the way
 */

/** Dense data with an element type and dimensions, row-major. */
export class Tensor {
  /** @type {DataType} */
  type;
  /** @type {Data} */
  data;
  /** @type {readonly number[]} */
  dims;

  /**
   * @param {DataType} type
   * @param {Data | ArrayLike<number> | ArrayLike<bigint> | ArrayLike<boolean>} data not copied if it is of the type's array class
   * @param {readonly number[]} [dims] default: one dimension
   */
  constructor(type, data, dims = [data?.length]) {
    if (!(data?.length >= 0)) throw wrong("'data'", "array", data);
    if (!Object.keys(TYPES).includes(type))
      throw new TypeError(
        `Unsupported tensor type: ${String(type)}. Supported: ${Object.keys(TYPES).join(", ")}.`,
      );
    const array = TYPES[type];
    if (!Array.isArray(dims)) throw wrong("'dims'", "array", dims);
    if (!dims.every(n => Number.isSafeInteger(n) && n >= 0)) throw new RangeError(`Invalid dims: [${dims}].`);
    if (ArrayBuffer.isView(data) && !(data instanceof array)) {
      throw new TypeError(`A ${type} tensor needs a ${array.name}, not a ${data.constructor.name}.`);
    }
    if (sizeOf(dims) !== data.length) {
      throw new RangeError(`Tensor's size(${sizeOf(dims)}) does not match data length(${data.length}).`);
    }
    this.type = type;
    this.dims = Object.freeze([...dims]);
    this.data = data instanceof array ? data : /** @type {any} */ (array).from(data);
  }

  /** The number of elements. */
  get size() {
    return this.data.length;
  }
}

/** A model, ready to run. Calls are answered in the order in which they are made. */
export class InferenceSession {
  #host;
  #loading = new AbortController();
  /** @type {Error | undefined} why it cannot run any more */
  #ended;
  /** @type {Created} */
  #model = /** @type {any} */ (undefined);
  /** Milliseconds that the last run took, without the way to a Worker and back. */
  runTime = 0;

  /**
   * Load a model.
   * @param {string | URL | ArrayBuffer | Uint8Array<ArrayBuffer>} model the address or the bytes of a `.tinf` file
   * @param {CreateOptions} [options]
   * @returns {Promise<InferenceSession>}
   * @throws {EngineError} the browser lacks something, or cannot run the tier
   * @throws {ModelError} a file cannot be loaded
   * @throws {PlanError} the model is damaged, of another version or made for other kernels
   */
  static async create(model, options = {}) {
    checkOptions(options, CREATE);
    const { onProgress, cache = true, sha256, tier = "simd128", wasmUrl, signal, transfer } = options;
    const { worker = hasWorkers(), threads } = options;
    signal?.throwIfAborted();
    if (wasmUrl && tier === "auto") throw new TypeError("'wasmUrl' needs a 'tier': 'simd128' or 'relaxed'");
    const chosen = chooseTier(tier);
    const used = chooseThreads(threads);
    requireFeatures(worker || used > 1);
    const source = toSource(model);
    // Bundlers understand nothing but literals where files are named.
    const own =
      chosen === "simd128"
        ? new URL("./kernels.simd128.wasm", import.meta.url)
        : new URL("./kernels.relaxed.wasm", import.meta.url);
    const kernels = absolute(wasmUrl || own);
    const shared = used > 1 || (worker && canShare());
    const session = new InferenceSession(worker);
    const abort = () => session.#end(signal?.reason);
    signal?.addEventListener("abort", abort);
    try {
      session.#model = await load(
        { model: source, transfer, sha256, tier: chosen, threads: used, shared, wasmUrl: kernels },
        { cache, onProgress, signal: session.#loading.signal },
        session.#host,
      );
      return session;
    } catch (error) {
      session.#end(/** @type {Error} */ (error));
      throw session.#ended;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** @private use `create` @param {boolean} worker */
  constructor(worker) {
    const onFailure = (/** @type {Error} */ error) => this.#end(error);
    this.#host = worker ? new RemoteHost(onFailure) : new Host(onFailure);
  }

  get inputNames() {
    return this.#model.plans[0].inputs.map(binding => binding.name);
  }

  get outputNames() {
    return this.#model.plans[0].outputs.map(binding => binding.name);
  }

  /** Of the first set of shapes, if the model was compiled for several. @returns {ValueMetadata[]} */
  get inputMetadata() {
    return this.#model.plans[0].inputs.map(describe);
  }

  /** @returns {ValueMetadata[]} */
  get outputMetadata() {
    return this.#model.plans[0].outputs.map(describe);
  }

  /** Which of the kernel modules runs. */
  get tier() {
    return this.#model.tier;
  }

  /** How many threads share the work: one if that is all it needs. */
  get threads() {
    return this.#model.threads;
  }

  /** The ONNX file's metadata_props. */
  get metadata() {
    return this.#model.metadata;
  }

  /** Bytes of the session's linear memory, which never grows: weights, tensors, everything. */
  get memory() {
    return this.#model.memory;
  }

  /** Bytes of the model's file and of the kernels. */
  get fileSizes() {
    return this.#model.bytes;
  }

  /**
   * Run the model.
   * @param {Record<string, Tensor>} feeds
   * @param {readonly string[] | Record<string, Tensor | null>} [fetches] the outputs wanted, default: all; or the tensors
   *   to put them into, which a loop may use again and again. `null` stands for a new one
   * @param {RunOptions} [options]
   * @returns {Promise<Record<string, Tensor>>}
   * @throws {FeedError} naming the feed or fetch that does not fit, and what would
   */
  async run(feeds, fetches = this.outputNames, options = {}) {
    checkOptions(options, RUN);
    const plan = this.#choose(feeds);
    if (!isObject(fetches) || !Object.keys(fetches).length)
      throw wrong("'fetches'", `names of outputs (${this.outputNames}), or Tensors by such names`, fetches);
    /** @type {Record<string, Tensor | null>} */
    const given = Array.isArray(fetches) ? Object.fromEntries(fetches.map(name => [name, null])) : fetches;
    const names = Object.keys(given);
    const bindings = names.map(name => this.#output(plan, name, given[name]));
    const into = names.map(name => given[name]?.data);
    const arrays = this.#arrays(plan, feeds);
    const { outputs, ms } = await this.#host.run(plan, arrays, names, into, options.transfer ?? false);
    this.runTime = ms;
    const tensors = bindings.map(({ name, type, shape }, i) => [
      name,
      given[name] ?? new Tensor(type, outputs[i], shape),
    ]);
    return Object.fromEntries(tensors);
  }

  /**
   * Run the model and time every step.
   * @param {Record<string, Tensor>} feeds
   * @returns {Promise<StepTime[]>}
   */
  async profile(feeds) {
    const plan = this.#choose(feeds);
    return this.#host.profile(plan, this.#arrays(plan, feeds));
  }

  /** End its threads and give its memory back. Runs that have not ended are rejected, as are later ones. */
  async release() {
    this.#end(new TinyInferError("the session has been released"));
  }

  /**
   * The plan made for the shapes of `feeds`; FeedError if there is none.
   * @param {Record<string, Tensor>} feeds
   */
  #choose(feeds) {
    if (this.#ended) throw this.#ended;
    const plans = this.#model.plans;
    if (!isObject(feeds) || Array.isArray(feeds) || feeds instanceof Tensor)
      throw wrong("'feeds'", `Tensors by the names of inputs (${list(plans[0].inputs)})`, feeds);
    checkFeeds(feeds, plans);
    const plan = plans.findIndex(({ inputs }) =>
      inputs.every(({ name, shape }) => same(feeds[name].dims, shape)),
    );
    if (plan >= 0) return plan;
    const sets = plans.map(({ inputs }) => list(inputs)).join(" or ");
    throw new FeedError(`these shapes of inputs do not go together. Expected: ${sets}.`);
  }

  /** @param {number} plan @param {string} name @param {Tensor | null} tensor to put it into */
  #output(plan, name, tensor) {
    const { outputs } = this.#model.plans[plan];
    const binding = outputs.find(b => b.name === name);
    if (!binding) {
      throw new FeedError(
        `'fetches' contains invalid output name: ${name}. The model's outputs are ${list(outputs)}.`,
      );
    }
    if (tensor !== null) check(`output '${name}'`, tensor, binding.type, [binding.shape]);
    return binding;
  }

  /** @param {number} plan @param {Record<string, Tensor>} feeds */
  #arrays(plan, feeds) {
    return this.#model.plans[plan].inputs.map(({ name }) => feeds[name].data);
  }

  /** @param {Error} reason */
  #end(reason) {
    if (this.#ended) return;
    this.#ended = reason;
    this.#loading.abort();
    this.#host.end(reason);
  }
}

/** @param {Parameters<typeof InferenceSession.create>[0]} model */
function toSource(model) {
  if (typeof model === "string" || model instanceof URL) return absolute(model);
  if (model instanceof ArrayBuffer) return new Uint8Array(model);
  if (ArrayBuffer.isView(model)) return new Uint8Array(model.buffer, model.byteOffset, model.byteLength);
  throw wrong("a model", "a URL, an ArrayBuffer or a Uint8Array", model);
}

/** @param {string | URL} url */
function absolute(url) {
  try {
    return new URL(url, globalThis.document?.baseURI ?? location.href).href;
  } catch {
    throw new TypeError(`'${url}' is not a URL`);
  }
}

/** @param {Binding} binding @returns {ValueMetadata} */
const describe = ({ name, type, shape }) => ({ name, isTensor: true, type, shape });

/** @param {readonly number[]} a @param {readonly number[]} b */
const same = (a, b) => a.length === b.length && a.every((n, i) => n === b[i]);

/** @param {Binding[]} bindings */
const list = bindings => bindings.map(({ name, type, shape }) => `${name}: ${type}[${shape}]`).join(", ");

/**
 * @param {Record<string, Tensor>} feeds
 * @param {Created["plans"]} plans
 * @throws {FeedError}
 */
function checkFeeds(feeds, plans) {
  const { inputs } = plans[0];
  for (const name in feeds) {
    if (!inputs.some(binding => binding.name === name)) {
      throw new FeedError(`invalid input '${name}'. The model's inputs are ${list(inputs)}.`);
    }
  }
  for (const [i, { name, type }] of inputs.entries()) {
    const shapes = plans.map(plan => plan.inputs[i].shape);
    check(`input '${name}'`, feeds[name], type, shapes, "is missing in 'feeds'");
  }
}

/**
 * @param {string} what
 * @param {Tensor | undefined} tensor
 * @param {DataType} type
 * @param {(readonly number[])[]} shapes that it may have
 * @param {string} [missing] what to say where there is nothing
 * @throws {FeedError}
 */
function check(what, tensor, type, shapes, missing = "is not a Tensor") {
  const problem = () => {
    if (tensor === undefined) return missing;
    if (!tensor?.type) return "is not a Tensor";
    if (tensor.type !== type || !(tensor.data instanceof TYPES[type])) return `has type ${tensor.type}`;
    if (!shapes.some(shape => same(tensor.dims, shape))) return `has shape [${tensor.dims}]`;
    return tensor.data.length === sizeOf(tensor.dims) ? "" : "has no data any more";
  };
  const found = problem();
  const expected = () => [...new Set(shapes.map(shape => `${type}[${shape}]`))].join(" or ");
  if (found) throw new FeedError(`${what} ${found}. Expected: ${expected()}.`);
}

if (isOwnWorker()) serve();
