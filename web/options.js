// @ts-check
/** What public methods take: all else is refused by a TypeError that says what would be right. */

/** Types of the options of `create`; `tier` and `threads` are looked at where they are chosen. */
export const CREATE = {
  worker: "boolean",
  transfer: "boolean",
  cache: "boolean or no-cache",
  onProgress: "function",
  sha256: "string",
  wasmUrl: "string or object",
  signal: "object",
  tier: "",
  threads: "",
};

/** Those of `run`. */
export const RUN = { transfer: "boolean" };

/** @param {unknown} value @returns {value is object} */
export const isObject = value => typeof value === "object" && value !== null;

/**
 * @param {unknown} given
 * @param {Record<string, string>} known
 */
export function checkOptions(given, known) {
  if (!isObject(given)) throw wrong("options", "object", given);
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(known, name))
      throw new TypeError(`unknown option '${name}'; expected ${Object.keys(known).join(", ")}`);
    const type = known[name];
    const fits = [typeof value, value].some(kind => type.split(" or ").includes(/** @type {any} */ (kind)));
    if (type && value !== undefined && !fits) throw wrong(`'${name}'`, type, value);
  }
}

/**
 * @param {string} what
 * @param {string} taken what it has to be
 * @param {unknown} given
 */
export const wrong = (what, taken, given) =>
  new TypeError(`${what} must be ${taken}, not ${isObject(given) ? "object" : String(given)}`);
