// @ts-check
/** What the pages of all runtimes share: they load one model, run it once, and then wait to be measured. */

/**
 * @typedef {Float32Array | Int32Array | BigInt64Array} Data
 * @typedef {{name: string, type: "float32" | "int32" | "int64", dims: number[], url: string}} Stored
 * @typedef {{name: string, type: Stored["type"], dims: number[], data: Data}} Feed
 * @typedef {{
 *   model: string, threads: number, tier: string, worker: boolean, loop: boolean, feeds: Stored[], expected: Stored[],
 *   probe: string,
 * }} Job
 *
 * @typedef {object} Session
 * @property {number} threads how many it really uses
 * @property {string} [tier] the kernels that it really uses, where there is a choice
 * @property {() => Promise<Record<string, ArrayLike<number | bigint>>>} run from the feeds to arrays of the outputs
 * @property {() => number} [computeTime] milliseconds of the last run without the way to a Worker and back
 */

/** Milliseconds of the loop that tells whether something else has a part of the cores. */
const PROBED = 2;
/** Milliseconds after which the browser's second compiler has had its turn with that loop. */
const COMPILED = 50;
/** Milliseconds to wait for a moment in which nothing else has a part of the cores. */
const PATIENCE = 1000;
/** Milliseconds after which threads that have waited for work while spinning have gone to sleep. */
const REST = 20;

const ARRAYS = { float32: Float32Array, int32: Int32Array, int64: BigInt64Array };

/**
 * Make `globalThis.bench`, a promise of the page's functions that is resolved after the first output.
 * @param {(job: Job, feeds: Promise<Feed[]>) => Promise<Session>} load
 */
export function start(load) {
  const job = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("job")).textContent ?? "");
  Object.assign(globalThis, { bench: prepare(job, load) });
}

/** @param {Job} job @param {(job: Job, feeds: Promise<Feed[]>) => Promise<Session>} load */
async function prepare(job, load) {
  const session = await load(job, Promise.all(job.feeds.map(fetchFeed)));
  await session.run();
  /** @type {(() => Promise<number>) | undefined} */
  let probe;
  return {
    /** Milliseconds from navigation to the first output. */
    coldStart: performance.now(),
    used: { threads: session.threads, tier: session.tier ?? "" },

    /** The largest difference of each output from what is expected, relative to the largest value expected. */
    async compare() {
      const outputs = await session.run();
      const errors = job.expected.map(async stored => [
        stored.name,
        difference(outputs[stored.name], (await fetchFeed(stored)).data),
      ]);
      return Object.fromEntries(await Promise.all(errors));
    },

    /**
     * Mean milliseconds of runs that take at least `least` milliseconds together, and the speed of a loop that
     * nothing but other users of the cores slows down, before or after them, whichever is less.
     * @param {number} least
     * @param {boolean} warm whether to run once before, so that the caches hold the model again
     * @param {number} enough the speed of the loop to wait for, but not longer than `PATIENCE`
     */
    async measure(least, warm, enough) {
      probe ??= await startProbes(job);
      const late = performance.now() + PATIENCE;
      let speed = await probe();
      while (speed < enough && performance.now() < late) speed = await probe();
      if (warm) await session.run();
      let runs = 0;
      let inside = 0;
      let total = 0;
      const begin = performance.now();
      do {
        await session.run();
        inside += session.computeTime?.() ?? 0;
        runs++;
        total = performance.now() - begin;
      } while (total < least);
      const ms = total / runs;
      // Not before the samples too: a core that has been idle is another one's for a while.
      if (session.threads > 1) await new Promise(resolve => setTimeout(resolve, REST));
      speed = Math.min(speed, await probe());
      return { ms, inside: session.computeTime ? inside / runs : null, speed };
    },
  };
}

/**
 * A function that tells the least of the speeds of a loop that needs no memory, in this thread and, at once, in as many
 * others as the model runs in.
 * @param {Job} job @returns {Promise<() => Promise<number>>}
 */
async function startProbes({ probe, threads, worker }) {
  const { loadLoops, rate, spawnLoops } = await import("./loops.js"); // not before the cold start is over
  const { mul_add: loop } = await loadLoops([probe]);
  const others = await spawnLoops(Math.max(threads, worker ? 2 : 1) - 1, [probe]);
  const measure = async (/** @type {number} */ least) => {
    const answers = others.map(ask => ask({ kind: "mul_add", least }));
    return Math.min(rate(loop, least), ...(await Promise.all(answers)));
  };
  await measure(COMPILED);
  return () => measure(PROBED);
}

/** @param {Stored} stored @returns {Promise<Feed>} */
async function fetchFeed({ name, type, dims, url }) {
  return { name, type, dims, data: new ARRAYS[type](await (await fetch(url)).arrayBuffer()) };
}

/** @param {ArrayLike<number | bigint> | undefined} actual @param {Data} expected */
function difference(actual, expected) {
  if (actual?.length !== expected.length) return null;
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(Number(actual[i]) - Number(expected[i]));
    if (!(error <= worst)) worst = error;
    scale = Math.max(scale, Math.abs(Number(expected[i])));
  }
  return Number.isNaN(worst) ? null : worst / scale;
}
