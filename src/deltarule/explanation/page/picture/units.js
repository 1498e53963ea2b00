// A layer as the textbook draws it, one row a unit (or a map), and the same row on the way back:
//
//     forward     [ z ] → ( f ) → [ a ]                 the net value, the activation, what goes on
//     backward    [ δ ] ← ◁ × f′(z) ← [ ∂C/∂a ]         the same unit reversed: a multiplier whose factor is a
//                                                       constant, because z is already known
//
// So z and δ = ∂C/∂z have one place, and a and ∂C/∂a the other. A canonical output has δ = ŷ − t in the middle's place.

import { called, parts } from "../symbols.js";
import { extent, thumbnail } from "./maps.js";
import { brief, formula, node, scale, short, write } from "./svg.js";

const TAG = { width: 48, height: 22 };
const MIDDLE = { units: 46, maps: 32, word: 48 };
const MOST = { units: 10, maps: 6 }; // rows; of more, the first few and the last few
const NAME = { signs: 12, sign: 7.7, room: 10 }; // of a class or a column beside its unit

// f from z = −8 to 8, in a circle of radius 11; y grows downward
const CURVES = {
  identity: "M-6 6L6 -6",
  sigmoid: "M-8 5C-1 5 1 -5 8 -5",
  tanh: "M-8 6C0 6 0 -6 8 -6",
  relu: "M-8 4H0L6 -5",
  "leaky relu": "M-8 6L0 3L6 -5",
  elu: "M-8 6C-4 6 -2 5 0 2L6 -5",
  softplus: "M-8 5C-1 5 1 2 6 -5",
  swish: "M-8 3C-4 3 -3 6 0 3C2 1 4 -3 6 -6",
  exp: "M-8 5C0 5 4 3 6 -7",
};
CURVES["scaled tanh"] = CURVES.tanh;
CURVES.gelu = CURVES.swish;

/** What a column of the drawing holds, before it has a place: rows, sizes, whether there is a net value. */
export function column(story, stage) {
  const layer = stage ? story.layer(stage) : null;
  const shape = layer ? layer.shape : story.layers[0].inputShape;
  const maps = shape.length === 3 && shape[1] * shape[2] > 1;
  const kind = maps ? "maps" : "units";
  const count = maps || shape.length === 3 ? shape[0] : shape.reduce((product, n) => product * n, 1);
  const cell = maps ? extent(shape.slice(1), count === 1) : TAG;
  const names = named(story, stage, count);
  const left = layer !== null && story.array(`${stage}.z`) !== undefined;
  const middle = layer ? MIDDLE[layer.activation ? kind : "word"] : 0;
  const wide = names ? NAME.room + NAME.sign * Math.min(NAME.signs, Math.max(...names.map((name) => name.length))) : 0;
  const [before, after] = stage ? [0, wide] : [wide, 0];
  const rows = places(count, MOST[kind]);
  const pitch = Math.max(cell.height + (maps ? 8 : 6), 28);
  const width = before + (left ? cell.width : 0) + middle + cell.width + after;
  const height = rows.length * pitch - (pitch - cell.height);
  return { stage, layer, kind, shape, count, cell, names, left, middle, before, after, rows, pitch, width, height };
}

/** The units that get a row; null stands for those left out. */
function places(count, most) {
  const all = (n, from = 0) => Array.from({ length: n }, (_, k) => from + k);
  if (count <= most) return all(count);
  const [first, last] = most > 6 ? [5, 2] : [3, 1];
  return [...all(first), null, ...all(last, count - last)];
}

function named(story, stage, count) {
  const last = story.layers.length;
  const names = stage === 0 ? story.names.columns : stage === last ? story.names.classes : null;
  return names && names.length === count ? names : null;
}

/** A column at x, its middle at height y: where its cells are, and where connections come in and go out. */
export function placed(column, x, y) {
  const top = y - column.height / 2;
  const left = x + column.before;
  const middle = left + (column.left ? column.cell.width : 0);
  const right = middle + column.middle;
  const rows = column.rows.map((k, i) => ({ k, y: top + i * column.pitch + column.cell.height / 2 }));
  return { ...column, x, y, top, rows, at: { left, middle, right }, in: left, out: x + column.width };
}

/** The arrays that stand at a column's two places at this step. */
function arrays(story, progress, stage) {
  const back = progress.backward;
  if (stage === 0) return { left: null, right: back && !progress.role("x") && story.array("dx") ? "dx" : "x" };
  const [a, delta] = [`${stage}.a`, `${stage}.delta`];
  const left = story.array(`${stage}.z`) ? `${stage}.${back ? "delta" : "z"}` : null;
  if (!back) return { left, right: a };
  const da = left ? `${stage}.da` : delta;
  const forGradient = progress.role(a) && !progress.role(da); // ∂C/∂W = δ aᵀ of the layer above
  return { left, right: forGradient || !story.array(da) ? a : da };
}

/** An array's symbol: "2.delta" → δ⁽²⁾; the last layer's a is ŷ. */
function symbol(name, last) {
  if (name === "x") return "x";
  if (name === "dx") return "∂C/∂x";
  const { stage, own: kind } = parts(name);
  const letter = `${{ z: "z", a: "a", delta: "δ", da: "∂C/∂a" }[kind]}^{(${stage})}`;
  return kind === "a" && stage === last ? `${letter} = ŷ` : letter;
}

