// @ts-check
/** Sees to it that loading ends: whatever it waits for, it is told in time that nothing comes. */

import { ModelError } from "./errors.js";

/** Milliseconds. What has not got on for so long is given up. */
const LIMIT = 30_000;
/** Milliseconds from one look to the next. */
const TURN = 1000;
/** The most milliseconds that one turn counts for: a page that was asleep could receive nothing meanwhile. */
const LONGEST_TURN = 10_000;

export class Standstill extends ModelError {}

export class Watch {
  #loading = new AbortController();
  #idle = 0;
  /** @type {Set<{name: string}>} */
  #waiting = new Set();

  /** Aborted when the work is given up. */
  get signal() {
    return this.#loading.signal;
  }

  /**
   * The work's value; rejected when it is aborted, or does not get on.
   * @template T
   * @param {AbortSignal} signal
   * @param {(watch: Watch) => Promise<T>} work
   * @returns {Promise<T>}
   * @throws {Standstill} naming what does not answer
   */
  static over(signal, work) {
    const watch = new Watch();
    return new Promise((resolve, reject) => {
      const fail = (/** @type {unknown} */ reason) => {
        reject(reason);
        watch.#loading.abort(reason);
      };
      const abort = () => fail(signal.reason);
      let last = performance.now();
      const timer = setInterval(() => {
        const now = performance.now();
        watch.#idle += Math.min(now - last, LONGEST_TURN);
        last = now;
        if (watch.#idle >= LIMIT) fail(watch.#standstill());
      }, TURN);
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
      const end = () => {
        clearInterval(timer);
        signal.removeEventListener("abort", abort);
      };
      work(watch).then(resolve, fail).finally(end);
      watch.signal.addEventListener("abort", end);
    });
  }

  /** @template T @param {string} name in messages @param {Promise<T>} promise a part of the work @returns {Promise<T>} */
  during(name, promise) {
    const entry = { name };
    this.#waiting.add(entry);
    return promise.finally(() => {
      this.#idle = 0;
      this.#waiting.delete(entry);
    });
  }

  /** @template T @param {string} name in messages @param {AsyncIterable<T> | Iterable<T>} pieces of the work */
  async *each(name, pieces) {
    const entry = { name };
    this.#waiting.add(entry);
    try {
      for await (const piece of pieces) {
        this.#idle = 0;
        yield piece;
      }
    } finally {
      this.#waiting.delete(entry);
    }
  }

  #standstill() {
    const names = new Set([...this.#waiting].map(({ name }) => name));
    return new Standstill(`nothing has come for ${LIMIT / 1000} s of ${[...names].join(" and ")}`);
  }
}
