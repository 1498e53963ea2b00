// What runs between two columns: weights as lines, orange or blue by sign, as wide as |W|; on the way back the same
// weights, W transposed, with the arrows reversed; at a step of ∂C/∂W the gradients in their place.

import { called, letter } from "../symbols.js";
import { formula, head, node, scale, write } from "./svg.js";

const ONE_TO_ONE = new Set(["meanpool", "maxpool", "subsample", "dropout"]); // map to map, unit to unit

/** The connections from one placed column to the next, their label above them, and arrow heads. */
export function edges(story, progress, from, to) {
  if (to.stage > from.stage + 1) return folded(from, to);
  const back = progress.backward;
  const lit = progress.crosses(to.stage) ? "lit" : "";
  const lines = node("g", { class: `edges ${lit}` }, ...lined(story, progress, from, to));
  const ends = back ? from : to;
  const [at, turn] = back ? [ends.out, 180] : [ends.in, 0];
  for (const { k, y } of ends.rows) if (k !== null) lines.append(head(at, y, turn));
  const text = label(progress, to);
  const y = Math.min(from.top, to.top) - 28;
  return text ? [lines, formula((from.out + to.in) / 2, y, text, `weights ${lit}`)] : [lines];
}

/** W⁽²⁾; its transpose on the way back; ∂C/∂W⁽²⁾ at the step that computes it; what changes at the update. */
function label(progress, { stage, layer }) {
  const gradient = progress.gradient(stage);
  if (gradient) return `∂C/∂${letter(gradient)}^{(${stage})}`;
  const name = layer.parameters.find((parameter) => parameter === "W" || parameter === "omega") ?? layer.parameters[0];
  if (!name) return "";
  const symbol = `${letter(name)}^{(${stage})}`;
  if (progress.phase === "update") return layer.trainable ? `new ${symbol}` : symbol;
  return progress.backward && name === "W" ? `W^{(${stage})T}` : symbol;
}

function lined(story, progress, from, to) {
  const shown = ({ rows }) => rows.filter(({ k }) => k !== null);
  const { kind, numbers } = to.layer;
  if (weighs(story, from, to)) {
    const W = story.array(weights(progress, to.stage)) ?? story.array(`${to.stage}.W`);
    return weighted(story, W, shown(from), shown(to), from, to);
  }
  const pairs = [];
  for (const a of shown(from)) {
    for (const b of shown(to)) {
      const linked = kind === "conv" ? !numbers || numbers[b.k][a.k] >= 0 : !ONE_TO_ONE.has(kind) || a.k === b.k;
      if (linked) pairs.push([a, b]);
    }
  }
  return pairs.map(([a, b]) => line(from.out, a.y, to.in, b.y));
}

/** Whether a line between two columns is a weight: of dense layers that read units, next to each other. */
export function weighs(story, from, to) {
  const dense = to.layer.kind === "dense" && story.array(`${to.stage}.W`) !== undefined;
  return dense && from.kind === "units" && to.stage === from.stage + 1;
}

/** A line for each weight W[i, j] between shown units. */
function weighted(story, array, rows, units, from, to) {
  const most = scale(array);
  const lines = [];
  for (const unit of units) {
    for (const row of rows) {
      const value = array.at(unit.k, row.k);
      const edge = line(from.out, row.y, to.in, unit.y, value < 0 ? "negative" : "positive");
      edge.setAttribute("stroke-width", (0.5 + 2.3 * (Math.min(1, Math.abs(value) / most) || 0)).toFixed(2));
      edge.append(node("title", {}, `${called(story, array.name, [unit.k, row.k])} = ${value}`));
      lines.push(edge);
    }
  }
  return lines;
}

function weights(progress, stage) {
  if (progress.gradient(stage) === "W") return `${stage}.dW`;
  return progress.phase === "update" || progress.phase === "after" ? `${stage}.W.new` : `${stage}.W`;
}

function line(x1, y1, x2, y2, kind = "") {
  return node("path", { d: `M${x1} ${y1}L${x2} ${y2}`, class: kind });
}

/** Layers left out between two columns. */
function folded(from, to) {
  const [x, y] = [(from.out + to.in) / 2, from.y];
  const points = [-9, 0, 9].map((dx) => node("circle", { cx: x + dx, cy: y, r: 2.2 }));
  const [first, last] = [from.stage + 1, to.stage - 1];
  return [
    node("g", { class: "dots" }, ...points),
    write(x, y + 22, first === last ? `layer ${first}` : `layers ${first}–${last}`, "caption"),
  ];
}

/** What one entry of a map sees: a window on a map below, and the entry it leads to. */
export function receptive(from, to) {
  const { kind, kernel, size, stride, before = [0, 0] } = to.layer;
  const window = kind === "conv" ? kernel : size;
  const first = to.rows.find(({ k }) => k !== null);
  const source = from.rows.find(({ k }) => k !== null && (to.layer.numbers ? to.layer.numbers[first.k][k] >= 0 : true));
  if (!window || from.kind !== "maps" || !source) return [];
  const { width, height } = from.cell;
  const unit = [height / from.shape[1], width / from.shape[2]];
  const [i, j] = to.kind === "maps" ? [0.3, 0.55].map((part, axis) => Math.floor(part * to.shape[axis + 1])) : [0, 0];
  const clipped = (start, n, most) => [Math.max(0, start), Math.min(most, start + n)];
  const [y0, y1] = clipped(i * stride[0] - before[0], window[0], from.shape[1]).map((v) => v * unit[0]);
  const [x0, x1] = clipped(j * stride[1] - before[1], window[1], from.shape[2]).map((v) => v * unit[1]);
  const [left, top] = [from.at.right, source.y - height / 2];
  const inside = to.left && to.kind === "maps"; // else the lines end before the unit, or before what pools
  const point = [
    to.in + (inside ? ((j + 0.5) * to.cell.width) / to.shape[2] : 0),
    first.y + (inside ? ((i + 0.5) / to.shape[1] - 0.5) * to.cell.height : 0),
  ];
  const d = `M${left + x1} ${top + y0}L${point[0]} ${point[1]}L${left + x1} ${top + y1}`;
  return [
    node("rect", { x: left + x0, y: top + y0, width: x1 - x0, height: y1 - y0, class: "window" }),
    node("path", { d, class: "window" }),
  ];
}
