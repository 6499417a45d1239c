// @ts-check

/**
 * The bytes of all pieces; not copied if there is one.
 * @param {Uint8Array<ArrayBuffer>[]} pieces
 */
export function join(pieces) {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
