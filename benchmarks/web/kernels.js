// @ts-check
/** Times steps of a plan where they stand in it, for one or two kernel modules in turns. */

import { ModelReader } from "/sources/plan.js";

/**
 * @typedef {{model: string, modules: string[], feeds: {name: string, url: string}[]}} Job
 * @typedef {{steps: number[], restore: [address: number, bytes: number] | null}} Entry
 * @typedef {{bytes: Uint8Array, calls: (() => void)[]}} Machine a module with a memory of its own
 */

const PAGE = 65536;
const job = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("job")).textContent ?? "");
Object.assign(globalThis, { bench: prepare(job) });

/** @param {Job} job */
async function prepare({ model, modules, feeds }) {
  let weights = new Uint8Array();
  const reader = new ModelReader(model, ({ size }) => {
    weights = new Uint8Array(size);
    return weights;
  });
  reader.write(new Uint8Array(await fetchBytes(model)));
  const [plan] = (await reader.end()).plans;
  const machines = await Promise.all(modules.map(url => start(plan, weights, url)));
  const inputs = await Promise.all(
    feeds.map(async ({ name, url }) => ({ name, data: await fetchBytes(url) })),
  );
  /** @type {Entry[]} */
  let entries = [];
  return {
    /** @param {Entry[]} wanted */
    begin(wanted) {
      entries = wanted;
    },

    /**
     * Run the plan once and time every entry when its first step is reached.
     * @param {number} turn its parity says which module is first
     * @param {number} least milliseconds for each entry
     * @returns {number[][]} milliseconds by entry and module
     */
    round(turn, least) {
      for (const { bytes } of machines) {
        for (const { name, data } of inputs) bytes.set(new Uint8Array(data), addressOf(plan, name));
      }
      const first = new Map(entries.map((entry, i) => [entry.steps[0], i]));
      const times = entries.map(() => machines.map(() => 0));
      for (let step = 0; step < plan.steps.length; step++) {
        const i = first.get(step);
        if (i !== undefined) {
          for (let k = 0; k < machines.length; k++) {
            const which = (k + turn) % machines.length;
            times[i][which] = time(machines[which], entries[i], least);
          }
        }
        for (const { calls } of machines) calls[step]();
      }
      return times;
    },
  };
}

/** @param {Machine} machine @param {Entry} entry @param {number} least */
function time({ bytes, calls }, { steps, restore }, least) {
  const wanted = steps.map(step => calls[step]);
  const saved = restore && bytes.slice(restore[0], restore[0] + restore[1]);
  let runs = 0;
  let total = 0;
  const repeat = saved ? 1 : batch(wanted, least);
  do {
    const begin = performance.now();
    for (let n = 0; n < repeat; n++) for (const call of wanted) call();
    total += performance.now() - begin;
    runs += repeat;
    if (saved && restore) bytes.set(saved, restore[0]);
  } while (total < least);
  return total / runs;
}

/** How often to run between looks at the clock. @param {(() => void)[]} calls @param {number} least */
function batch(calls, least) {
  const begin = performance.now();
  for (const call of calls) call();
  return Math.max(1, Math.round(least / 4 / Math.max(performance.now() - begin, 0.001)));
}

/**
 * @param {import("/sources/plan.js").Plan} plan
 * @param {Uint8Array} weights
 * @param {string} url
 * @returns {Promise<Machine>}
 */
async function start(plan, weights, url) {
  const pages = plan.memory / PAGE;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { instance } = await WebAssembly.instantiate(await fetchBytes(url), { env: { memory } });
  const bytes = new Uint8Array(memory.buffer);
  bytes.set(weights, plan.weights);
  const calls = plan.steps.map(({ kernel, args }) => {
    const call = /** @type {(...args: number[]) => void} */ (instance.exports[kernel]);
    if (call?.length !== args.length)
      throw new Error(`${url}: ${kernel} is missing or takes other arguments`);
    return () => call(...args);
  });
  return { bytes, calls };
}

/** @param {import("/sources/plan.js").Plan} plan @param {string} name */
function addressOf(plan, name) {
  return plan.inputs.find(binding => binding.name === name)?.address ?? 0;
}

/** @param {string} url */
async function fetchBytes(url) {
  return (await fetch(url)).arrayBuffer();
}
