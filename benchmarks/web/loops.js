// @ts-check
/** The loops of `benchmarks/roofline.py`: in the calling thread, or in Workers. */

const ITERATIONS = 1 << 18;

/** @typedef {() => number} Loop does some work, and returns how much */

/**
 * The loops of modules by their names, as far as the browser knows their instructions.
 * @param {string[]} urls
 * @returns {Promise<Record<string, Loop>>}
 */
export async function loadLoops(urls) {
  const found = await Promise.all(urls.map(loadModule));
  return Object.assign({}, ...found);
}

/** @param {string} url @returns {Promise<Record<string, Loop>>} */
async function loadModule(url) {
  const bytes = await (await fetch(url)).arrayBuffer();
  if (!WebAssembly.validate(bytes)) return {};
  const { instance } = await WebAssembly.instantiate(bytes);
  const { memory, macs, read, ...others } = /** @type {any} */ (instance.exports);
  /** @type {Record<string, Loop>} */
  const loops = {};
  for (const [name, loop] of Object.entries(others)) {
    loops[name] = () => {
      loop(ITERATIONS);
      return macs.value * ITERATIONS;
    };
  }
  if (read) {
    // Untouched pages are all the same page of zeros.
    new Uint8Array(memory.buffer).fill(1);
    loops.read = () => {
      read(memory.buffer.byteLength);
      return memory.buffer.byteLength;
    };
  }
  return loops;
}

/** Work per second. @param {Loop} loop @param {number} least milliseconds */
export function rate(loop, least) {
  let work = 0;
  let ms = 0;
  const begin = performance.now();
  do {
    work += loop();
    ms = performance.now() - begin;
  } while (ms < least);
  return (work / ms) * 1000;
}

/**
 * As many Workers with these modules; what one of them is asked: `{ kinds: true }` for the names of its loops, or
 * `{ kind, least }` for the work per second of one.
 * @param {number} count @param {string[]} modules
 * @returns {Promise<((request: object) => Promise<any>)[]>}
 */
export function spawnLoops(count, modules) {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const worker = new Worker(new URL("./loops_worker.js", import.meta.url), { type: "module" });
      const ask = (/** @type {object} */ request) =>
        new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = event => reject(new Error(event.message));
          worker.postMessage(request);
        });
      await ask({ modules });
      return ask;
    }),
  );
}
