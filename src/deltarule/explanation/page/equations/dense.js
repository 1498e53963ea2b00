// The dense layer's entries:
//
//   z_i = Σ_k W_ik a_prev,k + b_i
//   ∂C/∂W_ik = δ_i a_prev,k          ∂C/∂b_i = δ_i          over sequences their sums over the steps
//   ∂C/∂a_prev,k = Σ_i W_ik δ_i
//
// Maps are read flat, channel by channel, row by row; a token x_t chooses column x_t of W.

import { entry, from, product, sum, sumOf } from "./expression.js";
import { gradient } from "./gradient.js";
import { below, symbol, weight } from "./notation.js";

export const dense = { z, dW, db, back };

/** Whether the layer applies at every step of a sequence. */
const overSteps = (layer) => layer.shape.length === 2;

/** What the layer reads, by feature: `entry(t, k)`, `symbol(t, k)`; k is a letter where all features are meant. */
function features(story, layer) {
  const { array, place, symbol: named } = below(story, layer.stage);
  const at = (t, k) => {
    if (overSteps(layer)) return [t, k];
    return layer.inputShape.length === 3 && typeof k === "number" ? inMaps(layer.inputShape, k) : [k];
  };
  return { array, entry: (t, k) => entry(array, ...place(...at(t, k))), symbol: (t, k) => named(...at(t, k)) };
}

/** Feature k of maps read flat: its channel, row and column. */
function inMaps([, height, width], k) {
  return [Math.floor(k / (height * width)), Math.floor(k / width) % height, k % width];
}

/** Σ_k W_ik x_t,k of a step, or the column that its token chose: terms and formula. */
export function driven(story, layer, t, i) {
  const W = story.array(`${layer.stage}.W`);
  if (layer.tokens) {
    const token = entry(story.array("x"), t);
    const column = entry(W, i, token.value);
    return { formula: weight("W", layer.stage, [i, `x_{${t + 1}}`]), terms: [from(column, token)] };
  }
  const x = features(story, layer);
  const terms = Array.from({ length: W.shape[1] }, (_, k) => product(entry(W, i, k), x.entry(t, k)));
  return { formula: `Σ_{k} ${weight("W", layer.stage, [i, "k"])} ${x.symbol(t, "k")}`, terms };
}

function z(story, layer, index) {
  const i = index.at(-1);
  const { formula, terms } = driven(story, layer, index[0], i);
  const b = entry(story.array(`${layer.stage}.b`), i);
  return { formula: `${formula} + ${symbol("b", layer.stage, [i])}`, tree: sum(sumOf(terms), b) };
}

function dW(story, layer, [i, k]) {
  return gradient(story, layer, "W", [i, k], inputWeight(layer, i, k), outer(story, layer, i, k));
}

/** W_ik; of tokens W_i,x=k, a token being the number it is. */
export const inputWeight = ({ stage, tokens }, i, k) => weight("W", stage, [i, tokens ? `x=${k}` : k]);

/** δ_i x_k, or its sum over the steps; of tokens the steps whose token is k. */
export function outer(story, layer, i, k) {
  const { stage } = layer;
  const delta = story.array(`${stage}.delta`);
  if (layer.tokens) {
    const x = story.array("x");
    const steps = [...x.data.keys()].filter((t) => x.at(t) === k);
    return {
      formula: `Σ_{t : x_{t} = ${k}} ${symbol("δ", stage, ["t", i])}`,
      tree: sumOf(steps.map((t) => from(entry(delta, t, i), entry(x, t)))),
    };
  }
  const x = features(story, layer);
  if (delta.shape.length === 1) {
    return { formula: `${symbol("δ", stage, [i])} ${x.symbol(0, k)}`, tree: product(entry(delta, i), x.entry(0, k)) };
  }
  const terms = Array.from({ length: delta.shape[0] }, (_, t) => product(entry(delta, t, i), x.entry(t, k)));
  return { formula: `Σ_{t} ${symbol("δ", stage, ["t", i])} ${x.symbol("t", k)}`, tree: sumOf(terms) };
}

function db(story, layer, [i]) {
  return gradient(story, layer, "b", [i], symbol("b", layer.stage, [i]), overAll(story, layer, i));
}

/** δ_i, or its sum over the steps. */
export function overAll(story, { stage }, i) {
  const delta = story.array(`${stage}.delta`);
  if (delta.shape.length === 1) return { formula: symbol("δ", stage, [i]), tree: entry(delta, i) };
  const terms = Array.from({ length: delta.shape[0] }, (_, t) => entry(delta, t, i));
  return { formula: `Σ_{t} ${symbol("δ", stage, ["t", i])}`, tree: sumOf(terms) };
}

/** ∂C/∂a_prev,k: what weight W_ik carried up, it carries back. */
function back(story, layer, index) {
  const { stage } = layer;
  const [W, delta] = [story.array(`${stage}.W`), story.array(`${stage}.delta`)];
  const steps = overSteps(layer) ? [index[0]] : [];
  const k = index.length === 3 ? flat(layer.inputShape, index) : index.at(-1);
  const terms = Array.from({ length: W.shape[0] }, (_, i) => product(entry(W, i, k), entry(delta, ...steps, i)));
  return {
    formula: `Σ_{i} ${weight("W", stage, ["i", k])} ${symbol("δ", stage, [...steps, "i"])}`,
    tree: sumOf(terms),
  };
}

const flat = ([, height, width], [c, y, x]) => (c * height + y) * width + x;
