// @ts-check
/** The digests in a model's file: what has come is compared with them beside everything else. */

import { sha256 } from "./sha256.js";

const CHUNK = 2 ** 20;
const UNKNOWN = "0".repeat(64); // stands in the header for its own digest while that is computed

/** @param {unknown} chunks the digests of `size` bytes */
export const areDigests = (chunks, size = 0) =>
  Array.isArray(chunks) && chunks.length === Math.ceil(size / CHUNK);

export class Digests {
  #chunks;
  #weights;
  #copy;
  /** What is damaged, if anything: the header, then the chunks. @type {Promise<string>[]} */
  #found = [];

  /**
   * @param {string} header as text
   * @param {{header: string, chunks: string[]}} digests
   * @param {Uint8Array} weights where they will be
   */
  constructor(header, digests, weights) {
    this.#chunks = digests.chunks;
    this.#weights = weights;
    this.#copy = new Uint8Array(Math.min(weights.length, CHUNK));
    const bytes = new TextEncoder().encode(header.replace(digests.header, UNKNOWN));
    this.#compare(bytes, digests.header, "its header has");
  }

  /** @param {number} size bytes of weights that have come */
  proceed(size) {
    for (let at = CHUNK * (this.#found.length - 1); at < this.#weights.length; at += CHUNK) {
      const end = Math.min(at + CHUNK, this.#weights.length);
      if (end > size) break;
      // A copy, always at the same place: browsers do not hash shared memory, and take theirs before `digest` returns.
      const bytes = this.#copy.subarray(0, end - at);
      bytes.set(this.#weights.subarray(at, end));
      this.#compare(bytes, this.#chunks[at / CHUNK], `bytes ${at} to ${end} of the weights have`);
    }
  }

  /** @returns {Promise<string>} what is damaged first, if anything, once all has come */
  async end() {
    return (await Promise.all(this.#found)).find(what => what) ?? "";
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes @param {string} wanted @param {string} what */
  #compare(bytes, wanted, what) {
    const found = sha256(bytes).then(hash =>
      hash === wanted ? "" : `${what} another SHA-256 than when written`,
    );
    this.#found.push(found);
  }
}
