// @ts-check
/** SHA-256 by the browser; of streams, and on pages that are neither HTTPS nor localhost, by FIPS 180-4. */

/** @param {Uint8Array<ArrayBuffer>} bytes @returns {Promise<string>} hexadecimal */
export async function sha256(bytes) {
  if (globalThis.crypto?.subtle) return hex(await crypto.subtle.digest("SHA-256", bytes));
  return new Sha256().update(bytes).digest();
}

/** The hash of what comes in pieces. */
export class Sha256 {
  #state = constants().start.slice();
  #block = new Uint8Array(64);
  #length = 0;

  /** @param {Uint8Array} bytes */
  update(bytes) {
    let at = 0;
    const filled = this.#length % 64;
    this.#length += bytes.length;
    if (filled) {
      at = Math.min(64 - filled, bytes.length);
      this.#block.set(bytes.subarray(0, at), filled);
      if (filled + at < 64) return this;
      mix(this.#state, this.#block, 0);
    }
    for (; at + 64 <= bytes.length; at += 64) mix(this.#state, bytes, at);
    this.#block.set(bytes.subarray(at));
    return this;
  }

  /** @returns {string} hexadecimal; nothing can be added after it */
  digest() {
    const bits = BigInt(this.#length) * 8n;
    const end = new Uint8Array(((119 - (this.#length % 64)) % 64) + 9);
    end[0] = 0x80;
    new DataView(end.buffer).setBigUint64(end.length - 8, bits);
    const hash = new DataView(new ArrayBuffer(32));
    for (const [i, word] of this.update(end).#state.entries()) hash.setInt32(4 * i, word);
    return hex(hash.buffer);
  }
}

/** @param {Int32Array} state @param {Uint8Array} bytes @param {number} at where a block of 64 bytes begins */
function mix(state, bytes, at) {
  const { k } = constants();
  for (let i = 0, j = at; i < 16; i++, j += 4) {
    W[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
  }
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15];
    const y = W[i - 2];
    const s0 = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    const s1 = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
    W[i] = W[i - 16] + s0 + W[i - 7] + s1;
  }
  // Assigned one by one: destructuring would make an array at every step.
  let a = state[0];
  let b = state[1];
  let c = state[2];
  let d = state[3];
  let e = state[4];
  let f = state[5];
  let g = state[6];
  let h = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const t = (h + s1 + ((e & f) ^ (~e & g)) + k[i] + W[i]) | 0;
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    h = g;
    g = f;
    f = e;
    e = (d + t) | 0;
    d = c;
    const u = (t + s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    c = b;
    b = a;
    a = u;
  }
  for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] += value;
}

/** @param {number} x @param {number} n */
const turn = (x, n) => (x >>> n) | (x << (32 - n));

/** The first 32 bits behind the point. @param {number} x */
const fraction = x => ((x % 1) * 2 ** 32) | 0;

/** @param {ArrayBuffer} bytes */
const hex = bytes => Array.from(new Uint8Array(bytes), byte => byte.toString(16).padStart(2, "0")).join("");

const W = new Int32Array(64);
/** @type {{start: Int32Array, k: Int32Array} | undefined} */
let made;

/** Made when they are needed, which is seldom. */
function constants() {
  if (made) return made;
  const primes = firstPrimes(64);
  made = {
    start: Int32Array.from(primes.slice(0, 8), p => fraction(Math.sqrt(p))),
    k: Int32Array.from(primes, p => fraction(Math.cbrt(p))),
  };
  return made;
}

/** @param {number} count */
function firstPrimes(count) {
  /** @type {number[]} */
  const primes = [];
  for (let n = 2; primes.length < count; n++) if (primes.every(p => n % p)) primes.push(n);
  return primes;
}
