// @ts-check
/** Answers every message with the speed of the probe here; the first one names its module. */

import { loadProbe } from "./probe.js";

/** @type {Promise<() => number> | undefined} */
let probe;

self.onmessage = async ({ data }) => {
  probe ??= loadProbe(data);
  self.postMessage((await probe)());
};
