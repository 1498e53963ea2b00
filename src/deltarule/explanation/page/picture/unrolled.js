// A recurrent network unrolled through time: a column a step t, the same weights in each,
//
//     forward     z_t = U h_{t−1} + W x_t + b,  h_t = f(z_t)              to the right and up
//     backward    δ_t = f′(z_t) ⊙ (∂C/∂h_t + Uᵀ δ_{t+1})                 the same picture reversed
//
// A box is a vector; its number and its colour are the length ‖·‖, so that one sees an error vanish through time.

import { seen } from "../arrays/cells.js";
import { called, parts } from "../symbols.js";
import { arrow, brief, formula, largest, node, short, write } from "./svg.js";

const BOX = { width: 42, height: 28 };
const PITCH = { x: 54, y: 66 };
const LABEL = { width: 150, signs: 16 };
const TOP = 62;
const STEPS = { most: 60, first: 12 }; // of a longer sequence, its first steps and its last ones
const STATE = 22; // room for h₀ on the left, for δ behind the last step on the right

/** The picture at a step: {width, height, lines, parts, front, scroll}, a row of boxes a layer. */
export function unrolled(story, progress) {
  const grid = laid(story);
  const rows = Array.from({ length: story.layers.length + 2 }, (_, stage) => row(story, progress, grid, stage));
  const last = grid.x(grid.steps.length - 1) + BOX.width / 2;
  const width = last + STATE + 12;
  const height = grid.y(0) + BOX.height / 2 + 34;
  return {
    width,
    height,
    lines: [direction(progress, grid, last), ...times(grid), ...arrows(story, progress, grid)],
    parts: rows.map((nodes, stage) => part(story, progress, grid, stage, nodes, width)),
    front: [],
    scroll: progress.backward ? width : 0,
  };
}

/** Where things stand: columns of steps (null: steps left out), rows of layers, the input at the bottom. */
function laid(story) {
  const all = Array.from({ length: story.T }, (_, t) => t);
  const late = story.T - STEPS.most + STEPS.first + 1;
  const steps = story.T <= STEPS.most ? all : [...all.slice(0, STEPS.first), null, ...all.slice(late)];
  const top = story.layers.length + 1;
  const behind = story.layers.findIndex((layer) => layer.last); // layers above it answer once, at T
  return {
    steps,
    x: (i) => LABEL.width + STATE + BOX.width / 2 + i * PITCH.x,
    y: (stage) => TOP + BOX.height / 2 + (top - stage) * PITCH.y,
    once: (stage) => behind >= 0 && stage > behind + 1,
  };
}

/** The columns in which a layer has a box: [column, step]. */
function places(story, grid, stage) {
  const all = grid.steps.map((t, i) => [i, t]).filter(([, t]) => t !== null);
  const alone = grid.once(stage) || (stage > story.layers.length && !story.every);
  return alone ? all.slice(-1) : all;
}

/** The array that a layer's boxes show at this step: z until a is known, on the way back δ. */
function shown(story, progress, stage) {
  const last = story.layers.length;
  if (stage > last) return story.every ? "costs" : progress.phase === "after" ? "C_after" : "C";
  if (stage === 0) return progress.backward && !progress.role("x") && story.array("dx") ? "dx" : "x";
  const [z, a, delta] = [`${stage}.z`, `${stage}.a`, `${stage}.delta`];
  if (progress.backward) return progress.role(a) && !progress.role(delta) && stage < last ? a : delta;
  return progress.known(a) || !progress.known(z) ? a : z;
}

const LETTERS = { z: "z", a: "a", delta: "δ", costs: "C", C: "C", C_after: "C", x: "x", dx: "∂C/∂x" };

/** What a row's boxes are called: h_t of a recurrent layer, ŷ_t of the last; no t where there is one a sequence. */
function symbol(story, grid, stage, name) {
  const { stage: within, own: kind } = parts(name);
  const recurrent = story.layers[stage - 1]?.kind === "rnn";
  const letter = kind !== "a" ? LETTERS[kind] : recurrent ? "h" : stage === story.layers.length ? "ŷ" : "a";
  const time = grid.once(stage) || name.startsWith("C") ? "" : "_{t}";
  return within && letter !== "ŷ" ? `${letter}${time}^{(${stage})}` : letter + time;
}

