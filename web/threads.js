// @ts-check
/**
 * Threads that share the steps of a plan. Each takes pieces of the current step, those of its own region first, until
 * none is left, and goes on when all are done. A thread that is late finds nothing left to take; nobody waits for it.
 */

import { startWorker } from "./worker.js";

/**
 * @typedef {import("./plan.js").Step} Step
 * @typedef {(...args: number[]) => void} Kernel
 * @typedef {{kernel: Kernel, pieces: number[][], first: number, mine: number}} Task
 *   first: the word that tells whether piece 0 has been taken; mine: the first piece of this thread's region
 * @typedef {{word: number, tasks: Task[], count: number}} Job a plan as one thread sees it
 *
 * @typedef {object} Membership what a new thread is told
 * @property {WebAssembly.Module} module
 * @property {WebAssembly.Memory} memory
 * @property {Step[][]} plans
 * @property {number} threads
 * @property {SharedArrayBuffer} buffer times of the steps' ends (float64), then the words
 * @property {number} thread which of them; 0 begins the runs
 */

/** As in Python's `split.PIECES_PER_THREAD`: enough to even out what cores do besides. */
const PIECES = 4;
/** Looks at a word before a thread sleeps: some tens of microseconds, as long as it would take to wake it. */
const SPINS = 20000;

// Words: a counter of what there may be to wait for, sleeping threads, runs, the plan of the last run, one more than
// the step that failed in it, whether to take times; then for each plan its runs, its finished pieces (both since the
// beginning), and for each piece the last run in which it was taken.
const [EVENT, SLEEPERS, RUN, PLAN, FAILED, TIMED, JOBS] = [0, 1, 2, 3, 4, 5, 6];

/** Let the kernels import a shared memory: a change of one byte (`kernel_module.shared`). @param {Uint8Array} bytes */
export function share(bytes) {
  bytes[26 + (bytes[9] & 127) + (bytes[10] << 7)] = 3;
}

/**
 * The arguments of the calls that together are one step, as in Python's `split.pieces`.
 * @param {Step} step
 * @param {number} threads
 */
function cut({ args, split }, threads) {
  if (!split) return [args];
  const [most, width, extent, ...moves] = split;
  const start = args.length - 2;
  const size = extent === undefined ? args[start + 1] - args[start] : args[extent];
  const units = Math.ceil(size / width);
  const count = Math.min(most, threads * PIECES);
  const edge = (/** @type {number} */ i) => Math.min(Math.floor((i * units) / count) * width, size);
  return Array.from({ length: count }, (_, i) => {
    const piece = [...args];
    const [first, last] = [edge(i), edge(i + 1)];
    if (extent === undefined) {
      piece[start + 1] = args[start] + last;
      piece[start] += first;
    } else {
      piece[extent] = last - first;
      for (let j = 0; j < moves.length; j += 2) piece[moves[j]] += first * moves[j + 1];
    }
    return piece;
  });
}

export class Team {
  #words;
  #times;
  /** @type {Job[]} */
  #jobs;
  #others;
  #mayWait = mayWait();

