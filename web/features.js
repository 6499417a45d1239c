// @ts-check
/** What the browser offers. */

import { EngineError } from "./errors.js";

/** A module whose only function holds one v128 constant. */
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98,
  11,
];

/** A module that exports f(a, b, c) = a·b + c by `f32x4.relaxed_madd`. */
const RELAXED_MADD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 125, 125, 125, 1, 125, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10,
  22, 1, 20, 0, 32, 0, 253, 19, 32, 1, 253, 19, 32, 2, 253, 19, 253, 133, 2, 253, 31, 0, 11,
];

/** @typedef {"simd128" | "relaxed"} Tier */

/** @type {Record<string, [probe: () => boolean, needed: string]>} */
const PROBES = {
  webAssembly: [() => Boolean(globalThis.WebAssembly), "WebAssembly (Chrome 57, Firefox 52, Safari 11)"],
  simd: [
    () => WebAssembly.validate(new Uint8Array(SIMD)),
    "WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4)",
  ],
  relaxedSimd: [fuses, ""],
  moduleWorker: [hasModuleWorker, "module Workers (Chrome 80, Firefox 114, Safari 15)"],
  crossOriginIsolated: [() => Boolean(globalThis.crossOriginIsolated), ""],
  sharedMemory: [canShare, ""],
  cacheStorage: [() => Boolean(globalThis.caches), ""],
  secureContext: [() => Boolean(globalThis.isSecureContext), ""],
};

/** Whether this thread can start Workers: not in service workers, and in shared ones not in every browser. */
export const hasWorkers = () => typeof Worker === "function";

/** Whether threads can share memory. WebKitGTK calls pages isolated, yet has no SharedArrayBuffer. */
export function canShare() {
  return hasWorkers() && Boolean(globalThis.crossOriginIsolated) && typeof SharedArrayBuffer === "function";
}

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

/** Whether the multiply-add of relaxed SIMD rounds once; with two roundings the result here is 0. */
function fuses() {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(RELAXED_MADD)));
  const madd = /** @type {(a: number, b: number, c: number) => number} */ (exports.f);
  return madd(1 + 2 ** -12, 1 + 2 ** -12, -1 - 2 ** -11) === 2 ** -24;
}

/**
 * @param {Tier | "auto"} wanted
 * @returns {Tier}
 * @throws {EngineError} when this browser does not compute what the relaxed tier is defined to
 */
export function chooseTier(wanted) {
  if (!["simd128", "relaxed", "auto"].includes(wanted)) {
    throw new TypeError(`unknown tier '${wanted}'; expected 'simd128', 'relaxed' or 'auto'`);
  }
  if (wanted === "simd128") return wanted;
  if (attempt(fuses)) return "relaxed";
  if (wanted === "auto") return "simd128";
  throw new EngineError(
    "this browser lacks relaxed SIMD (Chrome 114, Firefox 145), or this machine a fused multiply-add; " +
      "tier 'simd128' runs here",
  );
}

let warned = false;

/**
 * @param {number} [wanted] default: half of the cores, at most 4
 * @returns {number} 1 where memory cannot be shared, which is said once
 */
export function chooseThreads(wanted = Math.min(4, Math.ceil((navigator.hardwareConcurrency || 1) / 2))) {
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 64) {
    throw new RangeError(`'threads' is a whole number from 1 to 64, not ${wanted}`);
  }
  if (wanted === 1 || canShare()) return wanted;
  if (!warned) {
    const why = globalThis.crossOriginIsolated
      ? "there is no SharedArrayBuffer or Worker here"
      : "the page is not cross-origin isolated " +
        "(Cross-Origin-Opener-Policy: same-origin, Cross-Origin-Embedder-Policy: require-corp)";
    console.warn(`tinyinfer: one thread instead of ${wanted}: ${why}`);
  }
  warned = true;
  return 1;
}

/** @returns {Record<string, boolean>} every feature that matters here, and whether it is there */
export function features() {
  return Object.fromEntries(Object.entries(PROBES).map(([name, [probe]]) => [name, attempt(probe)]));
}

/**
 * @param {boolean} workers whether any will be started
 * @throws {EngineError} naming everything that is needed and missing
 */
export function requireFeatures(workers) {
  if (workers && !hasWorkers()) throw new EngineError("no Worker can start here: leave out 'worker: true'");
  const needed = workers
    ? [PROBES.webAssembly, PROBES.simd, PROBES.moduleWorker]
    : [PROBES.webAssembly, PROBES.simd];
  const missing = needed.filter(([probe]) => !attempt(probe));
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
