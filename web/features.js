// @ts-check
/** What the browser offers. */

import { EngineError } from "./errors.js";

/** A module whose only function holds one v128 constant. */
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98,
  11,
];

/** @type {Record<string, [probe: () => boolean, needed: string]>} */
const PROBES = {
  webAssembly: [() => typeof WebAssembly === "object", "WebAssembly (Chrome 57, Firefox 52, Safari 11)"],
  simd: [
    () => WebAssembly.validate(new Uint8Array(SIMD)),
    "WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4)",
  ],
  moduleWorker: [hasModuleWorker, "module Workers (Chrome 80, Firefox 114, Safari 15)"],
  crossOriginIsolated: [() => globalThis.crossOriginIsolated === true, ""],
  indexedDB: [() => Boolean(globalThis.indexedDB), ""],
  secureContext: [() => globalThis.isSecureContext === true, ""],
};

/** The address is not one, so no worker starts; the type is asked for all the same. */
function hasModuleWorker() {
  let asked = false;
  try {
    new Worker("https://:", {
      get type() {
        asked = true;
        return /** @type {"module"} */ ("module");
      },
    });
  } catch {}
  return asked;
}

/** @returns {Record<string, boolean>} every feature that matters here, and whether it is there */
export function features() {
  return Object.fromEntries(Object.entries(PROBES).map(([name, [probe]]) => [name, attempt(probe)]));
}

/** @throws {EngineError} naming everything that is needed and missing */
export function requireFeatures() {
  const missing = Object.values(PROBES).filter(([probe, needed]) => needed && !attempt(probe));
  if (missing.length) {
    throw new EngineError(
      `this browser lacks ${missing.map(([, needed]) => needed).join(" and ")}; those versions or newer have it`,
    );
  }
}

/** @param {() => boolean} probe */
function attempt(probe) {
  try {
    return probe();
  } catch {
    return false;
  }
}