/** A column's nodes at this step. */
export function units(story, progress, column) {
  const { at, cell, stage, rows } = column;
  const names = arrays(story, progress, stage);
  const nodes = [];
  for (const [place, name] of Object.entries(names)) {
    if (!name) continue;
    const array = progress.array(name);
    const role = progress.role(name);
    const sign = name.endsWith(".da") && cell.width < 34 ? "∂C/∂a" : symbol(name, story.layers.length);
    nodes.push(formula(at[place] + cell.width / 2, column.top - 9, sign, role));
    for (const { k, y } of rows) {
      nodes.push(k === null ? dots(at[place] + cell.width / 2, y) : entry(story, column, array, k, at[place], y, role));
    }
  }
  if (stage) nodes.push(...middles(story, progress, column));
  if (column.names) nodes.push(...beside(column));
  return nodes;
}

/** One unit's number in a tag, or one map. */
function entry(story, { kind, cell, shape }, array, k, x, y, role) {
  if (kind === "maps") return thumbnail(story, array, k, shape.slice(1), cell, x, y - cell.height / 2, role);
  return tag(story, x, y, array, k, role);
}

/** A number in its box, the box's colour its sign and size; a null array is not known yet. */
export function tag(story, x, y, array, k, role = "") {
  const box = { x, y: y - TAG.height / 2, width: TAG.width, height: TAG.height, rx: 4 };
  const group = node("g", { class: `unit ${role}` }, node("rect", { ...box, class: array ? "tag" : "tag pale" }));
  if (!array) return group;
  const value = array.data[k];
  const size = Math.min(1, Math.abs(value) / scale(array));
  const sign = value > 0 ? "positive" : "negative";
  if (size > 0) group.append(node("rect", { ...box, class: sign, "fill-opacity": (0.36 * size).toFixed(3) }));
  group.append(node("rect", { ...box, class: "edge" }), write(x + TAG.width / 2, y + 4, short(value), "number"));
  group.append(node("title", {}, `${called(story, array.name, array.index(k))} = ${value}`));
  return group;
}

/** Between a row's two places: f, or f′ on the way back. */
function middles(story, progress, column) {
  const { stage, layer, rows, at, middle, top, height } = column;
  const x = at.middle + middle / 2;
  const lit = progress.step.id === `${stage}.${progress.backward ? "delta" : "a"}` ? "lit" : "";
  const ends = stage === story.layers.length && layer.activation;
  const softmax = layer.activation?.name === "softmax";
  if (progress.backward && ends && story.output.canonical) return [tall(x, top, height, "ŷ − t", lit)];
  if (softmax) return [tall(x, top, height, progress.backward ? "Jᵀ" : "softmax", lit)];
  const slope = progress.backward && layer.activation ? story.array(`${stage}.slope`) : null;
  const shown = rows.filter(({ k }) => k !== null);
  if (!slope) return shown.map(({ k, y }) => glyph(story, column, k, x, y, lit));
  const above = column.kind === "units" ? [formula(x, top - 9, "× f′(z)", "faint")] : [];
  return [...above, ...shown.map(({ k, y }) => multiplier(column, slope, k, x, y, lit))];
}

/** One box for all units: softmax, or an output whose δ is ŷ − t. */
function tall(x, top, height, text, lit) {
  const narrow = text.length > 5;
  const width = narrow ? 24 : 38;
  const turned = narrow ? `rotate(-90 ${x} ${top + height / 2})` : null;
  const line = node("text", { x, y: top + height / 2 + 4, transform: turned, class: "glyph" }, text);
  const box = node("rect", { x: x - width / 2, y: top - 4, width, height: height + 8, rx: 5 });
  return node("g", { class: `middle ${lit}` }, box, line);
}

/** × f′(z): a triangle that points the way the error goes. */
function multiplier({ kind }, slope, k, x, y, lit) {
  const group = node("g", { class: `middle ${lit}`, transform: `translate(${x} ${y})` });
  if (kind === "maps") {
    group.append(node("path", { d: "M13 -11L-13 0L13 11Z" }), write(4, 4, "f′", "glyph"));
    return group;
  }
  const value = slope.data[k];
  const text = Number.isInteger(value) || Math.abs(value) < 0.01 ? short(value) : value.toFixed(2).replace("-", "−");
  group.append(node("path", { d: "M21 -13L-21 0L21 13Z" }), write(6.5, 4, text, "glyph"));
  group.append(node("title", {}, `f′(z) = ${value}: a constant, because z is already known`));
  return group;
}

/** f: its curve in a circle; what a layer without one does, in a word. */
function glyph(story, { stage, layer }, k, x, y, lit) {
  const group = node("g", { class: `middle ${lit}`, transform: `translate(${x} ${y})` });
  const curve = CURVES[layer.activation?.name];
  if (layer.activation) {
    group.append(node("circle", { r: 11 }), node("title", {}, layer.activation.name));
    group.append(curve ? node("path", { d: curve, class: "curve" }) : formula(0, 4, "f", ""));
    return group;
  }
  const mask = story.array(`${stage}.mask`);
  const kept = `×\u2009${mask ? short(mask.data[k]) : "1"}`;
  const word = { meanpool: "mean", maxpool: "max", dropout: kept }[layer.kind] ?? "…";
  group.append(node("rect", { x: -22, y: -9, width: 44, height: 18, rx: 4 }), write(0, 4, word, "glyph"));
  return group;
}

function beside({ stage, names, rows, at, cell }) {
  const from = stage ? at.right + cell.width + 6 : at.right - 6;
  const shown = rows.filter(({ k }) => k !== null);
  return shown.map(({ k, y }) => brief(from, y + 4, names[k], NAME.signs, stage ? "name" : "name end"));
}

/** Three points in the place of the units left out. */
function dots(x, y) {
  const points = [-6, 0, 6].map((dy) => node("circle", { cx: x, cy: y + dy, r: 1.5 }));
  return node("g", { class: "dots" }, ...points);
}
