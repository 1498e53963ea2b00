// A network as columns: x, layer 1, …, layer L, the cost C; forward from left to right, and backward the same network
// read from right to left. Of a deep network a window around the step's layer is drawn, with both ends.

import { edges, receptive, weighs } from "./edges.js";
import { brief, formula, head, node, short, write } from "./svg.js";
import { column, placed, tag, units } from "./units.js";

const DEEP = 8; // more layers than this are folded
const WINDOW = 1; // layers on either side of the step's own
const GAPS = { dense: 60, dropout: 36, conv: 38, other: 34, folded: 92, cost: 22 };
const MARGIN = { side: 8, top: 68, bottom: 66 };
const SIGN = 7.2; // the width of a sign in the words below a column, at most about
const COST = { width: 90, height: 52, gap: 20 };

/** The stages that get a column when the step is at `stage`: 0, 1, a window, L. */
function visible(last, stage) {
  const all = Array.from({ length: last + 1 }, (_, k) => k);
  if (last <= DEEP) return all;
  const middle = Math.min(Math.max(stage ?? 1, 1 + WINDOW), last - WINDOW);
  return all.filter((k) => k <= 1 || k >= last || Math.abs(k - middle) <= WINDOW);
}

/** The picture at a step: {width, height, weights, lines, parts, front}; parts are chosen, weights are drawn or not. */
export function columns(story, progress) {
  const last = story.layers.length;
  const shown = visible(last, progress.stage).map((stage) => column(story, stage));
  const tallest = Math.max(COST.height, ...shown.map(({ height }) => height));
  const y = MARGIN.top + tallest / 2;
  const there = [];
  let x = Math.max(MARGIN.side, 2 + (captionWidth(story, shown[0]) - shown[0].width) / 2);
  for (const each of shown) {
    if (there.length) x += gap(story, there.at(-1), each);
    there.push(placed(each, x, y));
    x += each.width;
  }
  const cost = costColumn(story, there.at(-1), x + GAPS.cost);
  const size = { width: cost.x + cost.width + MARGIN.side, height: MARGIN.top + tallest + MARGIN.bottom };
  const pairs = there.slice(1).map((to, i) => [there[i], to]);
  return {
    ...size,
    weights: pairs.some(([from, to]) => weighs(story, from, to)),
    lines: [
      direction(progress, size.width),
      ...pairs.flatMap(([from, to]) => edges(story, progress, from, to)),
      ...costEdges(progress, cost),
    ],
    parts: [
      ...there.map((each) => part(story, progress, each, size, units(story, progress, each))),
      part(story, progress, cost, size, costNodes(story, progress, cost)),
    ],
    front: pairs.flatMap(([from, to]) => (to.stage === from.stage + 1 ? receptive(from, to) : [])),
  };
}

/** The room between two columns: for their lines, and so that the words below do not meet. */
function gap(story, from, to) {
  const lines = to.stage > from.stage + 1 ? GAPS.folded : (GAPS[to.layer.kind] ?? GAPS.other);
  const words = captionWidth(story, from) + captionWidth(story, to) - from.width - to.width;
  return Math.max(lines, words / 2 + 4);
}

/** How many signs of a caption are shown below a column. */
function most({ width }) {
  return Math.max(13, Math.floor((width + 20) / SIGN));
}

function captionWidth(story, column) {
  return SIGN * Math.min(most(column), Math.max(...captions(story, column).map((line) => line.length)));
}

/** A column as a part to choose: its nodes, its frame, the words below it. */
function part(story, progress, column, { height }, nodes) {
  const { stage, x, width, top } = column;
  const lines = captions(story, column);
  const below = lines.map((line, i) =>
    brief(x + width / 2, height - MARGIN.bottom + 28 + 14 * i, line, most(column), i ? "caption" : "caption title"),
  );
  return {
    key: String(stage),
    label: progress.words(stage),
    target: progress.target(stage),
    now: progress.stage === stage,
    frame: { x: x - 7, y: top - 24, width: width + 14, height: column.height + 34 },
    hit: { x: x - 9, y: top - 26, width: width + 18, height: height - top + 22 },
    nodes: [...nodes, ...below],
  };
}

