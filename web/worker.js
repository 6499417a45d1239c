// @ts-check
/** The Worker of one session: takes a model piece by piece, then answers one request after the other. */

import { ModelError, PlanError, TinyInferError, toPlain } from "./errors.js";
import { ModelReader } from "./plan.js";
import { allocate, Runtime } from "./runtime.js";
import { Sha256 } from "./sha256.js";
import { join } from "./threads.js";

/**
 * @typedef {import("./plan.js").Data} Data
 * @typedef {import("./plan.js").Model} Model
 *
 * @typedef {{source: string, threads: number, sha256?: string}} Open the model's name in messages, how many threads
 *   will share its memory, and the only content to accept
 *
 * @typedef {object} Create
 * @property {WebAssembly.Module} module the kernels
 * @property {{url: string, sha256: string, bytes: number}} kernels their file
 * @property {import("./features.js").Tier} tier
 *
 * @typedef {Pick<Model, "name" | "metadata"> & {
 *   plans: Pick<import("./plan.js").Plan, "inputs" | "outputs">[],
 *   tier: Create["tier"],
 *   threads: number,
 *   memory: Runtime["memory"],
 *   bytes: {model: number, kernels: number},
 * }} Created
 *
 * @typedef {{plan: number, feeds: Data[], names: string[]}} Run
 * @typedef {{outputs: Data[], ms: number}} Ran
 *
 * @typedef {{open: Open} | {piece: Uint8Array<ArrayBuffer>} | {create: Create} | {run: Run} | {profile: Run}} Request
 * @typedef {{id: number, result: any} | {id: number, error: import("./errors.js").PlainError}} Reply
 */

/** @type {Loader | undefined} */
let loader;
/** @type {Runtime} */
let runtime;

/** @param {Reply} reply @param {Transferable[]} [transfer] */
const post = (reply, transfer = []) => self.postMessage(reply, { transfer });

self.onmessage = async (
  /** @type {MessageEvent<({id: number} & Request) | {join: import("./threads.js").Membership}>} */ {
    data: request,
  },
) => {
  if ("join" in request) return join(request.join);
  const { id } = request;
  try {
    if ("open" in request) {
      loader = new Loader(request.open);
      post({ id, result: undefined });
    } else if ("piece" in request) {
      const { buffer } = request.piece;
      loader?.write(request.piece);
      post({ id, result: buffer }, [buffer]);
    } else if ("create" in request) {
      post({ id, result: await create(request.create) });
    } else if ("run" in request) {
      const { plan, feeds, names } = request.run;
      const start = performance.now();
      const outputs = runtime.run(plan, feeds, names);
      const ms = performance.now() - start;
      post(
        { id, result: { outputs, ms } },
        outputs.map(data => data.buffer),
      );
    } else {
      post({ id, result: runtime.profile(request.profile.plan, request.profile.feeds) });
    }
  } catch (error) {
    post({ id, error: toPlain(error) });
  }
};

/** A model on its way into memory. */
class Loader {
  #source;
  #threads;
  #wanted;
  #hash;
  #reader;
  /** @type {{model: Model, memory: WebAssembly.Memory, threads: number, bytes: number} | undefined} */
  #loaded;
  /** @type {WebAssembly.Memory} */
  #memory = /** @type {any} */ (undefined);

  /** @param {Open} open */
  constructor({ source, threads, sha256 }) {
    this.#source = source;
    this.#threads = threads;
    this.#wanted = sha256;
    this.#hash = sha256 ? new Sha256() : undefined;
    this.#reader = new ModelReader(source, model => {
      this.#memory = allocate(model, threads > 1);
      return new Uint8Array(this.#memory.buffer, model.plans[0].weights, model.size);
    });
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

  #check() {
    const model = this.#reader.end();
    const sha256 = this.#hash?.digest();
    if (sha256 !== this.#wanted) {
      throw new ModelError(`${this.#source}: its SHA-256 is ${sha256}, expected ${this.#wanted}`);
    }
    return { model, memory: this.#memory, threads: this.#threads, bytes: this.#reader.size };
  }
}

/** @param {Create} request @returns {Promise<Created>} */
async function create({ module, kernels, tier }) {
  if (!loader) throw new TinyInferError("no model has been opened");
  const { model, memory, threads, bytes } = loader.end();
  if (model.kernels[tier] !== kernels.sha256) {
    throw new PlanError(
      `${model.name} was compiled for other kernels (SHA-256 ${short(model.kernels[tier])}, ` +
        `${kernels.url} has ${short(kernels.sha256)}); compile it again with this version of TinyInfer`,
    );
  }
  runtime = new Runtime(model, memory, module, threads);
  loader = undefined;
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

/** @param {string | undefined} hash */
const short = hash => `${`${hash}`.slice(0, 12)}…`;
