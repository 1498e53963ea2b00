// The entries of pooling, over windows of n places that stand s and t apart; they may overlap:
//
//   mean        a = Σ_uv a_prev[…]/n                     ∂C/∂a_prev[i, j] = (Σ of δ over the windows that hold i, j)/n
//   max         a = max_uv a_prev[…]                     ∂C/∂a_prev[i, j] = Σ of δ where i, j is the first largest
//   subsample   mean as above, z_c = ω_c mean_c + b_c    ∂C/∂a_prev[i, j] = ω_c (Σ of δ …)/n
//               ∂C/∂ω_c = Σ δ_c mean_c                   ∂C/∂b_c = Σ δ_c

import { entry, largest, number, product, quotient, sum, sumOf } from "./expression.js";
import { divided } from "./gradient.js";
import { affine, below, symbol } from "./notation.js";
import { holding, places } from "./windows.js";

export const meanpool = { a: meanOfWindow, back: shared };

export const maxpool = { a: largestOfWindow, back: taken };

export const subsample = { mean: meanOfWindow, z: scaled, domega, db, back: scaledBack };

/** Window (y, x) of map c, row by row: leaves, and how its places are written. */
function windowOf(story, { stage, size, stride }, [c, y, x]) {
  const { array, place, symbol: named } = below(story, stage);
  const [top, left] = [y * stride[0], x * stride[1]];
  return {
    parts: places(size).map(([u, v]) => entry(array, ...place(c, top + u, left + v))),
    symbol: named(c, affine(1, "u", top), affine(1, "v", left)),
  };
}

function meanOfWindow(story, layer, index) {
  const { parts, symbol: seen } = windowOf(story, layer, index);
  return { formula: `1/${parts.length} · Σ_{u, v} ${seen}`, tree: quotient(sumOf(parts), number(parts.length)) };
}

function largestOfWindow(story, layer, index) {
  const { parts, symbol: seen } = windowOf(story, layer, index);
  return { formula: `max_{u, v} ${seen}`, tree: largest(...parts) };
}

function scaled(story, { stage }, index) {
  const [omega, b, mean] = ["omega", "b", "mean"].map((name) => story.array(`${stage}.${name}`));
  const c = index[0];
  return {
    formula: `${symbol("ω", stage, [c])} ${symbol("ā", stage, index)} + ${symbol("b", stage, [c])}`,
    tree: sum(product(entry(omega, c), entry(mean, ...index)), entry(b, c)),
  };
}

/** δ_c of the windows that hold [i, j], and where in them it stands. */
function above(story, layer, [c, i, j]) {
  const delta = story.array(`${layer.stage}.delta`);
  const windows = holding(layer.size, layer, delta.shape.slice(1), [i, j]);
  return windows.map(([y, x, u, v]) => ({ delta: entry(delta, c, y, x), window: [c, y, x], seen: [u, v] }));
}

/** Σ δ_c of all windows that hold a place, over n. */
function shared(story, layer, [c, i, j]) {
  const { stage, size } = layer;
  const terms = above(story, layer, [c, i, j]).map(({ delta }) => delta);
  const n = size[0] * size[1];
  return {
    formula: `1/${n} · Σ_{y, x : holds ${i + 1}, ${j + 1}} ${symbol("δ", stage, [c, "y", "x"])}`,
    tree: quotient(sumOf(terms), number(n)),
    note: terms.length ? null : "no window holds this place",
  };
}

function scaledBack(story, layer, [c, i, j]) {
  const { formula, tree, note } = shared(story, layer, [c, i, j]);
  const omega = entry(story.array(`${layer.stage}.omega`), c);
  return { formula: `${symbol("ω", layer.stage, [c])} · ${formula}`, tree: product(omega, tree), note };
}

/** Σ δ_c of the windows whose first largest, row by row, a place is. */
function taken(story, layer, [c, i, j]) {
  const terms = above(story, layer, [c, i, j]).filter(({ window, seen: [u, v] }) => {
    const values = windowOf(story, layer, window).parts.map((part) => part.value);
    return values.indexOf(Math.max(...values)) === u * layer.size[1] + v;
  });
  return {
    formula: `Σ_{y, x : largest at ${i + 1}, ${j + 1}} ${symbol("δ", layer.stage, [c, "y", "x"])}`,
    tree: sumOf(terms.map(({ delta }) => delta)),
    note: terms.length ? null : "it is the largest of no window",
  };
}

function domega(story, { stage }, [c]) {
  const [delta, mean] = [story.array(`${stage}.delta`), story.array(`${stage}.mean`)];
  const terms = places(delta.shape.slice(1)).map((yx) => product(entry(delta, c, ...yx), entry(mean, c, ...yx)));
  const [d, m] = [symbol("δ", stage, [c, "y", "x"]), symbol("ā", stage, [c, "y", "x"])];
  return divided(story, { formula: `Σ_{y, x} ${d} ${m}`, tree: sumOf(terms) });
}

function db(story, { stage }, [c]) {
  const delta = story.array(`${stage}.delta`);
  const terms = places(delta.shape.slice(1)).map((yx) => entry(delta, c, ...yx));
  return divided(story, { formula: `Σ_{y, x} ${symbol("δ", stage, [c, "y", "x"])}`, tree: sumOf(terms) });
}
