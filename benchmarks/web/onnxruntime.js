// @ts-check
/** onnxruntime-web by its entry that only knows WebAssembly. */

import * as ort from "/onnxruntime/ort.wasm.min.mjs";
import { start } from "./page.js";

start(async ({ model, threads }, feeds) => {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = "/onnxruntime/";
  const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
  const [session, given] = await Promise.all([ort.InferenceSession.create(model, options), feeds]);
  const tensors = Object.fromEntries(
    given.map(({ name, type, dims, data }) => [name, new ort.Tensor(type, data, dims)]),
  );
  return {
    threads: ort.env.wasm.numThreads,
    async run() {
      const outputs = await session.run(tensors);
      return Object.fromEntries(
        session.outputNames.map((/** @type {string} */ name) => [name, outputs[name].data]),
      );
    },
  };
});
