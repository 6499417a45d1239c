// @ts-check
/** A host in a Worker of its own, and the way there and back: messages, answered one after the other. */

import { EngineError, fromPlain, toPlain } from "./errors.js";
import { Host } from "./host.js";
import { buffersOf, like, Places, touch } from "./places.js";
import { join } from "./threads.js";
import { hold, startWorker } from "./worker.js";

/**
 * @typedef {import("./host.js").Created} Created
 * @typedef {import("./host.js").Ran} Ran
 * @typedef {import("./plan.js").Data} Data
 * @typedef {import("./runtime.js").StepTime} StepTime
 *
 * @typedef {{id: number, call: "open" | "write" | "create" | "run" | "profile", args: any[]}} Call of a method of `Host`
 */

export class RemoteHost {
  #worker;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  #pending = new Map();
  #count = 0;
  /** Where feeds and outputs lie, if this thread can reach them. @type {Places | undefined} */
  #places;
  /** The last of the runs in that memory, until it has ended. @type {Promise<void> | undefined} */
  #last;
  /** Buffers that have come back. @type {ArrayBuffer[]} */
  #spare = [];
  /** @type {Error | undefined} */
  #ended;

  /** @param {(error: Error) => void} onFailure told when the Worker fails */
  constructor(onFailure) {
    this.#worker = startWorker("the session's Worker", onFailure);
    this.#worker.onmessage = ({ data }) => {
      const call = this.#pending.get(data.id);
      this.#pending.delete(data.id);
      data.error ? call?.reject(fromPlain(data.error)) : call?.resolve(data.result);
    };
  }

  /** @param {import("./host.js").Opening} opening @returns {Promise<void>} */
  open(opening) {
    return this.#call("open", [opening]);
  }

  /** @param {Uint8Array<ArrayBuffer>} piece is taken @returns {Promise<ArrayBuffer>} */
  write(piece) {
    return this.#call("write", [piece], [piece.buffer]);
  }

  /** @param {import("./host.js").Kernels} kernels @param {number} threads @returns {Promise<Created>} */
  async create(kernels, threads) {
    const { created, shared } = await this.#call("create", [kernels, threads]);
    if (shared) this.#places = new Places(created.plans, shared);
    return created;
  }

  /**
   * @param {number} plan
   * @param {readonly Data[]} feeds
   * @param {readonly string[]} names
   * @param {import("./places.js").Into} into
   * @param {boolean} transfer whether to take the buffers of the feeds
   * @returns {Promise<Ran>}
   */
  run(plan, feeds, names, into, transfer) {
    const places = this.#places;
    if (!places) return this.#send(plan, feeds, names, into, transfer);
    return this.#inTurn(feeds, async feeds => {
      places.write(plan, feeds);
      const room = places.room(plan, names, into);
      const ran = this.#call("run", [plan, [], []]);
      touch(room, into);
      const { ms } = await ran;
      return { outputs: places.read(plan, names, room), ms };
    });
  }

  /** @param {number} plan @param {readonly Data[]} feeds @returns {Promise<StepTime[]>} */
  profile(plan, feeds) {
    const places = this.#places;
    if (!places) return this.#call("profile", [plan, feeds]);
    return this.#inTurn(feeds, async feeds => {
      places.write(plan, feeds);
      return this.#call("profile", [plan, []]);
    });
  }

  /** End the Worker, which gives its memory back. @param {Error} reason why calls are not answered any more */
  end(reason) {
    this.#ended = reason;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  /**
   * Feeds and outputs travel, as copies in buffers that go to and fro.
   * @param {number} plan
   * @param {readonly Data[]} feeds
   * @param {readonly string[]} names
   * @param {import("./places.js").Into} into
   * @param {boolean} transfer
   * @returns {Promise<Ran>}
   */
  async #send(plan, feeds, names, into, transfer) {
    const sent = transfer ? feeds : feeds.map(feed => like(feed, this.#spare));
    if (!transfer) for (const [i, feed] of feeds.entries()) sent[i].set(/** @type {any} */ (feed));
    const back = into.map(array => array && like(array, this.#spare));
    const moved = buffersOf([...sent, ...back.filter(array => array !== undefined)]);
    const { outputs, ms, spare } = await this.#call("run", [plan, sent, names, back], moved);
    this.#spare = spare;
    const arrays = into.map((array, i) => {
      if (!array) return outputs[i];
      array.set(outputs[i]);
      this.#spare.push(outputs[i].buffer);
      return array;
    });
    return { outputs: arrays, ms };
  }

  /**
   * Runs that use the same memory: each begins when the outputs of the one before have been read.
   * @template T
   * @param {readonly Data[]} feeds whoever gave them may change them before their turn
   * @param {(feeds: readonly Data[]) => Promise<T>} run
   * @returns {Promise<T>}
   */
  #inTurn(feeds, run) {
    const kept = this.#last ? feeds.map(feed => feed.slice()) : feeds;
    const ran = this.#last ? this.#last.then(() => run(kept)) : run(kept);
    const done = () => {
      if (this.#last === last) this.#last = undefined;
    };
    const last = ran.then(done, done);
    this.#last = last;
    return ran;
  }

  /**
   * @param {Call["call"]} call
   * @param {any[]} args
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>}
   */
  #call(call, args, transfer = []) {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, args }, transfer);
    });
  }
}

/** Be the other end: called in a Worker that `startWorker` has started. */
export function serve() {
  const host = new Host(error => {
    throw error; // in an event, so that it becomes an error of this Worker
  });
  const holding = hold();
  self.onmessageerror = () => {
    throw new EngineError("a message cannot be read (is there too little memory?)");
  };
  self.onmessage = async (
    /** @type {MessageEvent<Call | {join: import("./threads.js").Membership}>} */ { data },
  ) => {
    const last = "join" in data; // a thread hears of nothing after that
    if (last || data.call === "create") await holding;
    if (last) return join(data.join);
    const { id } = data;
    try {
      const { result, transfer = [] } = await answer(host, data);
      self.postMessage({ id, result }, { transfer });
    } catch (error) {
      self.postMessage({ id, error: toPlain(error) });
    }
  };
}

/**
 * @param {Host} host
 * @param {Call} call
 * @returns {Promise<{result: any, transfer?: Transferable[]}>}
 */
async function answer(host, { call, args }) {
  const result = await /** @type {any} */ (host)[call](...args);
  switch (call) {
    case "write":
      return { result, transfer: [result] };
    case "create":
      return { result: { created: result, shared: host.shared } };
    case "run": {
      const spare = buffersOf(args[1]);
      return { result: { ...result, spare }, transfer: [...spare, ...buffersOf(result.outputs)] };
    }
    default:
      return { result };
  }
}
