// @ts-check
/** The errors of this library: the classes of `tinyinfer.errors`, able to cross from a Worker to its page. */

/** Base of all errors that are raised on purpose. */
export class TinyInferError extends Error {}
/** A file cannot be read: the network, the address, the server. */
export class ModelError extends TinyInferError {}
/** A `.tinf` file is truncated, damaged, of another version, or made for other kernels. */
export class PlanError extends TinyInferError {}
/** Inputs given to a run do not match the model's inputs. */
export class FeedError extends TinyInferError {}
/** The browser lacks something, or WebAssembly failed. */
export class EngineError extends TinyInferError {}

/** @type {Record<string, typeof TinyInferError>} */
const KINDS = { TinyInferError, ModelError, PlanError, FeedError, EngineError };
// Set by name, so that minified code still shows them.
for (const [name, kind] of Object.entries(KINDS)) kind.prototype.name = name;

/** @typedef {{name: string, message: string, cause?: unknown}} PlainError an error as a message carries it */

/** @param {unknown} error @returns {PlainError} */
export const toPlain = error =>
  error instanceof Error
    ? { name: error.name, message: error.message, cause: error.cause && `${error.cause}` }
    : { name: "Error", message: `${error}` };

/** @param {PlainError} plain @returns {Error} */
export function fromPlain({ name, message, cause }) {
  const kind = KINDS[name];
  return kind ? new kind(message, { cause }) : Object.assign(new Error(message), { name });
}

/** @param {unknown} error @returns {string} */
export const messageOf = error => toPlain(error).message;