/** A layer's boxes at every step. */
function row(story, progress, grid, stage) {
  const name = shown(story, progress, stage);
  const array = progress.array(name);
  const role = progress.role(name);
  const y = grid.y(stage);
  const vectors = places(story, grid, stage).map(([i, t]) => ({ i, t, vector: array && entries(array, story, t) }));
  const most = largest(vectors.map(({ vector }) => (vector ? length(vector) : 0)));
  const boxes = vectors.map(({ i, t, vector }) => {
    const mark = vector && sign(story, name, stage, vector);
    return box(grid.x(i), y, vector, most, mark, role, titled(story, grid, stage, name, t));
  });
  const targets = stage > story.layers.length ? targeted(story, grid, y) : [];
  return { boxes: [...boxes, ...targets], symbol: symbol(story, grid, stage, name), role };
}

/** What a box is called when it is hovered: h⁽¹⁾, t = 3; no t where there is one a sequence. */
function titled(story, grid, stage, name, t) {
  const once = grid.once(stage) || story.array(name)?.shape.length === 0;
  const letter = name === "costs" ? "C" : called(story, name, []);
  return once ? letter : `${letter}, t = ${t + 1}`;
}

/** Step t of an array: a row of it; all of it where there is one answer a sequence. */
function entries(array, story, t) {
  if (array.shape.length === 1 && (array.name === "x" || array.name === "costs")) return array.data.subarray(t, t + 1);
  if (array.shape.length < 2) return array.data;
  const n = array.shape[1];
  return array.data.subarray(t * n, (t + 1) * n);
}

function length(vector) {
  return Math.hypot(...vector);
}

/** A sign in the place of a number: a token, or the class that an output holds most probable. */
function sign(story, name, stage, vector) {
  const { vocabulary, classes } = story.names;
  if (name === "x" && story.layers[0].tokens) return seen(vocabulary?.[vector[0]] ?? `#${vector[0]}`);
  if (name !== `${stage}.a` || stage !== story.layers.length || story.output.activation !== "softmax") return null;
  const best = vector.indexOf(Math.max(...vector));
  return seen((classes ?? vocabulary)?.[best] ?? `#${best}`);
}

/** A vector as a box: its length as number and colour, or a sign. */
function box(x, y, vector, most, mark, role, what) {
  const frame = { x: x - BOX.width / 2, y: y - BOX.height / 2, ...BOX, rx: 5 };
  const group = node("g", { class: `unit ${role}` }, node("rect", { ...frame, class: vector ? "tag" : "tag pale" }));
  if (!vector) return group;
  const single = vector.length === 1;
  const part = mark ? Math.max(...vector) : length(vector) / most; // of a class how probable it is
  const size = mark && single ? 0 : Math.min(1, part) || 0;
  const kind = single && vector[0] < 0 ? "negative" : single ? "positive" : "length";
  const text = mark ?? short(single ? vector[0] : length(vector));
  const listed = `${[...vector.slice(0, 8)].map((v) => short(v)).join(", ")}${vector.length > 8 ? ", …" : ""}`;
  group.append(node("rect", { ...frame, class: kind, "fill-opacity": (0.42 * size).toFixed(3) }));
  group.append(node("rect", { ...frame, class: "edge" }), brief(x, y + 4, text, 6, "number"));
  const all = single ? listed : `[${listed}], length ${short(length(vector))}`;
  group.append(node("title", {}, `${what}: ${mark ? `${mark} ` : ""}${all}`));
  return group;
}

/** Above the cost of a step its target. */
function targeted(story, grid, y) {
  const t = story.array("t");
  const names = story.names.classes ?? story.names.vocabulary;
  return places(story, grid, story.layers.length + 1).map(([i, step]) => {
    const row = entries(t, story, step);
    const one = row.length > 1 && row.every((v) => v === 0 || v === 1);
    const number = row.length === 1 ? short(row[0]) : "t";
    const text = one ? seen(names?.[row.indexOf(1)] ?? `#${row.indexOf(1)}`) : number;
    return brief(grid.x(i), y - BOX.height / 2 - 7, text, 6, "caption");
  });
}

