// @ts-check
/** `model.tinf`: a safetensors file whose data section is the weights region and whose metadata holds the plans. */

import { areDigests, Digests } from "./digests.js";
import { messageOf, PlanError } from "./errors.js";
import { join } from "./pieces.js";

const VERSION = 3;
const PAGE = 65536;
const AGAIN = "; download it again, or compile the model again";
const LONGEST_HEADER = 1e8; // as safetensors has it

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
 * @property {number} [scratch] the argument that is the address of memory of which each thread needs its own
 *
 * @typedef {object} Plan a flat list of kernel calls with absolute addresses, for one set of shapes
 * @property {Binding[]} inputs
 * @property {Binding[]} outputs
 * @property {Step[]} steps
 * @property {[name: string, op: string][]} nodes
 * @property {number} weights where the weights begin
 * @property {number} arena where they end and tensors begin
 * @property {number} memory bytes of linear memory, a multiple of the page size
 * @property {number} scratch bytes behind it that each thread but the first has to itself
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {Record<string, string>} metadata the ONNX file's metadata_props
 * @property {Record<string, string>} kernels SHA-256 of the kernel module by tier
 * @property {Plan[]} plans
 * @property {number} size bytes of weights
 * @property {{header: string, chunks: string[]}} digests
 */

/** @param {readonly number[]} shape */
export const sizeOf = shape => shape.reduce((product, n) => product * n, 1);

/** @param {unknown} n @returns {n is number} */
const isCount = n => Number.isSafeInteger(n) && /** @type {number} */ (n) >= 0;

/**
 * Reads a file that comes in pieces. Weights are copied once, from each piece to where they are used: all that has to
 * be known for that stands in front of them.
 */
export class ModelReader {
  #source;
  #status;
  #place;
  /** What has come of the header. @type {Uint8Array<ArrayBuffer>[]} */
  #pieces = [];
  #needed = 8;
  /** @type {Model | undefined} */
  #model;
  /** @type {Uint8Array} */
  #weights = new Uint8Array();
  /** @type {Digests | undefined} */
  #digests;
  /** Bytes that have come. */
  size = 0;

  /**
   * @param {string} source its name in error messages
   * @param {(model: Model) => Uint8Array} place makes room for `model.size` bytes of weights
   * @param {number} [status] of the HTTP answer that the file came with
   */
  constructor(source, place, status) {
    this.#source = source;
    this.#status = status;
    this.#place = place;
  }

