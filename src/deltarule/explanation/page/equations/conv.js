// The convolution's entries; row y of windows at stride s looks at rows s y + u of the padded map (y, u from 0):
//
//   z_o[y, x] = Σ_c Σ_uv W_oc[u, v] ã_c[s y + u, t x + v] + b_o           ã: a_prev behind its margin
//   ∂C/∂W_oc[u, v] = Σ_yx δ_o[y, x] ã_c[s y + u, t x + v]                ∂C/∂b_o = Σ_yx δ_o[y, x]
//   ∂C/∂a_prev,c[i, j] = Σ_o Σ_yx W_oc[i + top − s y, j + left − t x] δ_o[y, x]
//
// Where y, x, u, v are written they count from 1: the row is s y + u − (s + top). Maps without a link have no term.

import { entry, number, product, sum, sumOf } from "./expression.js";
import { gradient } from "./gradient.js";
import { affine, below, symbol, weight } from "./notation.js";
import { holding, places } from "./windows.js";

export const conv = { z, dW, db, back };

/** Where the kernel of map o over channel c stands in W; null where there is no link. */
function kernel({ numbers }, o, c) {
  if (!numbers) return [o, c];
  return numbers[o][c] < 0 ? null : [numbers[o][c]];
}

/** Map and channel of a kernel, from its place in W. */
function linked({ numbers }, at) {
  if (!numbers) return at;
  const o = numbers.findIndex((row) => row.includes(at[0]));
  return [o, numbers[o].indexOf(at[0])];
}

/** What window (y, x) sees at (u, v) of channel c: an entry, or the border's constant. */
function seen(layer, { array, place }, c, [y, x], [u, v]) {
  const [i, j] = [y * layer.stride[0] + u - layer.before[0], x * layer.stride[1] + v - layer.before[1]];
  const [height, width] = array.shape.slice(-2);
  const inside = i >= 0 && j >= 0 && i < height && j < width;
  return inside ? entry(array, ...place(c, i, j)) : number(layer.border);
}

function z(story, layer, [o, y, x]) {
  const { stage, stride, before } = layer;
  const [W, b, input] = [story.array(`${stage}.W`), story.array(`${stage}.b`), below(story, stage)];
  const terms = [];
  for (let c = 0; c < layer.inputShape[0]; c += 1) {
    const at = kernel(layer, o, c);
    if (!at) continue;
    for (const uv of places(layer.kernel)) {
      terms.push(product(entry(W, ...at, ...uv), seen(layer, input, c, [y, x], uv)));
    }
  }
  const rows = affine(1, "u", y * stride[0] - before[0]);
  const columns = affine(1, "v", x * stride[1] - before[1]);
  const kernels = weight("W", stage, [o, "c"], ["u", "v"]);
  const over = layer.numbers ? "c linked, u, v" : "c, u, v";
  return {
    formula: `Σ_{${over}} ${kernels} ${input.symbol("c", rows, columns)} + ${symbol("b", stage, [o])}`,
    tree: sum(sumOf(terms), entry(b, o)),
  };
}

/** Every (y, x) of an array of maps, row by row. */
const grid = ({ shape }) => places(shape.slice(-2));

function dW(story, layer, index) {
  const { stage, stride, before } = layer;
  const [delta, input] = [story.array(`${stage}.delta`), below(story, stage)];
  const [u, v] = index.slice(-2);
  const [o, c] = linked(layer, index.slice(0, -2));
  const terms = grid(delta).map((yx) => product(entry(delta, o, ...yx), seen(layer, input, c, yx, [u, v])));
  const rows = affine(stride[0], "y", u + 1 - stride[0] - before[0]);
  const columns = affine(stride[1], "x", v + 1 - stride[1] - before[1]);
  const formula = `Σ_{y, x} ${symbol("δ", stage, [o, "y", "x"])} ${input.symbol(c, rows, columns)}`;
  return gradient(story, layer, "W", index, kernelWeight(layer, index), { formula, tree: sumOf(terms) });
}

/** W_oc[u, v] of an index of W: by its map and channel where W holds links. */
export function kernelWeight(layer, index) {
  return weight("W", layer.stage, linked(layer, index.slice(0, -2)), index.slice(-2));
}

function db(story, layer, [o]) {
  const delta = story.array(`${layer.stage}.delta`);
  const terms = grid(delta).map((yx) => entry(delta, o, ...yx));
  const formula = `Σ_{y, x} ${symbol("δ", layer.stage, [o, "y", "x"])}`;
  return gradient(story, layer, "b", [o], symbol("b", layer.stage, [o]), { formula, tree: sumOf(terms) });
}

/** ∂C/∂a_prev,c[i, j]: every window that saw the place sends its part back, by the weight that it saw it with. */
function back(story, layer, [c, i, j]) {
  const { stage, stride, before } = layer;
  const [W, delta] = [story.array(`${stage}.W`), story.array(`${stage}.delta`)];
  const [maps, height, width] = delta.shape;
  const tap = (k, axis, letter) => `${k + 1 + before[axis] + stride[axis]} − ${affine(stride[axis], letter, 0)}`;
  const windows = holding(layer.kernel, layer, [height, width], [i, j]);
  const terms = [];
  for (let o = 0; o < maps; o += 1) {
    const at = kernel(layer, o, c);
    if (!at) continue;
    for (const [y, x, u, v] of windows) terms.push(product(entry(W, ...at, u, v), entry(delta, o, y, x)));
  }
  const taps = [tap(i, 0, "y"), tap(j, 1, "x")];
  const over = layer.numbers ? "o linked, y, x" : "o, y, x";
  return {
    formula: `Σ_{${over}} ${weight("W", stage, ["o", c], taps)} ${symbol("δ", stage, ["o", "y", "x"])}`,
    tree: sumOf(terms),
  };
}
