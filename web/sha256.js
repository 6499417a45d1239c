// @ts-check
/** SHA-256 by the browser; where that is missing (pages that are neither HTTPS nor localhost), by FIPS 180-4. */

/** @param {ArrayBuffer} bytes @returns {Promise<string>} hexadecimal */
export async function sha256(bytes) {
  const digest = globalThis.crypto?.subtle ? await crypto.subtle.digest("SHA-256", bytes) : digestOf(bytes);
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {ArrayBuffer} bytes @returns {ArrayBuffer} */
function digestOf(bytes) {
  const padded = new Uint8Array((bytes.byteLength + 72) & ~63);
  padded.set(new Uint8Array(bytes));
  padded[bytes.byteLength] = 0x80;
  const words = new DataView(padded.buffer);
  words.setBigUint64(padded.length - 8, BigInt(bytes.byteLength) * 8n);

  const primes = firstPrimes(64);
  const k = primes.map(p => fraction(Math.cbrt(p)));
  const hash = Int32Array.from(primes.slice(0, 8), p => fraction(Math.sqrt(p)));
  const w = new Int32Array(64);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = words.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const [x, y] = [w[i - 15], w[i - 2]];
      const s0 = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
      const s1 = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i++) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const t = (h + s1 + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
      [h, g, f, e, d, c, b] = [g, f, e, (d + t) | 0, c, b, a];
      a = (t + s0 + ((b & c) ^ (b & d) ^ (c & d))) | 0;
    }
    for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) hash[i] += value;
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (const [i, value] of hash.entries()) digest.setInt32(4 * i, value);
  return digest.buffer;
}

/** @param {number} x @param {number} n */
const turn = (x, n) => (x >>> n) | (x << (32 - n));

/** The first 32 bits behind the point. @param {number} x */
const fraction = x => ((x % 1) * 2 ** 32) | 0;

/** @param {number} count */
function firstPrimes(count) {
  /** @type {number[]} */
  const primes = [];
  for (let n = 2; primes.length < count; n++) if (primes.every(p => n % p)) primes.push(n);
  return primes;
}
