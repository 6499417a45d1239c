/**
 * Do with an application in FOLDER (`index.html`, `main.js`) what its author would.
 *
 *     node bundle.js vite FOLDER            bundle it into FOLDER/dist
 *     node bundle.js webpack FOLDER         the same
 *     node bundle.js vite-dev FOLDER DATA   serve it as it is, and what else is asked for from the server DATA; prints
 *                                           the address
 */

import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { build, createServer } from "vite";
import webpack from "webpack";

const [tool, root, data] = process.argv.slice(2);
const quiet = { root, configFile: false, logLevel: "error", clearScreen: false };

const tools = {
  vite: () => build(quiet),

  async webpack() {
    const path = join(root, "dist");
    const compiler = webpack({ mode: "production", context: root, entry: "./main.js", output: { path } });
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, result) => (error ? reject(error) : resolve(result)));
    });
    if (stats.hasErrors() || stats.hasWarnings()) throw new Error(stats.toString("errors-warnings"));
    await copyFile(join(root, "index.html"), join(path, "index.html"));
  },

  async "vite-dev"() {
    const proxy = { "^/(index.js|model.tinf|feeds|outputs)$": data };
    const headers = {
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    };
    const server = await createServer({ ...quiet, server: { host: "127.0.0.1", port: 0, headers, proxy } });
    await server.listen();
    process.stdout.write(`http://127.0.0.1:${server.httpServer.address().port}\n`);
  },
};

await tools[tool]();