function captions(story, { stage, layer, kind, shape, count }) {
  if (stage > story.layers.length) return ["cost", story.output.cost];
  const maps = kind === "maps";
  const size = maps ? `${count} ${count === 1 ? "map" : "maps"} ${shape[1]}×${shape[2]}` : `${count} units`;
  if (stage === 0) return ["input", maps ? size : count === 1 ? "1 input" : `${count} inputs`];
  return [`layer ${stage}`, layer.text, count === 1 && !maps ? "1 unit" : size];
}

/** Which way the information goes, over all of the picture. */
function direction({ phase, backward, rule }, width) {
  const words = { update: "update", after: "forward again" }[phase] ?? (backward ? "backward" : "forward");
  const [from, to, y] = [MARGIN.side, width - MARGIN.side, 12];
  const kind = `direction ${backward ? "back" : "forth"}`;
  if (phase === "update") return node("g", { class: kind }, write(from, y + 4, rule, "way"));
  const room = 12 + 8.4 * words.length;
  const line = backward ? `M${to - room} ${y}H${from + 5}` : `M${from + room} ${y}H${to - 5}`;
  const text = write(backward ? to : from, y + 4, words, backward ? "way end" : "way");
  const end = backward ? head(from, y, 180) : head(to, y, 0);
  return node("g", { class: kind }, text, node("path", { d: line, class: "line" }), end);
}

/** The column of the targets and of C. */
function costColumn(story, output, x) {
  const t = story.array("t");
  const targets = output.kind === "units" && t && t.size === output.count;
  const box = x + (targets ? output.cell.width + COST.gap : 0);
  const height = targets ? Math.max(output.height, COST.height) : COST.height;
  return {
    stage: story.layers.length + 1,
    kind: "cost",
    x,
    y: output.y,
    top: output.y - height / 2,
    height,
    box,
    width: box + COST.width - x,
    targets,
    output,
    t,
  };
}

/** From each ŷ past its t to C, and back. */
function costEdges(progress, { box, y, x, targets, output }) {
  const lit = progress.step.id === "cost" || progress.step.id === `${output.stage}.delta` ? "lit" : "";
  const back = progress.backward;
  const group = node("g", { class: `edges ${lit}` });
  for (const row of output.rows) {
    if (row.k === null) continue;
    group.append(node("path", { d: `M${output.out + 2} ${row.y}H${x}` }));
    if (back) group.append(head(output.out, row.y, 180));
    const [from, slope] = [targets ? x + output.cell.width : x, (row.y - y) / (output.rows.length * 30)];
    group.append(node("path", { d: `M${from} ${row.y}L${box} ${y + slope * COST.height * 0.7}` }));
  }
  if (!back) group.append(head(box, y, 0));
  return [group];
}

function costNodes(story, progress, { box, x, y, top, targets, output, t }) {
  const nodes = [];
  if (targets) {
    nodes.push(formula(x + output.cell.width / 2, top - 9, "t", progress.role("t")));
    for (const { k, y: at } of output.rows)
      if (k !== null) nodes.push(tag(story, x, at, t, k, `given ${progress.role("t")}`));
  }
  const after = progress.phase === "after" ? story.array("C_after") : null;
  const C = progress.array("C");
  const role = progress.role("C") || progress.role("C_after");
  const centre = box + COST.width / 2;
  nodes.push(
    node("rect", {
      x: box,
      y: y - COST.height / 2,
      width: COST.width,
      height: COST.height,
      rx: 8,
      class: C ? `cost ${role}` : "cost pale",
    }),
  );
  if (!C) nodes.push(formula(centre, y + 5, "C", "large pale"));
  else if (after) {
    nodes.push(write(centre, y - 6, `C was ${short(C.data[0])}`, "number faint"));
    nodes.push(write(centre, y + 14, `C = ${short(after.data[0])}`, "number strong"));
  } else nodes.push(write(centre, y + 5, `C = ${short(C.data[0])}`, "number strong"));
  return nodes;
}
