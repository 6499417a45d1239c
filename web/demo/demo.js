// @ts-check
/** The demo page: draw a digit, see what the model makes of it. */

import "./files.js";
import { EXAMPLES } from "./examples.js";
import { InferenceSession, Tensor } from "./index.js";
import { Pad } from "./pad.js";
import { frame, normalize, readContract } from "./preprocess.js";

const MODEL = "./digits.tinf";
const SIDE = 224; // of the picture that is reduced to the model's size
const TIMES = 25; // runs whose median is shown

/** @template {HTMLElement} E @param {string} id @param {new () => E} kind @returns {E} */
function find(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return element;
}

/** @param {string} id @param {string} text */
const write = (id, text) => {
  find(id, HTMLElement).textContent = text;
};

// ── Formats ──────────────────────────────────────────────────────────────────────────────────────────────────

/** @param {number} bytes */
const size = bytes =>
  bytes < 2 ** 20 ? `${(bytes / 2 ** 10).toFixed(0)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** @param {number} p */
const percent = p => `${(100 * p).toFixed(p > 0.0005 && p < 0.9995 ? 1 : 0)} %`;

/** @param {number[]} values */
const median = values => [...values].sort((a, b) => a - b)[values.length >> 1];

/** @param {number} ms */
const time = ms => (ms < 0.1 ? "< 0.1 ms" : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`);

// ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────

class Reader {
  #session;
  #labels;
  #contract;
  #rows;
  /** @type {number[]} */
  #times = [];

