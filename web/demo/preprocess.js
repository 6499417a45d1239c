// @ts-check
/** From a free drawing to the model's input, as the model's own metadata `tinyinfer.preprocess` asks for. */

/**
 * @typedef {object} Contract
 * @property {"gray"} color
 * @property {"NCHW"} layout
 * @property {number} width pixels of the input
 * @property {number} height
 * @property {number} mean value = (byte − mean) / std
 * @property {number} std
 * @property {"light-on-dark" | "dark-on-light"} polarity
 * @property {number} fit the longer side of the ink's box, in pixels
 * @property {"bounding-box"} center what is placed at the picture's centre
 */

const INK = 127; // bytes above it are ink

/** @param {Record<string, string>} metadata @returns {Contract} */
export function readContract(metadata) {
  const contract = JSON.parse(metadata["tinyinfer.preprocess"] ?? "{}");
  const { color, layout, center, fit } = contract;
  if (color !== "gray" || layout !== "NCHW" || center !== "bounding-box" || !fit) {
    throw new Error("this page feeds models of gray drawings that are centred by their bounding box");
  }
  return contract;
}

/**
 * Frame a drawing.
 * @param {ArrayLike<number>} picture `side` × `side` bytes, light ink on dark ground
 * @param {number} side
 * @param {Contract} contract
 * @returns {Uint8ClampedArray | undefined} `height` × `width` bytes, light ink on dark ground; undefined without ink
 */
export function frame(picture, side, { width, height, fit }) {
  const box = boxOf(picture, side);
  if (!box) return undefined;
  const step = Math.max(box.right - box.left, box.bottom - box.top) / fit; // source pixels for each pixel
  const left = (box.left + box.right - width * step) / 2;
  const top = (box.top + box.bottom - height * step) / 2;
  const columns = Array.from({ length: width }, (_, i) => spans(left + i * step, step, side));
  const rows = Array.from({ length: height }, (_, i) => spans(top + i * step, step, side));
  const framed = new Uint8ClampedArray(width * height);
  for (const [y, row] of rows.entries()) {
    for (const [x, column] of columns.entries()) {
      let sum = 0;
      for (const [i, high] of row) for (const [j, wide] of column) sum += high * wide * picture[i * side + j];
      framed[y * width + x] = sum / (step * step);
    }
  }
  return framed;
}

/**
 * The model's input values.
 * @param {Uint8ClampedArray} framed
 * @param {Contract} contract
 */
export function normalize(framed, { mean, std, polarity }) {
  return Float32Array.from(framed, byte => ((polarity === "dark-on-light" ? 255 - byte : byte) - mean) / std);
}

/** @param {ArrayLike<number>} picture @param {number} side */
function boxOf(picture, side) {
  const box = { left: side, right: 0, top: side, bottom: 0 };
  for (let i = 0; i < side * side; i++) {
    if (picture[i] <= INK) continue;
    const [x, y] = [i % side, Math.floor(i / side)];
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x + 1);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y + 1);
  }
  return box.right ? box : undefined;
}

/**
 * The source pixels under [start, start + length), each with the length covered.
 * @param {number} start
 * @param {number} length
 * @param {number} side
 * @returns {[index: number, covered: number][]}
 */
function spans(start, length, side) {
  /** @type {[number, number][]} */
  const covered = [];
  const end = Math.min(start + length, side);
  for (let i = Math.max(Math.floor(start), 0); i < end; i++) {
    covered.push([i, Math.min(i + 1, end) - Math.max(i, start)]);
  }
  return covered;
}
