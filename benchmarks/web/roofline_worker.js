// @ts-check
/** Runs the loops of `benchmarks/roofline.py`. */

const ITERATIONS = 1 << 18;

/** @type {Record<string, () => number>} each does some work and returns how much */
const loops = {};

self.onmessage = async ({ data }) => {
  if (data.modules) {
    for (const url of data.modules) await load(url);
    self.postMessage(true);
  } else if (data.kinds) {
    self.postMessage(Object.keys(loops));
  } else {
    self.postMessage(rate(loops[data.kind], data.least));
  }
};

/** @param {string} url */
async function load(url) {
  const bytes = await (await fetch(url)).arrayBuffer();
  if (!WebAssembly.validate(bytes)) return;
  const { instance } = await WebAssembly.instantiate(bytes);
  const { memory, macs, read, ...others } = /** @type {any} */ (instance.exports);
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
}

/** @param {() => number} loop @param {number} least milliseconds */
function rate(loop, least) {
  let work = 0;
  let ms = 0;
  const begin = performance.now();
  do {
    work += loop();
    ms = performance.now() - begin;
  } while (ms < least);
  return (work / ms) * 1000;
}
