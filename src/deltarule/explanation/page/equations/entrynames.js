// What stands on the left of an entry's equation, as a symbol and in words. Both count from 1, as notation.js does.

import { parts } from "../symbols.js";
import { kernelWeight } from "./conv.js";
import { inputWeight } from "./dense.js";
import { initial, symbolBefore } from "./recurrent.js";
import { derivative, stateLetter, symbol, weight } from "./notation.js";

const PARAMETERS = {
  W: (layer, index) => (layer.kind === "conv" ? kernelWeight(layer, index) : inputWeight(layer, ...index)),
  U: ({ stage }, index) => weight("U", stage, index),
  b: ({ stage }, index) => symbol("b", stage, index),
  omega: ({ stage }, index) => symbol("ω", stage, index),
  h0: ({ stage }, [i]) => initial(stage, i),
};

/** A parameter's entry: W^{(2)}_{3,4}, b^{(1)}_{2}; of another's layer by its own name. */
export function parameterSymbol(layer, name, index) {
  return PARAMETERS[name]?.(layer, index) ?? symbol(name, layer.stage, index);
}

/** An entry as the left side of its equation. */
export function leftSide(story, name, index) {
  if (name === "C") return "C";
  if (name === "costs") return symbol("C", null, index);
  if (name === "dx") return derivative(symbol("x", null, index));
  const { stage, own: what, after } = parts(name);
  const layer = story.layer(stage);
  if (after) return parameterSymbol(layer, what, index);
  const letter = stateLetter(layer);
  const sides = {
    z: () => symbol("z", stage, index),
    a: () => symbol(letter, stage, index),
    mean: () => symbol("ā", stage, index),
    slope: () => `f′(${symbol("z", stage, index)})`,
    before: () => symbolBefore(stage, ...index),
    da: () => derivative(symbol(letter, stage, layer.last ? [story.T - 1, ...index] : index)),
    delta: () => symbol("δ", stage, index),
  };
  return sides[what]?.() ?? derivative(parameterSymbol(layer, what.slice(1), index));
}

const NAMES = { slope: "f′(z)", da: "∂C/∂a", delta: "δ", before: "state before" };
const ENTRY = { 1: ["unit"], 2: ["step", "unit"], 3: ["map", "row", "column"] };
const INPUT = { 1: ["input"], 2: ["step", "input"], 3: ["channel", "row", "column"] };
const KERNEL = { 3: ["link", "row", "column"], 4: ["map", "channel", "row", "column"] };

/** An entry in words: z of layer 2, unit 3. */
export function spoken(story, name, index) {
  if (name === "C") return "cost C";
  if (name === "costs") return `cost C of step ${index[0] + 1}`;
  if (name === "dx") return `∂C/∂x, ${placed(INPUT[index.length], index)}`;
  const { stage, own: what, after } = parts(name);
  const layer = story.layer(stage);
  const parameter = [what, what.slice(1)].find((own) => layer.parameters.includes(own));
  const called = parameter && !after ? `∂C/∂${parameter}` : (NAMES[what] ?? what);
  const places = placed(parameter ? parameterPlaces(layer, parameter, index) : ENTRY[index.length], index);
  return `${called} of layer ${stage}, ${places}${after ? ", after the update" : ""}`;
}

function parameterPlaces({ kind, tokens }, name, index) {
  if (name === "W") return kind === "conv" ? KERNEL[index.length] : ["unit", tokens ? "token" : "input"];
  if (name === "U") return ["unit", "unit before"];
  return { dense: ["unit"], rnn: ["unit"], conv: ["map"], subsample: ["map"] }[kind];
}

/** Places in words; tokens are the numbers they are. */
function placed(names, index) {
  const said = index.map((place, axis) => {
    const what = names?.[axis] ?? "place";
    return `${what} ${what === "token" ? place : place + 1}`;
  });
  return said.join(", ");
}