  /**
   * @param {Membership} membership
   * @param {WebAssembly.Exports} exports the kernels of this thread
   * @param {Worker[]} [others] the threads that end with it
   */
  constructor({ plans, buffer, threads, thread }, exports, others = []) {
    this.#others = others;
    const steps = Math.max(...plans.map(({ length }) => length));
    this.#times = new Float64Array(buffer, 0, steps);
    this.#words = new Int32Array(buffer, 8 * steps);
    let word = JOBS;
    this.#jobs = plans.map(plan => {
      const job = { word, tasks: /** @type {Task[]} */ ([]), count: 0 };
      for (const step of plan) {
        const pieces = cut(step, threads);
        const mine = Math.floor((pieces.length * thread) / threads);
        const kernel = /** @type {Kernel} */ (exports[step.kernel]);
        job.tasks.push({ kernel, pieces, first: word + 2 + job.count, mine });
        job.count += pieces.length;
      }
      word += 2 + job.count;
      return job;
    });
  }

  /**
   * Run plan `index` together with all threads that are awake.
   * @param {number} index
   * @returns {number} the step that failed, or -1
   */
  run(index) {
    const words = this.#words;
    const job = this.#jobs[index];
    Atomics.store(words, FAILED, 0);
    Atomics.add(words, job.word, 1);
    Atomics.store(words, PLAN, index);
    Atomics.add(words, RUN, 1);
    this.signal();
    this.#work(job);
    return Atomics.load(words, FAILED) - 1;
  }

  /**
   * As `run`, and when each step was done.
   * @param {number} index
   * @returns {ArrayLike<number>} milliseconds since 1970
   */
  time(index) {
    Atomics.store(this.#words, TIMED, 1);
    this.run(index);
    Atomics.store(this.#words, TIMED, 0);
    return this.#times;
  }

  /** End the other threads. */
  end() {
    for (const worker of this.#others) worker.terminate();
  }

  /** Take part in all runs for ever. */
  serve() {
    const words = this.#words;
    for (let seen = 0; ; ) {
      this.#until(RUN, seen + 1);
      seen = Atomics.load(words, RUN);
      this.#work(this.#jobs[Atomics.load(words, PLAN)]);
    }
  }

  /** @param {Job} job */
  #work({ word, tasks, count }) {
    const words = this.#words;
    const run = Atomics.load(words, word);
    const done = word + 1;
    let before = Math.imul(run - 1, count);
    for (let i = 0; i < tasks.length; i++) {
      const { kernel, pieces, first, mine } = tasks[i];
      const n = pieces.length;
      this.#until(done, before);
      before += n;
      for (let k = 0; k < n && ((Atomics.load(words, done) - before) | 0) < 0; k++) {
        const piece = (mine + k) % n;
        if (Atomics.compareExchange(words, first + piece, run - 1, run) !== run - 1) continue;
        try {
          kernel(...pieces[piece]);
        } catch {
          Atomics.compareExchange(words, FAILED, 0, i + 1);
        }
        if (Atomics.load(words, TIMED)) this.#times[i] = performance.timeOrigin + performance.now();
        if (!((Atomics.add(words, done, 1) + 1 - before) | 0)) this.signal();
      }
    }
    this.#until(done, before);
  }

  /** Wait until a word that only grows has reached `least`. @param {number} word @param {number} least */
  #until(word, least) {
    const words = this.#words;
    for (let spins = 0; ((Atomics.load(words, word) - least) | 0) < 0; spins++) {
      if (spins < SPINS || !this.#mayWait) continue;
      const event = Atomics.load(words, EVENT);
      Atomics.add(words, SLEEPERS, 1);
      if (((Atomics.load(words, word) - least) | 0) < 0) Atomics.wait(words, EVENT, event);
      Atomics.sub(words, SLEEPERS, 1);
      spins = 0;
    }
  }

  /** Wake the threads that sleep: there is, or soon will be, something to do. */
  signal() {
    Atomics.add(this.#words, EVENT, 1);
    if (Atomics.load(this.#words, SLEEPERS)) Atomics.notify(this.#words, EVENT);
  }
}

/** Whether this thread may sleep; a page's own may not, and spins until the others are done with their pieces. */
function mayWait() {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1); // it is 0, so there is nothing to wait for
    return true;
  } catch {
    return false;
  }
}

/**
 * A team of this thread and others, which take part in runs as soon as they have started.
 * @param {Pick<Membership, "module" | "memory" | "plans" | "threads">} shared
 * @param {WebAssembly.Exports} exports the kernels of this thread
 * @param {(error: Error) => void} onFailure told when one cannot start, or dies
 */
export function gather(shared, exports, onFailure) {
  const { plans, threads } = shared;
  const words = plans.map(plan => plan.reduce((sum, step) => sum + cut(step, threads).length, 2));
  const steps = Math.max(...plans.map(({ length }) => length));
  const buffer = new SharedArrayBuffer(8 * steps + 4 * words.reduce((sum, n) => sum + n, JOBS));
  const workers = [];
  for (let thread = 1; thread < threads; thread++) {
    const worker = startWorker("a thread", onFailure);
    worker.postMessage({ join: { ...shared, buffer, thread } });
    workers.push(worker);
  }
  return new Team({ ...shared, buffer, thread: 0 }, exports, workers);
}

/** Be a thread: called in a Worker of its own, never returns. @param {Membership} membership */
export function join(membership) {
  const { module, memory } = membership;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  new Team(membership, exports).serve();
}
