// @ts-check
/** Workers of this library. They load the file that the page has loaded, and know by their name that they are ours. */

import { EngineError, messageOf } from "./errors.js";

// The name stands here twice: bundlers understand nothing but a literal where a Worker is made. Webpack names the
// Worker's file after it, so it is to be a file name everywhere.

/** Whether this thread is one of them, not a page or an application's own Worker. */
export const isOwnWorker = () => "DedicatedWorkerGlobalScope" in globalThis && self.name === "tinyinfer-own";

/**
 * Nothing tells of a Worker that ends, but its locks are given free. Hold one for good, and let whoever started this
 * Worker know, once that is so.
 */
export function hold() {
  const held = `tinyinfer ${Math.random()}`;
  return new Promise(resolve => {
    const holding = () => {
      resolve(self.postMessage({ held }));
      return new Promise(() => {});
    };
    // There are no locks outside secure contexts.
    Promise.resolve(navigator.locks?.request(held, holding)).then(resolve, resolve);
  });
}

/**
 * Call `ended` when the Worker that holds this lock has ended. A Worker of ours, which may be waiting for that very
 * thread, leaves it to who started it.
 * @param {string} held
 * @param {() => void} ended
 */
function whenEnded(held, ended) {
  if (isOwnWorker()) self.postMessage({ held });
  else navigator.locks.request(held, ended);
}

/**
 * Start one.
 * @param {string} role what it is, in messages
 * @param {(error: EngineError) => void} onFailure told when it cannot be loaded or fails
 * @throws {EngineError} when browsers do not allow it
 */
export function startWorker(role, onFailure) {
  try {
    const worker = new Worker(new URL("./index.js", import.meta.url), {
      type: "module",
      name: "tinyinfer-own",
    });
    worker.onerror = ({ message }) => {
      const why = message ?? "its script could not be loaded (is it served, and allowed by worker-src?)";
      onFailure(new EngineError(`${role} failed: ${why}`));
    };
    const unreadable = () => onFailure(new EngineError(`${role} failed: its answer cannot be read`));
    worker.addEventListener("messageerror", unreadable); // Chromium has no onmessageerror here
    const ended = () => onFailure(new EngineError(`${role} ended: closed, or out of memory`));
    worker.addEventListener("message", ({ data: { held } }) => held && whenEnded(held, ended));
    return worker;
  } catch (error) {
    throw new EngineError(`${role} cannot start (it must be of the page's own origin): ${messageOf(error)}`);
  }
}