  /** @param {Uint8Array<ArrayBuffer>} piece @throws {PlanError} naming what is wrong */
  write(piece) {
    this.size += piece.length;
    if (this.#model) return this.#copy(piece);
    this.#pieces.push(piece.slice()); // whoever gave it may use it again
    while (!this.#model && this.size >= this.#needed) this.#proceed(join(this.#pieces));
  }

  /** @returns {Promise<Model>} @throws {PlanError} when it is truncated, too long, or damaged */
  async end() {
    const extra = this.size - this.#needed;
    if (this.size < 8) throw this.#truncated(`it has only ${this.size} bytes`);
    if (!this.#model)
      throw this.#truncated(`the header needs ${this.#needed - 8} bytes, the file has ${this.size - 8}`);
    const { size } = this.#model;
    if (extra < size) throw this.#truncated(`the weights need ${size} bytes, the file has ${extra}`);
    if (extra > size)
      throw new PlanError(`${this.#source}: damaged: ${extra - size} bytes follow the weights${AGAIN}`);
    const what = await this.#digests?.end();
    if (what) throw new PlanError(`${this.#source}: damaged: ${what}${AGAIN}`);
    return this.#model;
  }

  /** @param {Uint8Array<ArrayBuffer>} start of the file, `#needed` bytes at least */
  #proceed(start) {
    this.#pieces = [start];
    if (this.#needed === 8) {
      const length = Number(new DataView(start.buffer, start.byteOffset).getBigUint64(0, true));
      if (length > LONGEST_HEADER)
        throw new PlanError(`${this.#source}: not a TinyInfer model: ${kindOf(start, this.#status)}`);
      this.#needed += Math.max(length, 1);
      return;
    }
    const header = new TextDecoder().decode(start.subarray(8, this.#needed));
    this.#model = readModel(parseJson(header, this.#source), this.#source);
    this.#weights = this.#place(this.#model);
    this.#digests = new Digests(header, this.#model.digests, this.#weights);
    this.#pieces = [];
    this.#copy(start.subarray(this.#needed));
  }

  /** The last piece may have been too long; `end` complains. @param {Uint8Array} piece */
  #copy(piece) {
    const at = this.size - piece.length - this.#needed;
    this.#weights.set(
      piece.subarray(0, Math.max(this.#weights.length - at, 0)),
      Math.min(at, this.#weights.length),
    );
    this.#digests?.proceed(at + piece.length);
  }

  /** @param {string} what */
  #truncated(what) {
    return new PlanError(`${this.#source}: not a TinyInfer model, or truncated: ${what}`);
  }
}

/** @param {Record<string, any>} header @param {string} source @returns {Model} */
function readModel(header, source) {
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
    const size = measure(header);
    const { name, metadata, kernels, functions, sha256, chunks } = document;
    need(typeof sha256 === "string" && areDigests(chunks, size), "digests are missing");
    need(typeof name === "string" && document.plans.every(areCalls), "its name, or the range of a step");
    const plans = document.plans.map((/** @type {any} */ plan) => readPlan(plan, functions, size));
    need(plans.length > 0, "no plan");
    const common = (/** @type {Plan} */ plan) => plan.weights + inputsOf(plan);
    const alike = plans.every((/** @type {Plan} */ plan) => common(plan) === common(plans[0]));
    need(alike, "its plans disagree on where the weights lie, or on inputs");
    return { name, metadata, kernels, plans, size, digests: { header: sha256, chunks } };
  } catch (error) {
    throw new PlanError(`${source}: damaged: ${messageOf(error)}${AGAIN}`);
  }
}

/**
 * Whether all steps have a range of work, which ends: the last two arguments.
 * @param {{steps: [unknown, unknown, unknown[]][], memory: number}} plan
 */
const areCalls = ({ steps, memory }) =>
  steps.every(([, , args]) => {
    const [from, to] = args.slice(-2);
    return isCount(from) && isCount(to) && from <= to && to <= memory;
  });

/** @param {string} text @param {string} source @returns {any} */
function parseJson(text, source) {
  try {
    const value = JSON.parse(text);
    if (value && typeof value === "object") return value;
  } catch {}
  throw new PlanError(`${source}: not a TinyInfer model, or damaged: its header is not a JSON object`);
}

/**
 * What a file seems to be that is not what it should be.
 * @param {Uint8Array} bytes
 * @param {number} [status] of the HTTP answer that it came with
 */
export function kindOf(bytes, status) {
  // An ONNX file begins with the version of its format, then come its producer or the graph.
  const onnx = bytes[0] === 8 && bytes[1] < 32 && bytes[2] % 8 === 2;
  const kind = bytes.find(byte => byte > 32) === 60 ? "this is HTML" : onnx ? ONNX : "it is damaged";
  return status ? `${kind} (HTTP status ${status})` : kind;
}

const ONNX = "this is an ONNX file, to be compiled with `tinyinfer compile model.onnx -o model.tinf`";

/** The names and types of a plan's inputs. @param {Plan} plan */
const inputsOf = ({ inputs }) => JSON.stringify(inputs.map(({ name, type }) => [name, type]));

/** @param {unknown} condition @param {string} what */
function need(condition, what) {
  if (!condition) throw new Error(what);
}

/**
 * The bytes of weights. Tensors must follow each other without a gap, each padded to 64 bytes: only then are the
 * weights one block to be copied.
 * @param {Record<string, any>} header
 */
function measure({ __metadata__, ...tensors }) {
  const spans = Object.values(tensors).map(t => t.data_offsets);
  spans.sort((a, b) => a[0] - b[0]);
  let end = 0;
  for (const [from, to] of spans) {
    need(from === end && isCount(to) && to >= from && to % 64 === 0, `a tensor lies at ${from} to ${to}`);
    end = to;
  }
  return end;
}

/**
 * @param {any} plan
 * @param {string[]} functions
 * @param {number} size bytes of weights
 * @returns {Plan}
 */
function readPlan({ inputs, outputs, steps, nodes, weights, arena, memory, scratch: each }, functions, size) {
  const fits = [weights, arena, memory, each].every(isCount) && weights + size <= memory && arena <= memory;
  need(fits && memory % PAGE === 0 && memory <= 2 ** 32, `memory map ${weights}, ${arena}, ${memory}`);
  return {
    inputs: inputs.map((/** @type {any} */ b) => readBinding(b, memory)),
    outputs: outputs.map((/** @type {any} */ b) => readBinding(b, memory)),
    steps: steps.map((/** @type {any} */ [index, node, args, split, scratch], /** @type {number} */ i) => {
      args = args.map(Number); // which also reads the names of the floats that JSON lacks
      const known = typeof functions[index] === "string" && Array.isArray(nodes[node]);
      const fits = (!split || canCut(args, split)) && (scratch === undefined || scratch in args);
      need(known && fits, `step ${i}`);
      return { kernel: functions[index], node, args, split, scratch };
    }),
    nodes,
    weights,
    arena,
    memory,
    scratch: each,
  };
}

/**
 * Whether a step can be cut as its plan says: into how many pieces at most, units of which width, and either its last
 * two arguments, a range, or the argument that is its extent, with the arguments that move and their bytes.
 * @param {number[]} args
 * @param {number[]} split
 */
function canCut(args, [most, width, extent, ...moves]) {
  const size = extent === undefined ? 0 : args[extent];
  return (
    [most, width, size, ...moves].every(isCount) &&
    Math.min(most, width) > 0 &&
    size <= 2 ** 32 &&
    moves.length % 2 === 0 &&
    moves.every((at, i) => i % 2 || at in args)
  );
}

/** @param {any} binding @param {number} memory @returns {Binding} */
function readBinding([name, type, shape, address], memory) {
  need(type in TYPES, `tensor ${name} of type ${type}`);
  const size = TYPES[/** @type {DataType} */ (type)].BYTES_PER_ELEMENT;
  const bytes = sizeOf(shape) * size;
  const fits = isCount(address) && address % size === 0 && address + bytes <= memory;
  need(shape.every(isCount) && fits, `tensor ${name} at ${address}`);
  return { name, type, shape, address, bytes };
}
