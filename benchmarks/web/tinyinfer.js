// @ts-check
/** TinyInfer as an application uses it, in the page itself or in the session's Worker: then the way there counts, too. */

import { InferenceSession, Tensor } from "/tinyinfer/index.js";
import { start } from "./page.js";

start(async ({ model, threads, tier, worker, loop }, feeds) => {
  const options = /** @type {object} */ ({ threads, tier, worker });
  const [session, given] = await Promise.all([InferenceSession.create(model, options), feeds]);
  const tensors = Object.fromEntries(
    given.map(({ name, type, dims, data }) => [name, new Tensor(type, data, dims)]),
  );
  /** @type {Record<string, Tensor> | undefined} */
  let before;
  return {
    tier: "tier" in session ? String(session.tier) : "simd128",
    threads: "threads" in session ? Number(session.threads) : 1,
    async run() {
      const outputs = await session.run(tensors, before);
      if (loop) before = outputs;
      return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
    },
    computeTime: () => session.runTime,
  };
});
