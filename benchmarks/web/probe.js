// @ts-check
/** Whether something else has a part of a core: then a loop of its own runs slower. */

/** Iterations of the loop: some two milliseconds. */
const PROBED = 1 << 20;
/** How often it runs before its speed counts: until the browser's second compiler has had its turn. */
const PROBES = 20;

/**
 * Multiply-accumulates per second that the calling thread makes without memory.
 * @param {string} url of the module with the loop
 * @returns {Promise<() => number>}
 */
export async function loadProbe(url) {
  const { instance } = await WebAssembly.instantiate(await (await fetch(url)).arrayBuffer());
  const { mul_add: loop, macs } = /** @type {any} */ (instance.exports);
  const probe = () => {
    const begin = performance.now();
    loop(PROBED);
    return (macs.value * PROBED * 1000) / (performance.now() - begin);
  };
  for (let i = 0; i < PROBES; i++) probe();
  return probe;
}
