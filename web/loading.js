// @ts-check
/** Model and kernels are fetched at the same time, while a Worker starts if there is one, and handed over as they come. */

import { Box, open, PIECE } from "./cache.js";
import { EngineError, ModelError, messageOf } from "./errors.js";
import { join } from "./pieces.js";
import { kindOf, ModelReader } from "./plan.js";
import { sha256 as hashOf } from "./sha256.js";
import { share } from "./threads.js";
import { Standstill, Watch } from "./watch.js";

const UNDERWAY = 8; // pieces that the host has not taken yet
/** Milliseconds from the session's creation to what could wait for it, which is not to delay the first run either. */
const LATER = 200;

/**
 * @typedef {import("./cache.js").LoadOptions} LoadOptions
 * @typedef {import("./cache.js").Incoming} Incoming
 * @typedef {Pick<import("./host.js").Host, "open" | "write" | "create">} Host
 *
 * @typedef {object} Order
 * @property {string | Uint8Array<ArrayBuffer>} model absolute URL, or the file
 * @property {boolean} [transfer] take the file's buffer instead of copying it
 * @property {string} [sha256] the only content to accept
 * @property {import("./features.js").Tier} tier
 * @property {number} threads
 * @property {boolean} shared whether its memory is to be shared between threads
 * @property {string} wasmUrl absolute
 */

/**
 * Bring a model into its host.
 * @param {Order} order
 * @param {Omit<LoadOptions, "reload" | "later"> & {signal: AbortSignal}} options
 * @param {Host} host
 * @returns {Promise<import("./host.js").Created>}
 * @throws {ModelError} also when loading does not get on
 */
export async function load({ model, transfer, sha256, tier, threads, shared, wasmUrl }, options, host) {
  /** The SHA-256 of the kernels to fetch past all caches. @type {unknown} */
  let wanted;
  let kept = false;
  let attempts = 0;
  /** @type {Promise<Promise<void>[]> | undefined} */
  let buffer;
  const attempt = async (/** @type {boolean} */ reload, /** @type {Watch} */ watch) => {
    const number = ++attempts;
    /** @type {LoadOptions["later"]} */
    const later = [];
    const all = { ...options, signal: watch.signal, reload, later };
    const find = async (/** @type {string} */ key, url = key, cache = options.cache) => {
      const file = await watch.during(key, open(url, { ...all, cache }, key));
      kept ||= file.kept;
      return { ...file, pieces: watch.each(key, file.pieces) };
    };
    // Kernels are known by their hash: the server need not be asked about those that are kept.
    const kernels = find(wasmUrl, byHash(wasmUrl, wanted), !!options.cache).then(async file => {
      const bytes = await collect(file);
      return watch.during("the compiler", compile(bytes, shared, wasmUrl, file.status));
    });
    /** @type {unknown} */
    let mayBeOld;
    const send = async () => {
      if (typeof model !== "string") {
        // Once, whatever becomes of the kernels: the buffer may be gone.
        const opening = { source: "the model's buffer", threads, shared, sha256 };
        const box = new Box(false);
        buffer ??= handOver({ box, pieces: cut(model, transfer, box) }, opening, host, watch, () => false);
        return buffer;
      }
      const file = await find(model);
      mayBeOld = file.kept && options.cache === true && file.etag && !sha256;
      const opening = { source: model, status: file.status, threads, shared, sha256 };
      return handOver(file, opening, host, watch, () => number < attempts);
    };
    const [compiled, taken] = await Promise.all([kernels, send()]);
    watch.signal.throwIfAborted();
    const created = watch.during("the session", host.create({ ...compiled, url: wasmUrl, tier }, threads));
    const [result] = await Promise.all([created, ...taken]);
    if (mayBeOld) later.push(() => renew(`${model}`, wasmUrl, tier, compiled.sha256));
    setTimeout(() => {
      for (const task of later) task().catch(() => {}); // the session does not depend on it
    }, LATER);
    return result;
  };
  const watched = (/** @type {boolean} */ reload) =>
    Watch.over(options.signal, watch => attempt(reload, watch));
  try {
    return await watched(false);
  } catch (error) {
    // What was kept may be damaged, or model and kernels of different versions after a new deployment.
    wanted = /** @type {any} */ (error).cause;
    const mayHelp = kept || wanted || error instanceof Standstill;
    if (!mayHelp || options.signal.aborted) throw error;
    return watched(true);
  }
}

