// @ts-check
/** Answers what `loops.js` asks Workers. */

import { loadLoops, rate } from "./loops.js";

/** @type {Record<string, import("./loops.js").Loop>} */
let loops = {};

self.onmessage = async ({ data }) => {
  if (data.modules) {
    loops = await loadLoops(data.modules);
    self.postMessage(true);
  } else if (data.kinds) {
    self.postMessage(Object.keys(loops));
  } else {
    self.postMessage(rate(loops[data.kind], data.least));
  }
};
