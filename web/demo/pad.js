// @ts-check
/** A drawing area for mouse, finger and pen. Strokes are kept as points, so that they can be drawn at any size. */

/**
 * @typedef {[x: number, y: number]} Point in units of the area's side
 * @typedef {Point[]} Stroke
 */

const PEN = 0.07; // of the area's side
const PEN_IN_PICTURE = 1 / 8; // of the drawing's longer side
const MS_PER_POINT = 9;

export class Pad {
  #canvas;
  #onChange;
  /** @type {Stroke[]} */
  #strokes = [];
  /** Counts up to end an animation that is under way. */
  #generation = 0;

  /**
   * @param {HTMLCanvasElement} canvas its CSS colour is the ink
   * @param {(finished: boolean) => void} onChange called at every change; `finished` where a stroke ends
   */
  constructor(canvas, onChange) {
    this.#canvas = canvas;
    this.#onChange = onChange;
    canvas.addEventListener("pointerdown", event => this.#begin(event));
    canvas.addEventListener("pointermove", event => this.#extend(event));
    for (const type of ["pointerup", "pointercancel"])
      canvas.addEventListener(type, () => this.#changed(true));
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  get isEmpty() {
    return this.#strokes.length === 0;
  }

  clear() {
    this.#generation++;
    this.#strokes = [];
    this.#changed(true);
  }

  /**
   * Draw these strokes point by point, as a hand would; at once where motion is unwanted.
   * @param {Stroke[]} strokes
   */
  async play(strokes) {
    this.clear();
    const generation = this.#generation;
    const hurry = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const stroke of strokes) {
      /** @type {Stroke} */
      const drawn = [];
      this.#strokes.push(drawn);
      for (const point of stroke) {
        drawn.push(point);
        if (hurry) continue;
        this.#changed(false);
        await new Promise(resolve => setTimeout(resolve, MS_PER_POINT));
        if (generation !== this.#generation) return;
      }
    }
    this.#changed(true);
  }

  /**
   * The drawing as a gray picture, light ink on dark ground, filling `side` × `side` pixels with a margin. The pen's
   * width follows the drawing's size, so that small drawings do not become blots.
   * @param {number} side
   * @returns {Uint8ClampedArray} a byte for each pixel, row by row
   */
  picture(side) {
    const { x, y, size } = boundsOf(this.#strokes);
    const scale = (0.8 * side) / Math.max(size, PEN);
    const context = contextOf(new OffscreenCanvas(side, side));
    context.fillRect(0, 0, side, side);
    context.strokeStyle = context.fillStyle = "#fff";
    context.translate(side / 2, side / 2);
    context.scale(scale, scale);
    context.translate(-x, -y);
    draw(context, this.#strokes, Math.max(size, PEN) * PEN_IN_PICTURE);
    return context.getImageData(0, 0, side, side).data.filter((_, i) => i % 4 === 0);
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#generation++;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#strokes.push([this.#locate(event)]);
    this.#changed(false);
  }

  /** @param {PointerEvent} event */
  #extend(event) {
    if (!this.#canvas.hasPointerCapture(event.pointerId)) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    this.#strokes.at(-1)?.push(...(moves.length ? moves : [event]).map(move => this.#locate(move)));
    this.#changed(false);
  }

  /** @param {PointerEvent} event @returns {Point} */
  #locate({ clientX, clientY }) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  /** @param {boolean} finished */
  #changed(finished) {
    this.#paint();
    this.#onChange(finished);
  }

  #fit() {
    const side = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    this.#canvas.width = this.#canvas.height = side;
    this.#paint();
  }

  #paint() {
    const { width } = this.#canvas;
    const context = contextOf(this.#canvas);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, width);
    context.scale(width, width);
    context.strokeStyle = context.fillStyle = getComputedStyle(this.#canvas).color;
    draw(context, this.#strokes, PEN);
  }
}

/** @param {HTMLCanvasElement | OffscreenCanvas} canvas */
function contextOf(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser offers no 2D canvas");
  return /** @type {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} */ (context);
}

/** The centre of the strokes and the longer side of their box. @param {Stroke[]} strokes */
function boundsOf(strokes) {
  const points = strokes.flat();
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return { x: (left + right) / 2, y: (top + bottom) / 2, size: Math.max(right - left, bottom - top) };
}

/**
 * Draw strokes as smooth lines: each piece bends at a point and ends half-way to the next.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {Stroke[]} strokes
 * @param {number} width
 */
function draw(context, strokes, width) {
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...stroke[0]);
    for (let i = 1; i < stroke.length - 1; i++) {
      const [x, y] = stroke[i];
      const [nextX, nextY] = stroke[i + 1];
      context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
    }
    context.lineTo(...stroke[stroke.length - 1]);
    context.stroke();
  }
}