/** What flows between boxes: up by W, to the right by U; back the other way, by their transposes. */
function arrows(story, progress, grid) {
  const back = progress.backward;
  const [side, edge] = [BOX.width / 2 + 2, BOX.height / 2 + 2];
  const found = [];
  const between = (from, to, kind) => found.push(back ? arrow(...to, ...from, kind) : arrow(...from, ...to, kind));
  for (let stage = 1; stage <= story.layers.length + 1; stage++) {
    const kind = lit(progress, story, stage);
    const there = places(story, grid, stage);
    for (const [i] of there) between([grid.x(i), grid.y(stage - 1) - edge], [grid.x(i), grid.y(stage) + edge], kind);
    const name = story.layers[stage - 1]?.parameters.includes("W") ? weight("W", progress, stage) : "";
    const between2 = (grid.y(stage - 1) + grid.y(stage)) / 2 + 4;
    if (name) found.push(formula(grid.x(there[0][0]) + 6, between2, name, `start weights ${kind}`));
    if (story.layers[stage - 1]?.kind !== "rnn") continue;
    const y = grid.y(stage);
    const through = progress.stage === stage && /\.(z|delta|dU)$/.test(progress.step.id) ? "lit" : "";
    const initial = progress.step.id === `${stage}.dh0` ? "lit" : through;
    for (const [i] of there.slice(1)) between([grid.x(i - 1) + side, y], [grid.x(i) - side, y], through);
    between([grid.x(0) - side - 14, y], [grid.x(0) - side, y], back ? initial : through);
    const at = grid.x(Math.max(0, Math.min(1, there.length - 2))) + PITCH.x / 2;
    if (there.length > 1) found.push(formula(at, y - 28, weight("U", progress, stage), `weights ${through}`));
    if (back) {
      const end = grid.x(grid.steps.length - 1) + side;
      between([end, y], [end + 14, y], through);
      found.push(write(end + 20, y + 4, "0", "caption"));
    }
  }
  return found;
}

function lit(progress, story, stage) {
  const last = story.layers.length;
  if (stage > last) return progress.step.id === "cost" || progress.step.id === `${last}.delta` ? "lit" : "";
  return progress.crosses(stage) ? "lit" : "";
}

function weight(name, progress, stage) {
  return `${name}^{(${stage})${progress.backward ? "T" : ""}}`;
}

/** The steps' numbers, below the input. */
function times(grid) {
  const y = grid.y(0) + BOX.height / 2 + 18;
  return grid.steps.map((t, i) => write(grid.x(i), y, t === null ? "…" : i ? String(t + 1) : "t = 1", "caption"));
}

function direction({ phase, backward, rule }, grid, last) {
  const first = 10;
  if (phase === "update") return node("g", { class: "direction forth" }, write(first, 16, rule, "way"));
  const text = `${{ after: "forward again" }[phase] ?? (backward ? "backward" : "forward")}, through time`;
  const room = 12 + 8 * text.length;
  const line = backward ? arrow(last - room, 12, first, 12) : arrow(first + room, 12, last, 12);
  const kind = `direction ${backward ? "back" : "forth"}`;
  return node("g", { class: kind }, write(backward ? last : first, 16, text, backward ? "way end" : "way"), line);
}

/** A layer's row as a part to choose, its name on the left. */
function part(story, progress, grid, stage, { boxes, symbol: sign, role }, width) {
  const last = story.layers.length;
  const y = grid.y(stage);
  const reach = { x: 2, y: y - BOX.height / 2 - 9, width: width - 4, height: BOX.height + 18 };
  if (stage > last) Object.assign(reach, { y: reach.y - 14, height: reach.height + 14 });
  const ground = { x: 0, y: y - PITCH.y / 2, width: LABEL.width, height: PITCH.y, class: "ground" };
  const named = node(
    "g",
    { class: "fixed" },
    node("rect", ground),
    ...captions(story, progress, stage, y),
    formula(LABEL.width - 6, y + 4, sign, `end ${role}`),
  );
  return {
    key: String(stage),
    label: progress.words(stage),
    target: progress.target(stage),
    now: progress.stage === stage,
    frame: reach,
    hit: reach,
    nodes: [...boxes, named],
  };
}

/** A row's name, and what it is; at the cost what all steps come to, and above it what the targets are. */
function captions(story, progress, stage, y) {
  if (stage === 0) return [write(10, y + 4, "input", "caption title start")];
  if (stage <= story.layers.length) {
    const text = brief(10, y + 13, story.layer(stage).text, LABEL.signs, "caption start");
    return [write(10, y - 3, `layer ${stage}`, "caption title start"), text];
  }
  const C = progress.array(progress.phase === "after" ? "C_after" : "C");
  const value = C ? [write(10, y + 13, `C = ${short(C.data[0])}`, "number start")] : [];
  const target = write(LABEL.width - 6, y - BOX.height / 2 - 7, "target", "caption end");
  return [write(10, y - 3, "cost", "caption title start"), ...value, target];
}
