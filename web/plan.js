// @ts-check
/** `model.tinf`: a safetensors file whose data section is the weights region and whose metadata holds the plans. */

import { PlanError } from "./errors.js";

const VERSION = 1;
const PAGE = 65536;

/** Element types by name, as arrays hold them; booleans are bytes 0 or 1. */
export const TYPES = {
  float32: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
};

/**
 * @typedef {keyof typeof TYPES} DataType
 * @typedef {InstanceType<(typeof TYPES)[DataType]>} Data
 *
 * @typedef {object} Binding a named tensor at a byte address of linear memory
 * @property {string} name
 * @property {DataType} type
 * @property {readonly number[]} shape
 * @property {number} address
 * @property {number} bytes
 *
 * @typedef {object} Step one kernel call
 * @property {string} kernel
 * @property {number} node index in `nodes`
 * @property {number[]} args
 * @property {number[]} [split] how the call may be cut, see `tinyinfer/wasm_backend/split.py`
 *
 * @typedef {object} Plan a flat list of kernel calls with absolute addresses, for one set of shapes
 * @property {Binding[]} inputs
 * @property {Binding[]} outputs
 * @property {Step[]} steps
 * @property {[name: string, op: string][]} nodes
 * @property {number} weights where the weights begin
 * @property {number} arena where they end and tensors begin
 * @property {number} memory bytes of linear memory, a multiple of the page size
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {Record<string, string>} metadata the ONNX file's metadata_props
 * @property {Record<string, string>} kernels SHA-256 of the kernel module by tier
 * @property {Plan[]} plans
 * @property {Uint8Array} data the image of the weights region
 */

/** @param {readonly number[]} shape */
export const sizeOf = shape => shape.reduce((product, n) => product * n, 1);

/** @param {unknown} n @returns {n is number} */
const isCount = n => Number.isSafeInteger(n) && /** @type {number} */ (n) >= 0;

/**
 * Read a file.
 * @param {ArrayBuffer} file
 * @param {string} source its name in error messages
 * @returns {Model}
 * @throws {PlanError} naming what is wrong
 */
export function parse(file, source) {
  const { header, data } = readHeader(file, source);
  const text = header.__metadata__?.tinyinfer;
  if (typeof text !== "string") {
    throw new PlanError(
      `${source}: a safetensors file without TinyInfer plans; make one with \`tinyinfer compile\``,
    );
  }
  const document = parseJson(text, source);
  if (document.version !== VERSION) {
    throw new PlanError(
      `${source}: format version ${document.version}, this TinyInfer reads version ${VERSION}; compile the model again`,
    );
  }
  try {
    checkTensors(header, data.length);
    const { name, metadata, kernels, functions } = document;
    const plans = document.plans.map((/** @type {any} */ plan) => readPlan(plan, functions, data.length));
    need(plans.length > 0, "no plan");
    const together = plans.every((/** @type {Plan} */ plan) => plan.weights === plans[0].weights);
    need(together, "its plans disagree on where the weights lie");
    return { name, metadata, kernels, plans, data };
  } catch (error) {
    throw new PlanError(`${source}: damaged: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {ArrayBuffer} file @param {string} source */
function readHeader(file, source) {
  const fail = (/** @type {string} */ what) =>
    new PlanError(`${source}: not a TinyInfer model, or truncated: ${what}`);
  const size = file.byteLength;
  if (size < 8) throw fail(`it has only ${size} bytes`);
  const length = Number(new DataView(file).getBigUint64(0, true));
  if (length > size - 8) throw fail(`the header needs ${length} bytes, the file has ${size - 8}`);
  const header = parseJson(new TextDecoder().decode(new Uint8Array(file, 8, length)), source);
  const data = new Uint8Array(file, 8 + length);
  const end = tensorsOf(header).reduce((most, t) => Math.max(most, t?.data_offsets?.[1] ?? 0), 0);
  if (end > data.length) throw fail(`the weights need ${end} bytes, the file has ${data.length}`);
  return { header, data };
}

/** @param {Record<string, any>} header @returns {any[]} */
const tensorsOf = ({ __metadata__, ...tensors }) => Object.values(tensors);

/** @param {string} text @param {string} source @returns {any} */
function parseJson(text, source) {
  try {
    const value = JSON.parse(text);
    if (value && typeof value === "object") return value;
  } catch {}
  throw new PlanError(`${source}: not a TinyInfer model, or damaged: its header is not a JSON object`);
}

/** @param {unknown} condition @param {string} what */
function need(condition, what) {
  if (!condition) throw new Error(what);
}

/** Tensors must follow each other without a gap, each padded to 64 bytes: only then is one copy enough. */
/** @param {Record<string, any>} header @param {number} size */
function checkTensors(header, size) {
  const spans = tensorsOf(header).map(t => t.data_offsets);
  spans.sort((a, b) => a[0] - b[0]);
  let end = 0;
  for (const [from, to] of spans) {
    need(from === end && isCount(to) && to >= from && to % 64 === 0, `a tensor lies at ${from} to ${to}`);
    end = to;
  }
  need(end === size, `${size - end} bytes follow the weights`);
}

/**
 * @param {any} plan
 * @param {string[]} functions
 * @param {number} size bytes of weights
 * @returns {Plan}
 */
function readPlan({ inputs, outputs, steps, nodes, weights, arena, memory }, functions, size) {
  const fits = [weights, arena, memory].every(isCount) && weights + size <= memory && arena <= memory;
  need(fits && memory % PAGE === 0 && memory <= 2 ** 32, `memory map ${weights}, ${arena}, ${memory}`);
  return {
    inputs: inputs.map((/** @type {any} */ b) => readBinding(b, memory)),
    outputs: outputs.map((/** @type {any} */ b) => readBinding(b, memory)),
    steps: steps.map((/** @type {any} */ [index, node, args, split], /** @type {number} */ i) => {
      need(typeof functions[index] === "string" && nodes[node], `step ${i}`);
      // Number() also reads the names of the floats that JSON lacks.
      return { kernel: functions[index], node, args: args.map(Number), split };
    }),
    nodes,
    weights,
    arena,
    memory,
  };
}

/** @param {any} binding @param {number} memory @returns {Binding} */
function readBinding([name, type, shape, address], memory) {
  need(type in TYPES, `tensor ${name} of type ${type}`);
  const bytes = sizeOf(shape) * TYPES[/** @type {DataType} */ (type)].BYTES_PER_ELEMENT;
  need(shape.every(isCount) && isCount(address) && address + bytes <= memory, `tensor ${name} at ${address}`);
  return { name, type, shape, address, bytes };
}
