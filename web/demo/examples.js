// @ts-check
/** Ten digits as a hand would draw them. */

/** @typedef {import("./pad.js").Stroke} Stroke */

/**
 * Points on an ellipse, from one angle to another (in turns, clockwise from the top).
 * @param {number} x @param {number} y @param {number} rx @param {number} ry @param {number} from @param {number} to
 * @returns {Stroke}
 */
function arc(x, y, rx, ry, from, to) {
  const count = Math.ceil(Math.abs(to - from) * 40);
  return Array.from({ length: count + 1 }, (_, i) => {
    const angle = (from + ((to - from) * i) / count) * 2 * Math.PI;
    return [x + rx * Math.sin(angle), y - ry * Math.cos(angle)];
  });
}

/**
 * Points on straight lines through the corners.
 * @param {...[number, number]} corners
 * @returns {Stroke}
 */
function line(...corners) {
  return corners.flatMap(([x, y], i) => {
    const [nextX, nextY] = corners[i + 1] ?? [x, y];
    const count = Math.max(1, Math.round(Math.hypot(nextX - x, nextY - y) * 40));
    return Array.from({ length: count }, (_, k) => [
      x + ((nextX - x) * k) / count,
      y + ((nextY - y) * k) / count,
    ]);
  });
}

/** @type {Stroke[][]} */
export const EXAMPLES = [
  [arc(0.5, 0.5, 0.22, 0.34, 0.02, -0.98)],
  [line([0.36, 0.32], [0.53, 0.16], [0.53, 0.84])],
  [[...arc(0.5, 0.34, 0.21, 0.19, -0.2, 0.33), ...line([0.62, 0.5], [0.28, 0.83], [0.75, 0.83])]],
  [[...arc(0.48, 0.32, 0.19, 0.17, -0.18, 0.45), ...arc(0.48, 0.66, 0.23, 0.18, 0.02, 0.72)]],
  [line([0.58, 0.15], [0.25, 0.6], [0.78, 0.6]), line([0.6, 0.4], [0.6, 0.85])],
  [[...line([0.7, 0.16], [0.36, 0.16], [0.31, 0.47]), ...arc(0.48, 0.62, 0.23, 0.22, -0.13, 0.68)]],
  [[...arc(0.68, 0.58, 0.4, 0.44, -0.01, -0.24), ...arc(0.5, 0.66, 0.21, 0.19, -0.25, -1.25)]],
  [line([0.26, 0.17], [0.74, 0.17], [0.44, 0.84])],
  [
    [
      ...arc(0.5, 0.32, 0.17, 0.16, 0.13, -0.5),
      ...arc(0.5, 0.67, 0.21, 0.18, 0.0, 1.0),
      ...arc(0.5, 0.32, 0.17, 0.16, 0.5, 0.13),
    ],
  ],
  [[...arc(0.48, 0.35, 0.2, 0.19, 0.22, -0.78), ...line([0.68, 0.33], [0.66, 0.6], [0.58, 0.85])]],
];
