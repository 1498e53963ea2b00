// Where network and target meet: the entries of C, of ∂C/∂ŷ and of δ⁽ᴸ⁾.
//
//   canonical pairs   δ_k = ŷ_k − t_k
//   others            δ_k = f′(z_k) ∂C/∂ŷ_k,   behind softmax δ_j = Σ_k ∂C/∂ŷ_k ŷ_k ([k = j] − ŷ_j)
//   C                 the mean of the steps' costs (or their sum), + λ/2 Σ W²
//
// Costs of canonical pairs are computed from the net values z, which neither overflow nor cancel.

import * as activation from "./activation.js";
import { FROM_LOGITS, VALUES, SLOPES } from "./costforms.js";
import { difference, entry, number, product, quotient, sum, sumOf } from "./expression.js";
import { derivative, symbol } from "./notation.js";

/** One answer of the network, that of step t or the only one: leaves y(k), target(k), z(k) and their symbols. */
function answer(story, t) {
  const { stage, last } = story.layers.at(-1);
  const targets = story.array("t");
  const K = story.every ? targets.shape.at(-1) : targets.size;
  const step = story.every ? [t] : [];
  const leaf = (array, from) => (k) => entry(array, ...array.index(from * K + k));
  const state = story.every ? t : last ? story.T - 1 : 0; // the row of a⁽ᴸ⁾
  const net = story.array(`${stage}.z`);
  return {
    units: [...Array(K).keys()],
    y: leaf(story.array(`${stage}.a`), state),
    target: leaf(targets, story.every ? t : 0),
    z: net && leaf(net, state),
    symbols: {
      y: (k) => symbol("ŷ", null, [...step, k]),
      t: (k) => symbol("t", null, [...step, k]),
      z: (k) => symbol("z", stage, [...step, k]),
    },
  };
}

/** Step and unit of an entry of δ⁽ᴸ⁾ or ∂C/∂ŷ; maps are read flat. */
function unit(story, array, index) {
  return story.every ? index : [0, array.flat(index)];
}

/** C⁽ⁱ⁾ of step t. */
export function costOf(story, t) {
  const { cost, constants, canonical, ours } = story.output;
  if (!ours) return null;
  const row = answer(story, t);
  const value = VALUES[cost](row, constants);
  const logits = canonical ? FROM_LOGITS[cost] : null;
  return logits ? { ...logits(row), through: value } : value;
}

/** C, decay included. */
export function C(story) {
  const mean = story.every ? meanOfSteps(story) : costOf(story, 0);
  if (!mean || story.decay === 0) return mean;
  const penalty = number((story.decay / 2) * squares(story));
  const through = mean.through && { ...mean.through, tree: sum(mean.through.tree, penalty) };
  return {
    formula: `${mean.formula} + λ/2 Σ W^{2}`,
    tree: sum(mean.tree, penalty),
    through: through && { ...through, formula: `${through.formula} + λ/2 Σ W^{2}` },
  };
}

function meanOfSteps(story) {
  const costs = story.array("costs");
  const tree = sumOf([...costs.data.keys()].map((t) => entry(costs, t)));
  if (story.divisor === 1) return { formula: "Σ_{t} C_{t}", tree };
  return { formula: "1/T · Σ_{t} C_{t}", tree: quotient(tree, number(story.divisor)) };
}

/** Σ of the squares of all that decays. */
function squares(story) {
  const names = story.layers.flatMap(({ stage, decays }) => decays.map((name) => `${stage}.${name}`));
  return names.reduce((all, name) => story.array(name).data.reduce((sum, w) => sum + w * w, all), 0);
}

/** ∂C/∂ŷ_k of an output that is not canonical. */
export function dy(story, array, index) {
  const { cost, constants, ours } = story.output;
  const [t, k] = unit(story, array, index);
  return ours && SLOPES[cost] ? SLOPES[cost](answer(story, t), k, constants) : null;
}

/** δ⁽ᴸ⁾. */
export function delta(story, layer, index) {
  const { canonical, ours } = story.output;
  const array = story.array(`${layer.stage}.delta`);
  if (canonical && ours) {
    const [t, k] = unit(story, array, index);
    const { y, target, symbols } = answer(story, t);
    return { formula: `${symbols.y(k)} − ${symbols.t(k)}`, tree: difference(y(k), target(k)) };
  }
  if (!layer.activation) return dy(story, array, index); // z = a
  return layer.activation.name === "softmax" ? throughJacobian(story, layer, index) : throughSlope(story, layer, index);
}

function throughSlope(story, layer, index) {
  const found = activation.delta(story, layer, index);
  const [t, k] = unit(story, story.array(`${layer.stage}.delta`), index);
  const y = derivative(answer(story, t).symbols.y(k));
  return found && { ...found, formula: `f′(${symbol("z", layer.stage, index)}) · ${y}` };
}

/** δ_j = Σ_k ∂C/∂ŷ_k ∂ŷ_k/∂z_j, with softmax's Jacobian ∂ŷ_k/∂z_j = ŷ_k ([k = j] − ŷ_j). */
function throughJacobian(story, layer, index) {
  const da = story.array(`${layer.stage}.da`);
  const [t, j] = unit(story, da, index);
  const { units, y, symbols } = answer(story, t);
  const step = index.slice(0, -1);
  const terms = units.map((k) => {
    return product(entry(da, ...step, k), y(k), difference(number(k === j ? 1 : 0), y(j)));
  });
  const jacobian = `${symbols.y("k")} ([k = ${j + 1}] − ${symbols.y(j)})`;
  return { formula: `Σ_{k} ${derivative(symbols.y("k"))} ${jacobian}`, tree: sumOf(terms) };
}
