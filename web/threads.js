// @ts-check
/**
 * Threads that share the steps of a plan. Each takes pieces of the current step, those of its own region first, until
 * none is left, and goes on when all are done. A thread that is late finds nothing left to take; nobody waits for it.
 */

import { EngineError } from "./errors.js";
import { startWorker } from "./worker.js";

/**
 * @typedef {Pick<import("./plan.js").Plan, "steps" | "memory" | "scratch">} Plan
 * @typedef {{kernel: (...args: number[]) => void, args: number[], step: number}} Call
 * @typedef {{first: number, pieces: Call[][]}} Region the calls of each piece; how many pieces its thread had before
 * @typedef {{regions: Region[], end: number}} Task a region for each thread; the pieces of a run up to its end
 * @typedef {{word: number, tasks: Task[], counts: number[]}} Job a plan, and how many pieces each thread has of it
 *
 * @typedef {object} Membership what a new thread is told
 * @property {WebAssembly.Module} module
 * @property {WebAssembly.Memory} memory
 * @property {Plan[]} plans
 * @property {number} threads
 * @property {SharedArrayBuffer} buffer the words, then times of the steps' ends (float64)
 * @property {number} thread which of them; 0 begins the runs
 */

/** Looks at words before a thread sleeps: some tens of microseconds, as long as it would take to wake it. */
const SPINS = 20000;
/** Milliseconds after which a page's own thread gives up another that does not get on with its piece. */
const LIMIT = 60_000;
/** Words from one that a thread writes to the next: two cache lines, since they are fetched in pairs. */
const LINE = 32;

// Words: a counter of what there may be to wait for, sleeping threads, runs, the plan of the last run, one more than
// the step that failed in it, whether to take times. Then, a line each, for every plan: its runs, the pieces taken of
// each thread's regions, and those that each thread has finished; all since the beginning.
const [EVENT, SLEEPERS, RUN, PLAN, FAILED, TIMED] = [0, 1, 2, 3, 4, 5];
const lineOf = (/** @type {number} */ plan, /** @type {number} */ threads) =>
  LINE * (1 + plan * (1 + 2 * threads));

/** Let the kernels import a shared memory: a change of one byte (`kernel_module.shared`). @param {Uint8Array} bytes */
export function share(bytes) {
  bytes[26 + (bytes[9] & 127) + (bytes[10] << 7)] = 3;
}

/**
 * The regions of a step, of the sizes that Python's `split.pieces` gives them, and the calls in each: every one does
 * half of what is left, so that there are few, and small ones at the end to even out what cores do besides.
 * @param {number[]} args
 * @param {number[]} split
 * @param {number} threads
 * @returns {number[][][]} the arguments of the calls
 */
function cut(args, [most, width, extent, ...moves], threads) {
  const start = args.length - 2;
  const size = extent === undefined ? args[start + 1] - args[start] : args[extent];
  const units = Math.ceil(size / width);
  const least = Math.ceil(units / most);
  const count = Math.min(most, threads);
  const call = (/** @type {number} */ first, /** @type {number} */ last) => {
    const piece = [...args];
    if (extent === undefined) {
      piece[start + 1] = args[start] + last;
      piece[start] += first;
    } else {
      piece[extent] = last - first;
      for (let j = 0; j < moves.length; j += 2) piece[moves[j]] += first * moves[j + 1];
    }
    return piece;
  };
  return Array.from({ length: count }, (_, i) => {
    const calls = [];
    const end = Math.floor(((i + 1) * units) / count);
    for (let unit = Math.floor((i * units) / count); unit < end; ) {
      const next = Math.min(unit + Math.max(Math.floor((end - unit) / 2), least), end);
      calls.push(call(unit * width, Math.min(next * width, size)));
      unit = next;
    }
    return calls;
  });
}

/**
 * Steps that are not cut make one piece with those after them.
 * @param {Plan} plan
 * @param {WebAssembly.Exports} exports
 * @param {number} threads
 * @param {number} thread which of them makes the calls
 * @returns {Omit<Job, "word">}
 */
function distribute({ steps, memory, scratch: each }, exports, threads, thread) {
  const tasks = /** @type {Task[]} */ ([]);
  const counts = Array(threads).fill(0);
  let end = 0;
  /** @type {Call[] | undefined} */
  let whole;
  for (const [step, { kernel: name, args: all, split, scratch }] of steps.entries()) {
    const kernel = /** @type {Call["kernel"]} */ (exports[name]);
    const own = thread ? memory + (thread - 1) * each : undefined;
    const args = all.map((value, i) => (i === scratch ? (own ?? value) : value));
    if (whole && !split) {
      whole.push({ kernel, args, step });
      continue;
    }
    const cuts = split ? cut(args, split, threads) : [[args]];
    const regions = counts.map((first, i) => {
      const pieces = (cuts[i] ?? []).map(args => [{ kernel, args, step }]);
      counts[i] += pieces.length;
      end += pieces.length;
      return { first, pieces };
    });
    tasks.push({ regions, end });
    whole = split ? undefined : regions[0].pieces[0];
  }
  return { tasks, counts };
}

