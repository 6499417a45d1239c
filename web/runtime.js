// @ts-check
/** A model in linear memory, and the loop that runs it. Nothing is decided here: the plan holds every address. */

import { EngineError, messageOf, PlanError } from "./errors.js";
import { Places, touch } from "./places.js";
import { gather } from "./threads.js";

const PAGE = 65536;
/** Milliseconds: a run that is shorter, and begins longer after the last one, is over before other threads are awake. */
const WORTH_WAKING = 0.5;

/**
 * @typedef {import("./plan.js").Model} Model
 * @typedef {import("./plan.js").Data} Data
 * @typedef {{kernel: string, node: string, op: string, ms: number}} StepTime
 * @typedef {() => void} Call of a kernel, its arguments bound
 */

export class Runtime {
  #plans;
  #places;
  /** @type {Call[][]} */
  #calls;
  #size;
  /** @type {import("./threads.js").Team | undefined} */
  #team;
  /** Of the last run, in milliseconds: when it ended, and how long it took. */
  #ended = 0;
  #took = Number.POSITIVE_INFINITY;
  /** All of linear memory. */
  buffer;

  /**
   * Starts the other threads, too, if there is work to share.
   * @param {Model} model
   * @param {WebAssembly.Memory} memory from `allocate`, with the weights in it
   * @param {WebAssembly.Module} module the kernels; over a shared memory if there are several threads
   * @param {WebAssembly.Instance} instance of the module over that memory
   * @param {number} threads
   * @param {(error: Error) => void} onFailure told when one of the other threads fails
   * @throws {PlanError} when a step does not fit its kernel
   */
  constructor(model, memory, module, { exports }, threads, onFailure) {
    const plans = model.plans.map(({ steps, memory, scratch }) => ({ steps, memory, scratch }));
    this.threads = plans.some(({ steps }) => steps.some(step => step.split)) ? threads : 1;
    this.#plans = model.plans;
    this.#calls = model.plans.map(plan => plan.steps.map(step => bind(step, exports, model.name)));
    this.#places = new Places(model.plans, memory.buffer);
    this.#size = model.size;
    this.buffer = memory.buffer;
    if (this.threads > 1) this.#team = gather({ module, memory, plans, threads }, exports, onFailure);
  }

  /** Bytes of linear memory: the peak, since it never grows. */
  get memory() {
    const total = this.buffer.byteLength;
    return { weights: this.#size, arena: total - this.#plans[0].arena, total };
  }

  /**
   * Run plan `index`.
   * @param {number} index
   * @param {readonly Data[]} feeds in the order of the plan's inputs; none if they are in place
   * @param {readonly string[]} names the outputs wanted
   * @param {import("./places.js").Into} [into]
   * @returns {Data[]} copies, in the order of `names`
   */
  run(index, feeds, names, into) {
    const start = performance.now();
    const shared = this.#took > WORTH_WAKING || start - this.#ended < WORTH_WAKING;
    const team = shared ? this.#team : undefined;
    this.#prepare(index, feeds, team);
    const calls = this.#calls[index];
    const room = this.#places.room(index, names, into);
    let i = 0;
    try {
      if (team) {
        i = team.run(index, () => touch(room, into));
        // The call that failed in a thread fails here too, and says why.
        if (i >= 0) calls[i]();
        if (i >= 0) throw new EngineError("a thread failed");
      } else {
        for (; i < calls.length; i++) calls[i]();
      }
    } catch (error) {
      throw this.#located(index, i, error);
    }
    this.#ended = performance.now();
    this.#took = this.#ended - start;
    this.#places.prepare();
    return this.#places.read(index, names, room);
  }

  /**
   * Run plan `index` and time every step, in milliseconds.
   * @param {number} index
   * @param {readonly Data[]} feeds
   * @returns {StepTime[]}
   */
  profile(index, feeds) {
    this.#prepare(index, feeds, this.#team);
    const { steps, nodes } = this.#plans[index];
    const now = () => performance.timeOrigin + performance.now();
    let last = now();
    const ends =
      this.#team?.time(index) ??
      this.#calls[index].map(call => {
        call();
        return now();
      });
    return steps.map((step, i) => {
      const ms = Math.max(ends[i] - last, 0);
      last = ends[i];
      const [node, op] = nodes[step.node];
      return { kernel: step.kernel, node, op, ms };
    });
  }

  /** End the other threads. */
  end() {
    this.#places.drop();
    this.#team?.end();
  }

  /** @param {number} index @param {readonly Data[]} feeds @param {import("./threads.js").Team} [team] */
  #prepare(index, feeds, team) {
    team?.signal();
    this.#places.write(index, feeds);
  }

  /** @param {number} index @param {number} i @param {unknown} error */
  #located(index, i, error) {
    const { steps, nodes } = this.#plans[index];
    const [node, op] = nodes[steps[i].node];
    return new EngineError(`node ${node} (${op}), kernel ${steps[i].kernel}: ${messageOf(error)}`);
  }
}

/**
 * A memory big enough for every plan.
 * @param {Model} model
 * @param {number} threads
 * @param {boolean} shared between them
 * @throws {EngineError} when it is not to be had
 */
export function allocate({ plans }, threads, shared) {
  const bytes = Math.max(...plans.map(({ memory, scratch }) => memory + (threads - 1) * scratch));
  const pages = Math.ceil(bytes / PAGE);
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch {
    throw new EngineError(
      `the browser did not give the ${(bytes / 2 ** 20).toFixed(1)} MiB of memory that the model needs`,
    );
  }
}

/** @param {import("./plan.js").Step} step @param {WebAssembly.Exports} exports @param {string} name @returns {Call} */
function bind({ kernel, args }, exports, name) {
  const call = exports[kernel];
  if (typeof call !== "function" || call.length !== args.length) {
    const has =
      typeof call === "function" ? `takes ${call.length} arguments, not ${args.length}` : "is missing";
    throw new PlanError(`${name}: damaged: kernel ${kernel} ${has}`);
  }
  return call.bind(undefined, ...args);
}
