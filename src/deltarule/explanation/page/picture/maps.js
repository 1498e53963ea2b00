// Maps as thumbnails: each entry of a map a square whose colour says its sign and how large it is in its array.
// Squares of one level are one path, so a map is a dozen nodes, follows the page's colours, and prints sharply.

import { parts, sign } from "../symbols.js";
import { node, scale } from "./svg.js";

const LEVELS = 8; // of each sign, by the root of the size: what is small is seen too
const MOST = 32; // squares across; larger maps are drawn by the means of blocks

const drawn = new WeakMap(); // array → its maps' paths so far

/** The size of a map on the page: smaller maps a little smaller, one alone larger; and how many squares it has. */
export function extent([rows, columns], alone) {
  const longer = Math.max(rows, columns);
  const side = alone ? 64 : Math.min(38, Math.max(23, 18 + 0.7 * longer));
  const squares = (n) => Math.max(1, Math.round((n * Math.min(MOST, longer)) / longer));
  const [width, height] = [(side * columns) / longer, (side * rows) / longer];
  return { width, height, down: squares(rows), across: squares(columns) };
}

/** Map k of an array (maps, rows, columns), its corner at (x, y); null array: not known yet, an empty frame. */
export function thumbnail(story, array, k, shape, size, x, y, kind = "") {
  const frame = node("rect", { width: size.width, height: size.height, class: "tag" });
  const group = node("g", { class: `map ${kind}`, transform: `translate(${x} ${y})` }, frame);
  if (!array) {
    frame.classList.add("pale");
    return group;
  }
  for (const [name, d] of paths(array, k, shape, size)) {
    group.append(node("path", { d, class: name.slice(0, 8), "fill-opacity": Number(name.slice(8)) / LEVELS }));
  }
  group.append(node("rect", { width: size.width, height: size.height, class: "edge" }));
  const what = parts(array.name).stage ? "map" : "channel";
  group.append(node("title", {}, `${sign(story, array.name)}, ${what} ${k + 1}`));
  return group;
}

/** The paths of a map's levels: "positive3" → d. */
function paths(array, k, shape, size) {
  if (!drawn.has(array)) drawn.set(array, new Map());
  const known = drawn.get(array);
  if (!known.has(k)) known.set(k, traced(array, k, shape, size));
  return known.get(k);
}

function traced(array, k, [rows, columns], { width, height, down, across }) {
  const most = scale(array);
  const [x, y] = [(j) => ((j * width) / across).toFixed(2), (i) => ((i * height) / down).toFixed(2)];
  const found = new Map();
  for (let i = 0; i < down; i++) {
    let [run, from] = ["", 0];
    for (let j = 0; j <= across; j++) {
      const level = j < across ? named(mean(array, k, rows, columns, i / down, j / across, down, across) / most) : "";
      if (level === run) continue;
      const d = `M${x(from)} ${y(i)}H${x(j)}V${y(i + 1)}H${x(from)}Z`;
      if (run) found.set(run, (found.get(run) ?? "") + d);
      [run, from] = [level, j];
    }
  }
  return found;
}

/** The mean of the block whose corner is at fractions (top, left) of the map. */
function mean(array, k, rows, columns, top, left, down, across) {
  const [i0, j0] = [Math.floor(top * rows + 1e-9), Math.floor(left * columns + 1e-9)];
  const i1 = Math.max(i0 + 1, Math.floor((top + 1 / down) * rows + 1e-9));
  const j1 = Math.max(j0 + 1, Math.floor((left + 1 / across) * columns + 1e-9));
  let sum = 0;
  for (let i = i0; i < i1; i++) for (let j = j0; j < j1; j++) sum += array.data[(k * rows + i) * columns + j];
  return sum / ((i1 - i0) * (j1 - j0));
}

/** "positive1" … "negative8", or "" for what is near 0 or not a number. */
function named(part) {
  const level = Math.min(LEVELS, Math.round(Math.sqrt(Math.abs(part)) * LEVELS));
  return level > 0 ? `${part > 0 ? "positive" : "negative"}${level}` : "";
}
