// Where the last layer's activation meets the cost: C and δ⁽ᴸ⁾ = ∂C/∂z⁽ᴸ⁾ of one row.
//
// Canonical pairs are computed from the net values z and share one δ⁽ᴸ⁾ = ŷ − t:
//
//   identity + squared error          C = ½ ‖z − t‖²
//   sigmoid  + binary cross entropy   C = Σ_k (t_k softplus(−z_k) + (1 − t_k) softplus(z_k))
//   softmax  + cross entropy          C = Σ_k t_k (ln Σ_j e^{z_j} − z_k)
//   exp      + poisson                C = Σ_k (e^{z_k} − t_k z_k)
//
// Every other pair goes the generic way, δ⁽ᴸ⁾ = f′(z) ⊙ ∂C/∂ŷ, softmax through its full Jacobian.

import { ACTIVATIONS, softplus, throughSoftmax } from "./activations.js";
import { COSTS } from "./costs.js";

const sum = (row, term) => row.reduce((total, z, k) => total + term(z, k), 0);

const FROM_LOGITS = {
  identity: COSTS["squared error"].value,
  sigmoid: (z, t) => sum(z, (v, k) => t[k] * softplus(-v) + (1 - t[k]) * softplus(v)),
  softmax: (z, t) => {
    const largest = z.reduce((most, v) => Math.max(most, v), -Infinity);
    const ln = Math.log(sum(z, (v) => Math.exp(v - largest)));
    return sum(z, (v, k) => t[k] * (ln - (v - largest)));
  },
  exp: (z, t) => sum(z, (v, k) => Math.exp(v) - t[k] * v),
};

/** C of one row of net values z, outputs ŷ and targets t, without decay. */
export function value({ output }, z, y, t) {
  return output.canonical ? FROM_LOGITS[output.activation](z, t) : COSTS[output.cost].value(y, t, output.constants);
}

/** ∂C/∂ŷ of one row. */
export function derivative({ output }, y, t) {
  return COSTS[output.cost].derivative(y, t, output.constants);
}

/** δ⁽ᴸ⁾ of one row. */
export function delta(story, z, y, t) {
  const { output, layers } = story;
  if (output.canonical) {
    return y.map((v, k) => v - t[k]);
  }
  const dy = derivative(story, y, t);
  if (output.activation === "softmax") {
    return throughSoftmax(dy, y);
  }
  const constants = layers.at(-1).activation?.constants ?? {};
  return dy.map((d, k) => ACTIVATIONS[output.activation].slope(z[k], y[k], constants) * d);
}
