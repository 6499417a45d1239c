// @ts-check
/** The limits of this browser on this machine, measured by as many Workers at once as there are threads. */

/** @typedef {{threads: number, modules: string[]}} Job */

const job = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("job")).textContent ?? "");
Object.assign(globalThis, { bench: prepare(job) });

/** @param {Job} job */
async function prepare({ threads, modules }) {
  const workers = await Promise.all(Array.from({ length: threads }, () => spawn(modules)));
  const all = (/** @type {object} */ request) => Promise.all(workers.map(worker => ask(worker, request)));
  const [kinds] = await all({ kinds: true });
  return {
    /** What can be measured: names of loops. */
    kinds,
    /** Work per second (multiply-accumulates or bytes) of one loop over `least` milliseconds, all Workers together. */
    async measure(/** @type {string} */ kind, /** @type {number} */ least) {
      const rates = await all({ kind, least });
      return rates.reduce((total, rate) => total + rate, 0);
    },
  };
}

/** @param {string[]} modules @returns {Promise<Worker>} */
async function spawn(modules) {
  const worker = new Worker(new URL("./roofline_worker.js", import.meta.url), { type: "module" });
  await ask(worker, { modules });
  return worker;
}

/** @param {Worker} worker @param {object} request @returns {Promise<any>} */
function ask(worker, request) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = event => reject(new Error(event.message));
    worker.postMessage(request);
  });
}
