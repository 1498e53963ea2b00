// Activations a = f(z) and their derivatives f′, the latter in terms of z and a: one table, entry by entry.
//
//   identity     z                       1
//   sigmoid      1/(1 + e^{−z})          a (1 − a)
//   tanh         tanh z                  1 − a²
//   scaled tanh  A tanh(S z)             (S/A)(A² − a²)                   A = 1.7159, S = 2/3
//   relu         max(z, 0)               [z > 0]
//   leaky relu   z or s z                [z > 0] + s [z ≤ 0]
//   elu          z or α (e^z − 1)        [z > 0] + (a + α)[z ≤ 0]
//   softplus     ln(1 + e^z)             σ(z)
//   swish        z σ(z)                  σ(z) + a (1 − σ(z))
//   gelu         z σ(2u)                 σ(2u) + 2 a (1 − σ(2u)) u′       u = √(2/π) (z + 0.044715 z³)
//   exp          e^z                     a
//
// Softmax stands apart: it is not taken entry by entry, ∂a_k/∂z_j = a_k ([k = j] − a_j).

const AMPLITUDE = 1.7159;
const SLOPE = 2 / 3;
const ROOT = 0.7978845608028654; // √(2/π)
const CUBIC = 0.044715;

/** σ(z) = 1/(1 + e^{−z}) = e^z/(1 + e^z): the exponent is never positive. */
export function sigmoid(z) {
  const e = Math.exp(-Math.abs(z));
  return z > 0 ? 1 / (1 + e) : e / (1 + e);
}

/** ln(1 + e^z) = max(z, 0) + ln(1 + e^{−|z|}): the exponent is never positive. */
export function softplus(z) {
  return (z > 0 ? z : 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

/** a_k = e^{z_k} / Σ_j e^{z_j} of a row, the largest z taken off first. */
export function softmax(z) {
  const largest = z.reduce((most, v) => Math.max(most, v), -Infinity);
  const e = z.map((v) => Math.exp(v - largest));
  const sum = e.reduce((total, v) => total + v, 0);
  return e.map((v) => v / sum);
}

/** δ_j = Σ_k ∂C/∂a_k a_k ([k = j] − a_j) = a_j (∂C/∂a_j − Σ_k a_k ∂C/∂a_k): a row through softmax's Jacobian. */
export function throughSoftmax(da, a) {
  const mean = a.reduce((total, v, k) => total + v * da[k], 0);
  return a.map((v, j) => v * (da[j] - mean));
}

/** σ(2u) of gelu: ½ (1 + tanh u), which would cancel for very negative z. */
const gate = (z) => sigmoid(2 * ROOT * (z + CUBIC * z * z * z));

/** By name: `f(z, constants)` and `slope(z, a, constants)`, of one unit; constants by the names of Python's fields. */
export const ACTIVATIONS = {
  identity: { f: (z) => z, slope: () => 1 },
  sigmoid: { f: sigmoid, slope: (z, a) => a * (1 - a) },
  tanh: { f: Math.tanh, slope: (z, a) => 1 - a * a },
  "scaled tanh": {
    f: (z) => AMPLITUDE * Math.tanh(SLOPE * z),
    slope: (z, a) => (SLOPE / AMPLITUDE) * (AMPLITUDE - a) * (AMPLITUDE + a),
  },
  relu: { f: (z) => (z > 0 ? z : 0), slope: (z) => (z > 0 ? 1 : 0) },
  "leaky relu": { f: (z, { slope }) => (z > 0 ? z : slope * z), slope: (z, a, { slope }) => (z > 0 ? 1 : slope) },
  elu: {
    f: (z, { alpha }) => (z > 0 ? z : alpha * Math.expm1(z)),
    slope: (z, a, { alpha }) => (z > 0 ? 1 : a + alpha),
  },
  softplus: { f: softplus, slope: sigmoid },
  swish: { f: (z) => z * sigmoid(z), slope: (z, a) => sigmoid(z) + a * (1 - sigmoid(z)) },
  gelu: {
    f: (z) => z * gate(z),
    slope: (z, a) => gate(z) + 2 * a * (1 - gate(z)) * (ROOT * (1 + 3 * CUBIC * z * z)),
  },
  exp: { f: Math.exp, slope: (z, a) => a },
};
