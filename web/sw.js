// @ts-check
/// <reference lib="webworker" />
/**
 * Service worker: keeps every file that `files.js` lists and answers from them, so that the folder works with the
 * network cut. All files are of one version: a new one is fetched as a whole, checked by SHA-256, and takes over when
 * the last page of the old one has been closed.
 */

importScripts("./files.js");

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));
/** SHA-256 by path; the list itself has none. @type {Record<string, string>} */
const files = { ...globalThis.tinyinferFiles, "files.js": "" };
const scope = worker.registration.scope;
const versions = `tinyinfer ${scope} `;
const version = nameVersion();
/** Milliseconds to wait for the storage, which a page that was closed in the middle of a write can block. */
const PATIENCE = 1000;

worker.addEventListener("install", event => event.waitUntil(keep()));
worker.addEventListener("activate", event => event.waitUntil(takeOver()));
worker.addEventListener("fetch", event => {
  const name = nameOf(event.request.url);
  if (event.request.method === "GET" && name in files) event.respondWith(answer(name, event.request));
});

async function nameVersion() {
  const list = new TextEncoder().encode(JSON.stringify(files));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", list));
  return versions + btoa(String.fromCharCode(...digest));
}

async function keep() {
  const cache = await caches.open(await version);
  await Promise.all(Object.keys(files).map(async name => cache.put(name, await fetchOwn(name))));
}

/** A file of this version from the network. @param {string} name */
async function fetchOwn(name) {
  const hash = files[name].match(/../g)?.map(byte => Number.parseInt(byte, 16));
  const integrity = hash ? `sha256-${btoa(String.fromCharCode(...hash))}` : "";
  // A server may redirect index.html to its folder, and a page cannot be answered with a redirection.
  const response = await fetch(new URL(name === "index.html" ? "./" : name, scope), {
    cache: "no-cache",
    integrity,
  });
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return response;
}

/** Every page waits for this. */
async function takeOver() {
  await patiently(removeOthers());
  await worker.clients.claim();
}

async function removeOthers() {
  const current = await version;
  const old = (await caches.keys()).filter(name => name.startsWith(versions) && name !== current);
  await Promise.all(old.map(name => caches.delete(name)));
}

/**
 * The promise's value; nothing if it fails or takes long.
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T | void>}
 */
function patiently(promise) {
  const late = new Promise(resolve => setTimeout(resolve, PATIENCE));
  return Promise.race([promise, late]).catch(() => {});
}

/** @param {string} url */
function nameOf(url) {
  const { origin, pathname } = new URL(url);
  const address = origin + pathname;
  return address.startsWith(scope) ? address.slice(scope.length) || "index.html" : "";
}

/**
 * What is kept; the network's file of the same version if that comes sooner than a late storage.
 * @param {string} name @param {Request} request
 */
async function answer(name, request) {
  const kept = find(name, request);
  return (await patiently(kept)) ?? Promise.any([kept, fetchOwn(name)]);
}

/** @param {string} name @param {Request} request for a file that is not kept any more */
async function find(name, request) {
  const kept = await caches.match(new URL(name, scope), { cacheName: await version });
  return kept ?? fetch(request);
}
