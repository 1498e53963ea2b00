// What an array is (a vector, a matrix, maps, kernels, a sequence, tokens), and what its rows and columns are
// called: features, classes or signs where the story knows names, otherwise numbers from 1 (tokens: from 0).

import { parts } from "../symbols.js";
import { seen } from "./cells.js";

/** "2.W.new" is of layer 2 and is its W, whatever is done with it. */
function origin(story, { name }) {
  const { stage, own } = parts(name);
  return { layer: stage ? story.layer(stage) : null, what: stage ? own.replace(/^d(?!elta$|a$)/, "") : undefined };
}

/** One of "tokens", "scalar", "vector", "matrix", "sequence", "maps", "kernels". */
export function kindOf(story, array) {
  const { layer, what } = origin(story, array);
  const { name, shape } = array;
  if (name === "x" && story.layer(1)?.tokens) return "tokens";
  if (layer?.kind === "conv" && what === "W" && shape.length > 2) return "kernels";
  if (shape.length === 0) return "scalar";
  const parameter = layer?.parameters?.includes(what);
  const steps = Boolean(story.T) && !parameter && shape[0] === story.T;
  if (name === "costs") return "sequence";
  if (shape.length === 1 || (shape.length > 2 && shape.slice(1).every((n) => n === 1))) return "vector";
  if (shape.length > 2) return "maps";
  return steps ? "sequence" : "matrix";
}

const fitting = (names, n) => (names && names.length === n ? names.map(String) : null);

/** The classes' names; of a network that foretells its next token, the signs. */
function classes(story, n) {
  const { classes: names, vocabulary } = story.names;
  return fitting(names, n) ?? (names ? null : fitting(vocabulary?.map(seen), n));
}

/** The columns' names; of tokens their signs, or the numbers that they are, from 0. */
function features(story, n) {
  if (!story.layer(1)?.tokens) return fitting(story.names.columns, n);
  return fitting(story.names.vocabulary?.map(seen), n) ?? Array.from({ length: n }, (_, k) => String(k));
}

/** Names of an array's rows and columns, each null where they are numbers: {rows, columns}. */
export function headings(story, array, options = {}) {
  const { layer, what } = origin(story, array);
  const { name, shape } = array;
  const [first, last] = [shape[0], shape.at(-1)];
  const kind = kindOf(story, array);
  const found = { rows: null, columns: null };
  if (kind === "sequence" && shape.length === 2) {
    if (name === "x" || name === "dx") found.columns = features(story, last);
    if (name === "t" || layer?.stage === story.layers.length) found.columns = classes(story, last);
  } else if (kind === "vector") {
    if (name === "x" || name === "dx") found.rows = features(story, first);
    if (name === "t" || layer?.stage === story.layers.length) found.rows = classes(story, first);
  } else if (kind === "matrix") {
    if (layer?.stage === 1 && what === "W") found.columns = features(story, last);
    if (layer?.stage === story.layers.length && what === "W") found.rows = classes(story, first);
  }
  return {
    rows: fitting(options.rows, first) ?? found.rows,
    columns: fitting(options.columns, last) ?? found.columns,
  };
}
