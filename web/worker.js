// @ts-check
/** The Worker of one session: loads a model, then answers one request after the other. */

import { load } from "./cache.js";
import { EngineError, messageOf, PlanError, toPlain } from "./errors.js";
import { parse } from "./plan.js";
import { Runtime } from "./runtime.js";
import { join, share } from "./threads.js";

/**
 * @typedef {import("./plan.js").Data} Data
 * @typedef {import("./plan.js").Model} Model
 * @typedef {import("./cache.js").Progress} Progress
 *
 * @typedef {object} Create
 * @property {string | ArrayBuffer} model absolute URL, or the file's bytes
 * @property {import("./features.js").Tier} tier
 * @property {string} wasmUrl absolute
 * @property {boolean} cache
 * @property {string} [sha256]
 * @property {number} threads
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
 * @typedef {{id: number} & ({create: Create} | {run: Run} | {profile: Run}) | {join: import("./threads.js").Membership}} Request
 * @typedef {{progress: Progress} | {id: number, result: any} | {id: number, error: import("./errors.js").PlainError}} Reply
 */

/** @type {Runtime} */
let runtime;

/** @param {Reply} reply @param {Transferable[]} [transfer] */
const post = (reply, transfer = []) => self.postMessage(reply, { transfer });

self.onmessage = async (/** @type {MessageEvent<Request>} */ { data: request }) => {
  if ("join" in request) return join(request.join);
  const { id } = request;
  try {
    if ("create" in request) {
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

/** @param {Create} request @returns {Promise<Created>} */
async function create(request) {
  let files = await open(request, false);
  // After a new deployment the cache may hold a model and kernels of different versions.
  if (!files.match && files.cached) files = await open(request, true);
  const { model, kernels, match } = files;
  if (!match) {
    throw new PlanError(
      `${model.name} was compiled for other kernels (SHA-256 ${short(model.kernels[request.tier])}, ` +
        `${request.wasmUrl} has ${short(kernels.sha256)}); compile it again with this version of TinyInfer`,
    );
  }
  if (request.threads > 1) share(kernels.bytes);
  runtime = await Runtime.create(model, await compile(kernels.bytes), request.threads);
  return {
    name: model.name,
    metadata: model.metadata,
    plans: model.plans.map(({ inputs, outputs }) => ({ inputs, outputs })),
    tier: request.tier,
    threads: request.threads,
    memory: runtime.memory,
    bytes: { model: files.size, kernels: kernels.bytes.byteLength },
  };
}

/**
 * Load model and kernels side by side.
 * @param {Create} request
 * @param {boolean} reload
 */
async function open({ model: source, tier, wasmUrl, cache, sha256 }, reload) {
  const onProgress = (/** @type {Progress} */ progress) => post({ progress });
  const [file, kernels] = await Promise.all([
    typeof source === "string"
      ? load(source, { cache, sha256, reload, onProgress })
      : { bytes: source, cached: false, url: "the model's buffer" },
    load(wasmUrl, { cache, reload, onProgress }),
  ]);
  const model = parse(file.bytes, file.url);
  const match = model.kernels[tier] === kernels.sha256;
  return { model, kernels, match, cached: file.cached || kernels.cached, size: file.bytes.byteLength };
}

/** @param {ArrayBuffer} bytes */
async function compile(bytes) {
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new EngineError(`the kernels cannot be compiled: ${messageOf(error)}`);
  }
}

/** @param {string | undefined} hash */
const short = hash => `${`${hash}`.slice(0, 12)}…`;