  /** @param {InferenceSession} session */
  constructor(session) {
    this.#session = session;
    this.#labels = (session.metadata["tinyinfer.labels"] ?? "").split("\n");
    this.#contract = readContract(session.metadata);
    this.#rows = this.#labels.map(makeRow);
    find("bars", HTMLOListElement).append(...this.#rows.map(({ row }) => row));
    this.rest();
  }

  /** Show that there is nothing to read. */
  rest() {
    write("answer", "–");
    write("confidence", "draw a digit from 0 to 9");
    this.#show(new Float32Array(this.#labels.length));
    this.#preview(new Uint8ClampedArray(this.#contract.width * this.#contract.height));
  }

  /**
   * Read a picture and show the outcome.
   * @param {Uint8ClampedArray} picture
   * @returns {Promise<string>} a sentence about it
   */
  async read(picture) {
    const framed = frame(picture, SIDE, this.#contract);
    if (!framed) return "";
    const { name, type, shape } = this.#session.inputMetadata[0];
    const image = new Tensor(type, normalize(framed, this.#contract), shape);
    const outputs = await this.#session.run({ [name]: image });
    const probabilities = /** @type {Float32Array} */ (outputs[this.#session.outputNames[0]].data);
    this.#preview(framed);
    this.#show(probabilities);
    this.#times = [...this.#times, this.#session.runTime].slice(-TIMES);
    write("time", time(median(this.#times)));
    return this.#conclude(probabilities);
  }

  /** @param {Float32Array} probabilities */
  #conclude(probabilities) {
    const best = probabilities.indexOf(Math.max(...probabilities));
    const sure = probabilities[best] > 0.9 ? "surely" : probabilities[best] > 0.6 ? "probably" : "perhaps";
    write("answer", this.#labels[best]);
    write("confidence", `${sure} a ${this.#labels[best]}, ${percent(probabilities[best])}`);
    return `${sure} a ${this.#labels[best]}, ${percent(probabilities[best])}`;
  }

  /** @param {Float32Array} probabilities */
  #show(probabilities) {
    const most = Math.max(...probabilities);
    for (const [i, { row, fill, text }] of this.#rows.entries()) {
      fill.style.setProperty("--value", `${probabilities[i]}`);
      text.textContent = percent(probabilities[i]);
      row.classList.toggle("best", most > 0 && probabilities[i] === most);
    }
  }

  /** @param {Uint8ClampedArray} framed */
  #preview(framed) {
    const { width, height } = this.#contract;
    const image = new ImageData(width, height);
    for (const [i, byte] of framed.entries()) image.data.set([byte, byte, byte, 255], 4 * i);
    const canvas = find("seen", HTMLCanvasElement);
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d")?.putImageData(image, 0, 0);
  }
}

/** @param {string} label */
function makeRow(label) {
  const [row, name, track, fill, text] = ["li", "span", "span", "span", "span"].map(tag =>
    document.createElement(tag),
  );
  name.textContent = label;
  [track.className, fill.className, text.className] = ["track", "fill", "percent"];
  track.append(fill);
  row.append(name, track, text);
  return { row, fill, text };
}

// ── The page ─────────────────────────────────────────────────────────────────────────────────────────────────

/** @param {Reader} reader */
function connect(reader) {
  let wanted = false;
  let busy = false;
  const pad = new Pad(find("pad", HTMLCanvasElement), async finished => {
    find("hint", HTMLElement).classList.toggle("gone", !pad.isEmpty);
    wanted = true;
    if (busy) return;
    busy = true;
    let sentence = "";
    // What was drawn during a run is read by the next one.
    while (wanted) {
      wanted = false;
      sentence = pad.isEmpty ? "" : await reader.read(pad.picture(SIDE)).catch(report);
    }
    busy = false;
    if (pad.isEmpty) reader.rest();
    if (finished) write("announcement", sentence);
  });
  find("clear", HTMLButtonElement).addEventListener("click", () => pad.clear());
  document.addEventListener("keydown", ({ key }) => key === "Escape" && pad.clear());
  for (const [digit, strokes] of EXAMPLES.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${digit}`;
    button.setAttribute("aria-label", `Draw a ${digit}`);
    button.addEventListener("click", () => pad.play(strokes));
    find("examples", HTMLElement).append(button);
  }
}

/** @param {InferenceSession} session */
function describe({ memory, fileSizes }) {
  write("memory", size(memory.total));
  write("memory-note", `weights ${size(memory.weights)}, tensors ${size(memory.arena)}`);
  write("model", size(fileSizes.model));
  write("kernels", size(fileSizes.kernels));
  write("kernels-note", "WebAssembly SIMD on the CPU");
}

async function prepareOffline() {
  const show = (/** @type {string} */ text, /** @type {string} */ note, good = false) => {
    write("offline", text);
    write("offline-note", note);
    find("offline", HTMLElement).classList.toggle("good", good);
  };
  if (!("serviceWorker" in navigator)) return show("needed", "offline use needs HTTPS or localhost");
  const update = () => {
    if (navigator.onLine) show("Works offline", "every file is kept: cut the network and reload", true);
    else show("Offline, working", "nothing is fetched from anywhere", true);
  };
  try {
    const registration = await navigator.serviceWorker.register("./sw.js");
    const { installing } = registration;
    installing?.addEventListener("statechange", () => {
      if (installing.state === "redundant" && !registration.active)
        show("needed", "a file could not be kept for later");
    });
    await navigator.serviceWorker.ready;
    update();
    addEventListener("online", update);
    addEventListener("offline", update);
  } catch (error) {
    show("needed", `offline use is not available: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {unknown} error */
function report(error) {
  const problem = find("problem", HTMLElement);
  problem.textContent = error instanceof Error ? error.message : `${error}`;
  problem.hidden = false;
  return "";
}

async function main() {
  const loading = find("loading", HTMLProgressElement);
  try {
    const session = await InferenceSession.create(MODEL, {
      worker: false, // runs are short: starting a Worker would take longer than all of them
      cache: false, // the service worker keeps every file
      sha256: globalThis.tinyinferFiles[MODEL.slice(2)],
      onProgress: ({ url, loaded, total }) => {
        if (url.endsWith(".tinf") && total) loading.value = loaded / total;
      },
    });
    connect(new Reader(session));
    describe(session);
  } catch (error) {
    write("confidence", "the model could not be loaded");
    report(error);
  } finally {
    loading.hidden = true;
  }
  await prepareOffline();
}

main();
