// The recurrent layer's entries:
//
//   z_t,i = Σ_j U_ij h_{t−1},j + Σ_k W_ik x_t,k + b_i          h_0 is 0 unless it is learned
//   δ_t,i = f′(z_t,i) (∂C/∂h_t,i + Σ_j U_ji δ_{t+1},j)         the layer above sees h_T alone where `last`
//   ∂C/∂W_ik = Σ_t δ_t,i x_t,k     ∂C/∂U_ij = Σ_t δ_t,i h_{t−1},j     ∂C/∂b_i = Σ_t δ_t,i
//   ∂C/∂h_0,i = Σ_j U_ji δ_1,j     ∂C/∂x_t,k = Σ_i W_ik δ_t,i

import { driven, inputWeight, outer, overAll } from "./dense.js";
import { entry, from, number, product, sum, sumOf } from "./expression.js";
import { divided, gradient } from "./gradient.js";
import { derivative, symbol, weight } from "./notation.js";

export const recurrent = { z, before, delta, dW, dU, db, dh0, back };

const upTo = (n, made) => Array.from({ length: n }, (_, k) => made(k));

/** h_{t−1},j as a leaf of its own array, and of the array that it was copied from. */
function stateBefore(story, { stage }, t, j) {
  const leaf = entry(story.array(`${stage}.before`), t, j);
  const copied = before(story, { stage }, [t, j]).tree;
  return from(leaf, copied);
}

/** h_{t−1}: the state one step before; before the first step 0, or what is learned. */
function before(story, { stage }, [t, j]) {
  const learned = story.array(`${stage}.h0`);
  if (t > 0) return { tree: entry(story.array(`${stage}.a`), t - 1, j), note: "the state of the step before" };
  return learned ? { tree: entry(learned, j), note: "the learned state" } : { tree: number(0), note: "no state yet" };
}

/** h_0,j. */
export const initial = (stage, j) => `h^{(${stage})}_{0,${typeof j === "number" ? j + 1 : j}}`;

/** h_{t−1},j, step t counted from 0. */
export const symbolBefore = (stage, t, j) => (t === 0 ? initial(stage, j) : symbol("h", stage, [t - 1, j]));

function z(story, layer, [t, i]) {
  const { stage } = layer;
  const [U, b] = [story.array(`${stage}.U`), story.array(`${stage}.b`)];
  const input = driven(story, layer, t, i);
  const recalled = upTo(U.shape[1], (j) => product(entry(U, i, j), stateBefore(story, layer, t, j)));
  const memory = `Σ_{j} ${weight("U", stage, [i, "j"])} ${symbolBefore(stage, t, "j")}`;
  return {
    formula: `${memory} + ${input.formula} + ${symbol("b", stage, [i])}`,
    tree: sum(sumOf(recalled), sumOf(input.terms), entry(b, i)),
  };
}

/** δ_t,i: what comes from above at this step, and what comes by way of the next. */
function delta(story, layer, [t, i]) {
  const { stage } = layer;
  const [U, deltas, da] = ["U", "delta", "da"].map((name) => story.array(`${stage}.${name}`));
  const end = deltas.shape[0] - 1;
  const parts = [];
  const formulas = [];
  if (!layer.last || t === end) {
    parts.push(entry(da, ...(layer.last ? [i] : [t, i])));
    formulas.push(derivative(symbol("h", stage, [t, i])));
  }
  if (t < end) {
    parts.push(sumOf(upTo(U.shape[0], (j) => product(entry(U, j, i), entry(deltas, t + 1, j)))));
    formulas.push(`Σ_{j} ${weight("U", stage, ["j", i])} ${symbol("δ", stage, [t + 1, "j"])}`);
  }
  const above = formulas.join(" + ");
  return {
    formula: `f′(${symbol("z", stage, [t, i])}) · ${formulas.length > 1 || t < end ? `(${above})` : above}`,
    tree: product(entry(story.array(`${stage}.slope`), t, i), parts.length > 1 ? sumOf(parts) : parts[0]),
  };
}

function dW(story, layer, [i, k]) {
  return gradient(story, layer, "W", [i, k], inputWeight(layer, i, k), outer(story, layer, i, k));
}

function dU(story, layer, [i, j]) {
  const { stage } = layer;
  const deltas = story.array(`${stage}.delta`);
  const terms = upTo(deltas.shape[0], (t) => product(entry(deltas, t, i), stateBefore(story, layer, t, j)));
  const formula = `Σ_{t} ${symbol("δ", stage, ["t", i])} ${symbol("h", stage, ["t−1", j])}`;
  return gradient(story, layer, "U", [i, j], weight("U", stage, [i, j]), { formula, tree: sumOf(terms) });
}

function db(story, layer, [i]) {
  return gradient(story, layer, "b", [i], symbol("b", layer.stage, [i]), overAll(story, layer, i));
}

function dh0(story, { stage }, [i]) {
  const [U, deltas] = [story.array(`${stage}.U`), story.array(`${stage}.delta`)];
  const terms = upTo(U.shape[0], (j) => product(entry(U, j, i), entry(deltas, 0, j)));
  const formula = `Σ_{j} ${weight("U", stage, ["j", i])} ${symbol("δ", stage, [0, "j"])}`;
  return divided(story, { formula, tree: sumOf(terms) });
}

function back(story, { stage }, [t, k]) {
  const [W, deltas] = [story.array(`${stage}.W`), story.array(`${stage}.delta`)];
  const terms = upTo(W.shape[0], (i) => product(entry(W, i, k), entry(deltas, t, i)));
  return { formula: `Σ_{i} ${weight("W", stage, ["i", k])} ${symbol("δ", stage, [t, "i"])}`, tree: sumOf(terms) };
}
