// @ts-check
/** Files by URL, in pieces as they come: from the browser's cache storage, else from the network and then into it. */

import { ModelError, messageOf } from "./errors.js";

const NAME = "tinyinfer";
/** Where empty answers stand by the same URLs, in the order in which the files were last used. */
const USES = "tinyinfer uses";
/** The most bytes that come at once. */
export const PIECE = 2 ** 18;
const SPARE = 8; // buffers that wait for their next use
/** Bytes of a file to be kept that wait in this process; what a Blob holds is with the browser. */
const AT_HAND = 2 ** 24;
/** Bytes from which on a file is sooner read from the storage than received, even if it is on its way. */
const LARGE = 2 ** 20;
/** Milliseconds after which a source that does not answer is not waited for alone. */
const PATIENCE = 1000;
/** Milliseconds after which a kept file of which nothing comes is given up. */
const LAST_PATIENCE = 5000;

/**
 * @typedef {{url: string, loaded: number, total: number}} Progress bytes so far, and in all (0: not known)
 * @typedef {Uint8Array<ArrayBuffer>} Piece
 * @typedef {{kept: boolean, response: Response}} Found
 *
 * @typedef {object} Incoming
 * @property {boolean} kept whether it comes from the storage
 * @property {number} status of the answer that it came with
 * @property {string} etag or the date of the last change: empty if the server does not tell versions apart
 * @property {AsyncIterable<Piece> | Iterable<Piece>} pieces
 * @property {Box} box takes pieces back when they are not needed any more
 *
 * @typedef {object} LoadOptions
 * @property {boolean | "no-cache"} cache whether to read and write the storage; "no-cache": after asking the server
 * @property {boolean} reload take nothing from any cache
 * @property {AbortSignal} [signal]
 * @property {(() => Promise<unknown>)[]} later gets what can wait until all is loaded
 * @property {(progress: Progress) => void} [onProgress]
 */

/** The models and kernels that are kept in the browser's cache storage, for all pages of this origin. */
export const modelCache = {
  /** The most bytes to keep: what was not used for longest makes room. */
  maxBytes: 2 ** 30,

  /** The files that are kept, the one last used at the end. @returns {Promise<{url: string, bytes: number}[]>} */
  async list() {
    const [files, uses] = await opened();
    if (!files) return [];
    const listed = [];
    for (const { url } of await uses.keys()) {
      const response = await files.match(url);
      if (response) listed.push({ url, bytes: Number(response.headers.get("content-length")) });
    }
    return listed;
  },

  /** Let go of a file. @param {string | URL} url @returns {Promise<boolean>} whether it was kept */
  async delete(url) {
    const [files, uses] = await opened();
    if (!files) return false;
    await uses.delete(url);
    return files.delete(url);
  },
};

/** The storage of files and that of their uses; nothing where there is no storage: plain HTTP, blocked storage. */
const opened = () => Promise.all([NAME, USES].map(async name => caches.open(name))).catch(() => []);

/**
 * @param {string} url absolute
 * @param {LoadOptions} options
 * @param {string} [key] the URL that it is kept by
 * @returns {Promise<Incoming>}
 * @throws {ModelError} when it cannot be had, also while its pieces are read
 */
export async function open(url, options, key = url) {
  const { cache, reload, later } = options;
  const { kept, response } = await (cache === true && !reload ? choose : request)(url, options);
  const box = new Box(cache && !kept);
  const etag = versionOf(response);
  if (cache) later.push(() => (kept ? use(key) : keep(key, etag, box.content())));
  return {
    kept,
    box,
    etag,
    status: response.status,
    pieces: read(url, response, box, kept ? LAST_PATIENCE : 0, options),
  };
}

/** @param {Response} response */
const versionOf = ({ headers }) => headers.get("etag") ?? headers.get("last-modified") ?? "";

/** @param {string} url @param {LoadOptions} options */
async function choose(url, options) {
  const network = () => request(url, options);
  const storage = () => find(url);
  if (!isPreloaded(url)) return either(storage, network);
  const found = await either(network, storage);
  if (found.kept || Number(found.response.headers.get("content-length")) < LARGE) return found;
  const better = await within(PATIENCE, storage()).catch(() => found);
  if (better !== found) cancel(found);
  return better;
}

/**
 * What the first source has; the second if it has nothing, and whichever answers sooner if the first takes long.
 * @param {() => Promise<Found>} first
 * @param {() => Promise<Found>} second
 * @returns {Promise<Found>}
 */
async function either(first, second) {
  const one = first();
  const early = await within(PATIENCE, one).catch(() => {});
  if (early) return early;
  const both = [one, second()];
  try {
    const found = await Promise.any(both);
    for (const other of both) other.then(late => (late === found ? undefined : cancel(late))).catch(() => {});
    return found;
  } catch (/** @type {any} */ { errors }) {
    throw errors.find((/** @type {unknown} */ error) => error instanceof ModelError);
  }
}

