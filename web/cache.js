// @ts-check
/** Files by URL, in pieces as they come: from the browser's cache storage, else from the network into it. */

import { ModelError, messageOf } from "./errors.js";

const NAME = "tinyinfer";
/** The most bytes that come at once. */
export const PIECE = 2 ** 18;
const AHEAD = new ByteLengthQueuingStrategy({ highWaterMark: 2 ** 22 });
/** Milliseconds after which a storage that does not answer is done without. */
const PATIENCE = 1000;

/**
 * @typedef {{url: string, loaded: number, total: number}} Progress bytes so far, and in all (0: not known)
 * @typedef {Uint8Array<ArrayBuffer>} Piece
 * @typedef {{url: string, kept: boolean, pieces: AsyncIterable<Piece> | Iterable<Piece>}} Incoming
 *
 * @typedef {object} LoadOptions
 * @property {boolean} cache whether to read and write the cache
 * @property {boolean} reload take nothing from any cache
 * @property {AbortSignal} signal
 * @property {ArrayBuffer[]} spare buffers of `PIECE` bytes to read into
 * @property {(progress: Progress) => void} [onProgress]
 */

/**
 * @param {string} url absolute
 * @param {LoadOptions} options
 * @returns {Promise<Incoming>}
 * @throws {ModelError} when it cannot be had, also while its pieces are read
 */
export async function open(url, options) {
  const kept = options.cache && !options.reload ? await find(url) : undefined;
  const response = kept ?? (await request(url, options));
  return { url, kept: Boolean(kept), pieces: read(url, response, options.cache && !kept, options) };
}

/** What is kept; nothing where there is no storage: plain HTTP, blocked storage. @param {string} url */
const find = async url => {
  try {
    return await soon(caches.match(url, { cacheName: NAME }));
  } catch {}
};

/** The promise's value, or nothing if it takes too long. @template T @param {Promise<T>} promise */
const soon = promise => Promise.race([promise, new Promise(resolve => setTimeout(resolve, PATIENCE))]);

/** @param {string} url @param {LoadOptions} options */
async function request(url, { reload, signal }) {
  try {
    const response = await fetch(url, { signal, cache: reload ? "reload" : "default" });
    if (response.ok) return response;
    throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
  } catch (error) {
    throw failed(url, error);
  }
}

/** @param {string} url @param {Response} response @param {boolean} keep @param {LoadOptions} options */
async function* read(url, { headers, body }, keep, { onProgress, spare }) {
  // The length of a compressed transfer is not that of its content.
  const total = headers.has("content-encoding") ? 0 : Number(headers.get("content-length"));
  let copy = keep ? keeper(url, total) : undefined;
  let loaded = 0;
  let complete = false;
  try {
    for (const next = reader(body, spare); next; ) {
      const { done, value } = await next().catch(error => Promise.reject(failed(url, error)));
      if (done) break;
      if (copy && !(await hasRoom(copy))) {
        copy.abort().catch(() => {});
        copy = undefined;
      }
      copy?.write(value.slice()).catch(() => {});
      loaded += value.length;
      onProgress?.({ url, loaded, total });
      yield value;
      if (loaded === total) break; // it takes a while to be told that there is no more
    }
    complete = true;
  } finally {
    copy?.[complete ? "close" : "abort"]().catch(() => {});
  }
}

/**
 * The read function of a stream, which uses the same buffers again and again where the browser can: garbage of the
 * size of a model would be collected late.
 * @param {Response["body"]} body
 * @param {ArrayBuffer[]} spare
 * @returns {(() => Promise<ReadableStreamReadResult<Piece>>) | undefined}
 */
function reader(body, spare) {
  try {
    const byob = body?.getReader({ mode: "byob" });
    return (
      byob && (() => /** @type {any} */ (byob.read(new Uint8Array(spare.pop() ?? new ArrayBuffer(PIECE)))))
    );
  } catch {
    const any = body?.getReader();
    return any && (() => any.read());
  }
}

/**
 * Where to write a file that is to be kept. A cache that is full or forbidden is no reason to fail: writing does.
 * @param {string} url
 * @param {number} total
 */
function keeper(url, total) {
  const { readable, writable } = new TransformStream(undefined, AHEAD);
  const writer = writable.getWriter();
  const file = new Response(readable, { headers: total ? { "content-length": `${total}` } : {} });
  const put = async () => (await caches.open(NAME)).put(url, file);
  put().catch(() => writer.abort());
  writer.closed.catch(() => {});
  return writer;
}

/** Whether there is room for more, or comes soon. @param {WritableStreamDefaultWriter} writer */
const hasRoom = async writer =>
  Number(writer.desiredSize) > 0 ||
  (await soon(
    writer.ready.then(
      () => true,
      () => false,
    ),
  ));

/** @param {string} url @param {unknown} error */
const failed = (url, error) => new ModelError(`${url}: cannot be loaded: ${messageOf(error)}`);