/** An address that no cache has other kernels for. @param {string} url @param {unknown} sha256 */
const byHash = (url, sha256) => (sha256 ? `${url}${url.includes("?") ? "&" : "?"}sha256=${sha256}` : url);

/**
 * Keep what the server has by now instead of a kept model, for the next time, together with kernels that fit it.
 * @param {string} url
 * @param {string} wasmUrl
 * @param {Order["tier"]} tier
 * @param {string} sha256 of the kernels that are kept
 */
async function renew(url, wasmUrl, tier, sha256) {
  /** @type {LoadOptions} */
  const options = { cache: "no-cache", reload: false, later: [] };
  const { kept, pieces, box } = await open(url, options);
  if (kept) return;
  const reader = new ModelReader(url, ({ size }) => new Uint8Array(size));
  for await (const piece of pieces) {
    reader.write(piece);
    box.put(piece);
  }
  const wanted = (await reader.end()).kernels[tier];
  if (wanted !== sha256) {
    const file = await open(byHash(wasmUrl, wanted), { ...options, reload: true }, wasmUrl);
    if ((await hashOf(await collect(file))) !== wanted) return;
  }
  for (const task of options.later) await task();
}

/**
 * @param {Pick<Incoming, "pieces" | "box">} file
 * @param {import("./host.js").Opening} opening
 * @param {Host} host
 * @param {Watch} watch
 * @param {() => boolean} isOver whether another attempt has begun, which these pieces are not for
 * @returns {Promise<Promise<void>[]>} settled when the last pieces have been taken; rejected when one is refused
 */
function handOver({ pieces, box }, opening, host, watch, isOver) {
  return new Promise((resolve, reject) => {
    const send = async () => {
      const taken = isOver() ? [] : [watch.during("the session", host.open(opening))];
      for await (const piece of pieces) {
        if (taken.length > UNDERWAY) await taken.shift();
        if (isOver()) break;
        const { byteOffset, length } = piece;
        const written = host.write(piece).then(buffer => box.put(new Uint8Array(buffer, byteOffset, length)));
        const next = watch.during("the session", written);
        next.catch(reject); // however long the rest takes to come
        taken.push(next);
      }
      return taken;
    };
    send().then(resolve, reject);
  });
}

/**
 * @param {Uint8Array<ArrayBuffer>} file
 * @param {boolean | undefined} transfer
 * @param {Box} box
 * @returns {Generator<Uint8Array<ArrayBuffer>>}
 */
function* cut(file, transfer, box) {
  if (transfer && file.length === file.buffer.byteLength) {
    yield file;
    return;
  }
  for (let at = 0; at < file.length; at += PIECE) {
    const part = file.subarray(at, at + PIECE);
    const piece = new Uint8Array(box.take(), 0, part.length);
    piece.set(part);
    yield piece;
  }
}

/** All of a file. @param {Pick<Incoming, "pieces" | "box">} file */
async function collect({ pieces, box }) {
  const parts = [];
  for await (const piece of pieces) parts.push(piece);
  const bytes = join(parts);
  box.put(bytes);
  return bytes;
}

/**
 * The module is only to be used once its hash is known to be the right one; it is compiled meanwhile.
 * @param {Uint8Array<ArrayBuffer>} file
 * @param {boolean} shared whether its memory is
 * @param {string} source in messages
 * @param {number} status of the HTTP answer that it came with
 */
async function compile(file, shared, source, status) {
  if (file[0] || file[1] !== 97) throw new ModelError(`${source}: not the kernels: ${kindOf(file, status)}`);
  const hash = hashOf(file);
  const bytes = shared ? file.slice() : file;
  if (shared) share(bytes);
  try {
    return { module: await WebAssembly.compile(bytes), sha256: await hash, bytes: bytes.byteLength };
  } catch (error) {
    throw new EngineError(`the kernels cannot be compiled: ${messageOf(error)}`);
  }
}