export class Team {
  #words;
  #times;
  /** @type {Job[]} */
  #jobs;
  #thread;
  #threads;
  #others;
  #mayWait = mayWait();

  /**
   * @param {Membership} membership
   * @param {WebAssembly.Exports} exports the kernels of this thread
   * @param {Worker[]} [others] the threads that end with it
   */
  constructor({ plans, buffer, threads, thread }, exports, others = []) {
    this.#others = others;
    this.#thread = thread;
    this.#threads = threads;
    this.#words = new Int32Array(buffer);
    this.#times = new Float64Array(buffer, 4 * lineOf(plans.length, threads));
    this.#jobs = plans.map((plan, i) => ({
      word: lineOf(i, threads),
      ...distribute(plan, exports, threads, thread),
    }));
  }

  /**
   * Run plan `index` together with all threads that are awake.
   * @param {number} index
   * @param {() => void} [first] what this thread does before it joins them
   * @returns {number} the step that failed, or -1
   */
  run(index, first) {
    const words = this.#words;
    const job = this.#jobs[index];
    Atomics.store(words, FAILED, 0);
    Atomics.add(words, job.word, 1);
    Atomics.store(words, PLAN, index);
    Atomics.add(words, RUN, 1);
    this.signal();
    first?.();
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
      this.#until(RUN, 1, seen + 1);
      seen = Atomics.load(words, RUN);
      this.#work(this.#jobs[Atomics.load(words, PLAN)]);
    }
  }

  /** @param {Job} job */
  #work({ word, tasks, counts }) {
    const words = this.#words;
    const threads = this.#threads;
    const runs = Atomics.load(words, word) - 1;
    const taken = word + LINE;
    const done = taken + LINE * threads;
    let least = counts.reduce((sum, count) => sum + Math.imul(runs, count), 0) | 0;
    const before = least;
    for (const { regions, end } of tasks) {
      this.#until(done, threads, least);
      least = (before + end) | 0;
      let finished = 0;
      for (let i = 0; i < threads; i++) {
        const thread = (this.#thread + i) % threads;
        const { first, pieces } = regions[thread];
        finished += this.#take(taken + LINE * thread, Math.imul(runs, counts[thread]) + first, pieces);
      }
      if (finished) Atomics.add(words, done + LINE * this.#thread, finished);
      if (this.#reached(done, threads, least)) this.signal();
    }
    this.#until(done, threads, least);
  }

  /**
   * Call what nobody has taken yet of some pieces.
   * @param {number} word counts those taken
   * @param {number} first what it was before them
   * @param {Call[][]} pieces
   * @returns {number} pieces
   */
  #take(word, first, pieces) {
    const words = this.#words;
    let finished = 0;
    for (;;) {
      const last = Atomics.load(words, word);
      const piece = pieces[(last - first) | 0];
      if (!piece) return finished;
      if (Atomics.compareExchange(words, word, last, last + 1) !== last) continue;
      for (const { kernel, args, step } of piece) {
        try {
          kernel(...args);
        } catch {
          Atomics.compareExchange(words, FAILED, 0, step + 1);
        }
        if (Atomics.load(words, TIMED)) this.#times[step] = performance.timeOrigin + performance.now();
      }
      finished++;
    }
  }

  /**
   * Wait until a count has been reached.
   * @param {number} word the first of words that only grow
   * @param {number} n how many of them
   * @param {number} least their sum
   */
  #until(word, n, least) {
    const words = this.#words;
    let start = 0;
    for (let spins = 0; !this.#reached(word, n, least); spins++) {
      if (spins < SPINS) continue;
      if (!this.#mayWait) {
        start ||= performance.now();
        if (performance.now() - start > LIMIT) throw new EngineError("a thread hangs");
        spins = 0;
        continue;
      }
      const event = Atomics.load(words, EVENT);
      Atomics.add(words, SLEEPERS, 1);
      if (!this.#reached(word, n, least)) Atomics.wait(words, EVENT, event);
      Atomics.sub(words, SLEEPERS, 1);
      spins = 0;
    }
  }

  /** Whether it has. @param {number} word @param {number} n @param {number} least */
  #reached(word, n, least) {
    let missing = least;
    for (let i = 0; i < n; i++) missing -= Atomics.load(this.#words, word + LINE * i);
    return (missing | 0) <= 0;
  }

  /** Wake the threads that sleep: there is, or soon will be, something to do. */
  signal() {
    if (!Atomics.load(this.#words, SLEEPERS)) return;
    Atomics.add(this.#words, EVENT, 1);
    Atomics.notify(this.#words, EVENT);
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
  const steps = Math.max(...plans.map(({ steps }) => steps.length));
  const buffer = new SharedArrayBuffer(4 * lineOf(plans.length, threads) + 8 * steps);
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
