// Costs C(ŷ, t) of one row and their derivatives ∂C/∂ŷ, with e = ŷ − t.
//
//   squared error         ½ ‖e‖²                                   e
//   binary cross entropy  −Σ (t ln ŷ + (1 − t) ln(1 − ŷ))          e / (ŷ (1 − ŷ))
//   cross entropy         −Σ t ln ŷ                                −t/ŷ
//   absolute              Σ |e|                                    sign e
//   huber                 Σ ½ e² where |e| ≤ d, d (|e| − d/2)      max(−d, min(d, e))
//   quantile              Σ max(−q e, (1 − q) e)                   (1 − q)[e > 0] − q [e < 0]
//   poisson               Σ (ŷ − t ln ŷ)                           1 − t/ŷ
//
// Pairs with their canonical activation are computed from the net values instead: see outputs.js.

/** A cost that is a sum over the outputs, from the term of one output and its derivative. */
function summed(term, slope) {
  return {
    value: (y, t, constants) => y.reduce((total, v, k) => total + term(v, t[k], constants), 0),
    derivative: (y, t, constants) => y.map((v, k) => slope(v, t[k], constants)),
  };
}

/** By name: `value(yRow, tRow, constants)`, a number, and `derivative(yRow, tRow, constants)`, a row. */
export const COSTS = {
  "squared error": summed(
    (y, t) => 0.5 * (y - t) * (y - t),
    (y, t) => y - t,
  ),
  "binary cross entropy": summed(
    (y, t) => -(t * Math.log(y) + (1 - t) * Math.log1p(-y)),
    (y, t) => (y - t) / (y * (1 - y)),
  ),
  "cross entropy": summed(
    (y, t) => -(t * Math.log(y)),
    (y, t) => -t / y,
  ),
  absolute: summed(
    (y, t) => Math.abs(y - t),
    (y, t) => Math.sign(y - t),
  ),
  huber: summed(
    (y, t, { threshold }) => {
      const e = Math.abs(y - t);
      const c = Math.min(e, threshold); // no square of a large e overflows
      return c * (e - c / 2);
    },
    (y, t, { threshold }) => Math.max(-threshold, Math.min(threshold, y - t)),
  ),
  quantile: summed(
    (y, t, { quantile }) => (y > t ? (1 - quantile) * (y - t) : y < t ? quantile * (t - y) : 0),
    (y, t, { quantile }) => (y > t ? 1 - quantile : y < t ? -quantile : 0),
  ),
  poisson: summed(
    (y, t) => y - t * Math.log(y),
    (y, t) => 1 - t / y,
  ),
};