/** What is kept; rejected where nothing is, or there is no storage: plain HTTP, blocked storage. @param {string} url */
async function find(url) {
  const response = await caches.match(url, { cacheName: NAME });
  if (response) return { kept: true, response };
  throw new Error("not kept");
}

/**
 * What the server has; with "no-cache" what is kept if that is the same version.
 * @param {string} url
 * @param {LoadOptions} options
 * @returns {Promise<Found>}
 */
async function request(url, { cache, reload, signal }) {
  const check = cache === "no-cache" && !reload;
  try {
    const response = await fetch(url, { signal, cache: reload ? "reload" : check ? cache : "default" });
    if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
    const version = versionOf(response);
    const found = { kept: false, response };
    const kept = check && (await within(PATIENCE, find(url)).catch(() => {}));
    if (!kept || !version || versionOf(kept.response) !== version) return found;
    cancel(found);
    return kept;
  } catch (error) {
    throw failed(url, error);
  }
}

/** Let it not come. @param {Found} found */
const cancel = ({ response }) => response.body?.cancel().catch(() => {});

/** @type {Set<string>} */
const asked = new Set();

/**
 * Whether the page has named the file among its preloads, and it is asked for for the first time: then the network's
 * answer is here, or on its way.
 * @param {string} url
 */
function isPreloaded(url) {
  if (asked.has(url)) return false;
  asked.add(url);
  /** @type {Iterable<HTMLLinkElement>} */
  const links = globalThis.document?.querySelectorAll("link[rel=preload]") ?? [];
  return [...links].some(({ href }) => href === url);
}

/**
 * @param {string} url
 * @param {Response} response
 * @param {Box} box
 * @param {number} patience milliseconds that a piece may take; 0: any time
 * @param {Pick<LoadOptions, "onProgress">} options
 */
async function* read(url, { headers, body }, box, patience, { onProgress }) {
  // The length of a compressed transfer is not that of its content.
  const total = headers.has("content-encoding") ? 0 : Number(headers.get("content-length"));
  let loaded = 0;
  for (const next = reader(body, box); next; ) {
    const { done, value } = await (patience ? within(patience, next()) : next()).catch(error =>
      Promise.reject(failed(url, error)),
    );
    if (done) break;
    loaded += value.length;
    onProgress?.({ url, loaded, total });
    yield value;
    if (loaded === total) break; // it takes a while to be told that there is no more
  }
}

/**
 * The read function of a stream, which uses the same buffers again and again where the browser can: garbage of the
 * size of a model would be collected late.
 * @param {Response["body"]} body
 * @param {Box} box
 * @returns {(() => Promise<ReadableStreamReadResult<Piece>>) | undefined}
 */
function reader(body, box) {
  try {
    const byob = body?.getReader({ mode: "byob" });
    return byob && (() => /** @type {any} */ (byob.read(new Uint8Array(box.take()))));
  } catch {
    const any = body?.getReader();
    return any && (() => any.read());
  }
}

/** Where pieces go that have been used: their buffers are used again or, if the file is to be kept, are its copy. */
export class Box {
  /** @type {ArrayBuffer[]} */
  #spare = [];
  /** @type {Blob[]} */
  #blobs = [];
  /** @type {Piece[]} */
  #parts = [];
  #bytes = 0;

  /** @param {boolean} keeps */
  constructor(keeps) {
    this.keeps = keeps;
  }

  take() {
    return this.#spare.pop() ?? new ArrayBuffer(PIECE);
  }

  /** @param {Piece} piece the next one */
  put(piece) {
    const { buffer, length } = piece;
    const full = 2 * length > buffer.byteLength;
    if (buffer.byteLength === PIECE && this.#spare.length < SPARE && !(this.keeps && full))
      this.#spare.push(buffer);
    if (!this.keeps) return;
    this.#parts.push(full ? piece : piece.slice());
    this.#bytes += length;
    if (this.#bytes < AT_HAND) return;
    this.#blobs.push(new Blob(this.#parts));
    this.#parts = [];
    this.#bytes = 0;
  }

  content() {
    return new Blob([...this.#blobs, ...this.#parts]);
  }
}

/**
 * Rejected where the storage is full or forbidden.
 * @param {string} url
 * @param {string} etag
 * @param {Blob} file
 */
async function keep(url, etag, file) {
  let room = modelCache.maxBytes - file.size;
  if (!(room >= 0)) return;
  for (const other of (await modelCache.list()).reverse()) {
    if (other.url === url) continue;
    room -= other.bytes;
    if (room < 0) await modelCache.delete(other.url);
  }
  const headers = { "content-length": `${file.size}`, etag };
  const files = await use(url);
  await files.put(url, new Response(file, { headers }));
}

/** Put a file at the end of the order of use. @param {string} url @returns the storage of files */
async function use(url) {
  const [files, uses] = await opened();
  await uses.put(url, new Response());
  return files;
}

/**
 * The promise's value; rejected if it takes longer.
 * @template T
 * @param {number} ms
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
function within(ms, promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** @param {string} url @param {unknown} error */
const failed = (url, error) => new ModelError(`${url}: cannot be loaded: ${messageOf(error)}`);
