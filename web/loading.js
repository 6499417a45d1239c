// @ts-check
/** Model and kernels are fetched at the same time, while a Worker starts if there is one, and handed over as they come. */

import { open, PIECE } from "./cache.js";
import { EngineError, messageOf } from "./errors.js";
import { join } from "./pieces.js";
import { sha256 as hashOf } from "./sha256.js";
import { share } from "./threads.js";

const UNDERWAY = 8; // pieces that the host has not taken yet

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
 * @param {Omit<LoadOptions, "reload" | "spare">} options
 * @param {Host} host
 * @returns {Promise<import("./host.js").Created>}
 */
export async function load({ model, transfer, sha256, tier, threads, shared, wasmUrl }, options, host) {
  let kept = false;
  let attempts = 0;
  /** @type {Promise<Promise<void>[]> | undefined} */
  let buffer;
  const attempt = async (/** @type {boolean} */ reload) => {
    const number = ++attempts;
    /** @type {ArrayBuffer[]} */
    const spare = [];
    const from = { ...options, reload, spare };
    const kernels = open(wasmUrl, from).then(file => {
      kept ||= file.kept;
      return compile(file, shared);
    });
    const send = async () => {
      if (typeof model !== "string") {
        // Once, whatever becomes of the kernels: the buffer may be gone.
        const opening = { source: "the model's buffer", shared, sha256 };
        buffer ??= handOver(cut(model, transfer, spare), opening, spare, host, () => false);
        return buffer;
      }
      const file = await open(model, from);
      kept ||= file.kept;
      return handOver(file.pieces, { source: model, shared, sha256 }, spare, host, () => number < attempts);
    };
    const [compiled, taken] = await Promise.all([kernels, send()]);
    const created = host.create({ ...compiled, url: wasmUrl, tier }, threads);
    return (await Promise.all([created, ...taken]))[0];
  };
  try {
    return await attempt(false);
  } catch (error) {
    // What was kept may be damaged, or model and kernels of different versions after a new deployment.
    if (!kept || options.signal.aborted) throw error;
    return attempt(true);
  }
}

/**
 * @param {Incoming["pieces"]} pieces
 * @param {import("./host.js").Opening} opening
 * @param {ArrayBuffer[]} spare where buffers come back to
 * @param {Host} host
 * @param {() => boolean} isOver whether another attempt has begun, which these pieces are not for
 * @returns {Promise<Promise<void>[]>} settled when the last pieces have been taken; rejected when one is refused
 */
function handOver(pieces, opening, spare, host, isOver) {
  return new Promise((resolve, reject) => {
    const send = async () => {
      const taken = isOver() ? [] : [host.open(opening)];
      for await (const piece of pieces) {
        if (taken.length > UNDERWAY) await taken.shift();
        if (isOver()) break;
        const next = host.write(piece).then(buffer => {
          if (spare.length < UNDERWAY) spare.push(buffer);
        });
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
 * @param {ArrayBuffer[]} spare
 * @returns {Generator<Uint8Array<ArrayBuffer>>}
 */
function* cut(file, transfer, spare) {
  if (transfer && file.length === file.buffer.byteLength) {
    yield file;
    return;
  }
  for (let at = 0; at < file.length; at += PIECE) {
    const part = file.subarray(at, at + PIECE);
    const piece = new Uint8Array(spare.pop() ?? new ArrayBuffer(PIECE), 0, part.length);
    piece.set(part);
    yield piece;
  }
}

/**
 * The module is only to be used once its hash is known to be the right one; it is compiled meanwhile.
 * @param {Incoming} file
 * @param {boolean} shared whether its memory is
 */
async function compile({ pieces }, shared) {
  const parts = [];
  for await (const piece of pieces) parts.push(piece);
  const bytes = join(parts);
  const hash = hashOf(bytes); // which has seen them when it returns
  if (shared) share(bytes);
  try {
    return { module: await WebAssembly.compile(bytes), sha256: await hash, bytes: bytes.byteLength };
  } catch (error) {
    throw new EngineError(`the kernels cannot be compiled: ${messageOf(error)}`);
  }
}
