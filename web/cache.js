// @ts-check
/** Files by URL: from IndexedDB while their SHA-256 is right, else from the network. */

import { ModelError, messageOf } from "./errors.js";
import { sha256 } from "./sha256.js";
import { openDB } from "./vendor/idb.js";

const STORE = "files";

/**
 * @typedef {{url: string, loaded: number, total: number}} Progress bytes so far, and in all (0: not known)
 * @typedef {{bytes: ArrayBuffer, sha256: string}} Entry
 * @typedef {Entry & {url: string, cached: boolean}} Loaded
 *
 * @typedef {object} LoadOptions
 * @property {boolean} cache whether to read and write the cache
 * @property {string} [sha256] the only content to accept
 * @property {boolean} [reload] take nothing from any cache
 * @property {(progress: Progress) => void} onProgress
 */

/**
 * @param {string} url absolute
 * @param {LoadOptions} options
 * @returns {Promise<Loaded>}
 * @throws {ModelError} when it cannot be had, or is not the content of `options.sha256`
 */
export async function load(url, options) {
  const database = options.cache ? await openDatabase() : undefined;
  try {
    const found = options.reload ? undefined : await read(database, url, options.sha256);
    if (found) {
      options.onProgress({ url, loaded: found.bytes.byteLength, total: found.bytes.byteLength });
      return { ...found, url, cached: true };
    }
    const bytes = await download(url, options);
    const entry = { bytes, sha256: await sha256(bytes) };
    if (options.sha256 && options.sha256 !== entry.sha256) {
      throw new ModelError(`${url}: its SHA-256 is ${entry.sha256}, expected ${options.sha256}`);
    }
    // A cache that is full or forbidden is no reason to fail.
    await database?.put(STORE, entry, url).catch(() => {});
    return { ...entry, url, cached: false };
  } finally {
    database?.close();
  }
}

/** The database, or undefined where there is none: private windows, blocked storage. */
async function openDatabase() {
  try {
    return await openDB("tinyinfer", 1, { upgrade: database => void database.createObjectStore(STORE) });
  } catch {
    return undefined;
  }
}

/**
 * The entry of `url`, if it is intact and of the hash wanted; any other is dropped.
 * @param {Awaited<ReturnType<typeof openDatabase>>} database
 * @param {string} url
 * @param {string | undefined} wanted
 * @returns {Promise<Entry | undefined>}
 */
async function read(database, url, wanted) {
  try {
    const entry = await database?.get(STORE, url);
    if (!entry) return undefined;
    const hash = await sha256(entry.bytes);
    if (hash === entry.sha256 && hash === (wanted ?? hash)) return entry;
  } catch {}
  await database?.delete(STORE, url).catch(() => {});
  return undefined;
}

/** @param {string} url @param {LoadOptions} options @returns {Promise<ArrayBuffer>} */
async function download(url, { reload, onProgress }) {
  try {
    const response = await fetch(url, reload ? { cache: "reload" } : {});
    if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`.trim());
    // The length of a compressed transfer is not that of its content.
    const total = response.headers.has("content-encoding")
      ? 0
      : Number(response.headers.get("content-length"));
    const chunks = [];
    let loaded = 0;
    for (const reader = response.body?.getReader(); reader; ) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      loaded += value.length;
      onProgress({ url, loaded, total });
    }
    return await new Blob(chunks).arrayBuffer();
  } catch (error) {
    throw new ModelError(`${url}: cannot be loaded: ${messageOf(error)}`);
  }
}
