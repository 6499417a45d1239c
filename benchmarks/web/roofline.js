// @ts-check
/** The limits of this browser on this machine, measured by as many Workers at once as there are threads. */

import { spawnLoops } from "./loops.js";

/** @typedef {{threads: number, modules: string[]}} Job */

const job = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("job")).textContent ?? "");
Object.assign(globalThis, { bench: prepare(job) });

/** @param {Job} job */
async function prepare({ threads, modules }) {
  const workers = await spawnLoops(threads, modules);
  const [kinds] = await Promise.all(workers.map(ask => ask({ kinds: true })));
  return {
    /** What can be measured: names of loops. */
    kinds,
    /** Work per second (multiply-accumulates or bytes) of one loop over `least` milliseconds, all Workers together. */
    async measure(/** @type {string} */ kind, /** @type {number} */ least) {
      // Once before: memory that had nothing to do for some milliseconds is slow at first.
      await Promise.all(workers.map(ask => ask({ kind, least: 0 })));
      const rates = await Promise.all(workers.map(ask => ask({ kind, least })));
      return rates.reduce((total, rate) => total + rate, 0);
    },
  };
}
