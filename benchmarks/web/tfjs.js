// @ts-check
/** TF.js with its WebAssembly backend and a graph model whose operators are fused as far as it can fuse them. */

import { start } from "./page.js";

start(async ({ model, threads }, feeds) => {
  const { tf } = /** @type {any} */ (globalThis);
  tf.wasm.setWasmPaths("/tfjs/tfjs-backend-wasm/dist/");
  if (threads > 1) {
    // Its pool has half as many threads as it believes to have cores.
    Object.defineProperty(navigator, "hardwareConcurrency", { value: 2 * threads });
    tf.wasm.setThreadsCount(threads);
  } else {
    // The module without threads: one thread has nothing to wait for.
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  }
  await tf.setBackend("wasm");
  const [network, given] = await Promise.all([tf.loadGraphModel(model), feeds]);
  /** @type {string[]} */
  const names = network.outputNodes;
  return {
    threads: threads > 1 ? tf.wasm.getThreadsCount() : 1,
    async run() {
      const tensors = Object.fromEntries(
        given.map(({ name, type, dims, data }) => [name, tf.tensor(data, dims, type)]),
      );
      const results = network.execute(tensors, names);
      const list = Array.isArray(results) ? results : [results];
      const arrays = await Promise.all(list.map((/** @type {any} */ tensor) => tensor.data()));
      tf.dispose([tensors, list]);
      return Object.fromEntries(names.map((name, i) => [name, arrays[i]]));
    },
  };
});
