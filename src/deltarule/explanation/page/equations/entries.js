// Why an entry of an array is the number it is: its equation, with the numbers put in, and the entries it came from.

import * as activation from "./activation.js";
import { conv } from "./conv.js";
import { dense } from "./dense.js";
import { dropout } from "./dropout.js";
import { leftSide, parameterSymbol, spoken } from "./entrynames.js";
import { sources } from "./expression.js";
import { divided } from "./gradient.js";
import { text } from "../numbers.js";
import { parts } from "../symbols.js";
import * as output from "./output.js";
import { maxpool, meanpool, subsample } from "./pool.js";
import { recurrent } from "./recurrent.js";
import { updatedEntry } from "./rule.js";
import { inNumbers, plain } from "./written.js";

const BETTER = "from the net values, which loses no digits:"; // C of a canonical pair

const KINDS = { dense, conv, meanpool, maxpool, subsample, rnn: recurrent, dropout };

/**
 * The explanation of an entry, or null where nothing is computed (x, t, parameters) or the equation is not ours:
 *
 *   symbol   z^{(2)}_{3}, its left side in the notation of drawn.js
 *   lines    the equation, what is computed on the way, the numbers put in, the result; drawn.js draws them
 *   text     the same in one line, for ears
 *   value    computed anew from the leaves; `size` is what rounding is measured by
 *   sources  [{array, index}] of the leaves
 */
export function explain(story, name, index) {
  const array = story.array(name);
  const entry = array?.at(...index);
  if (entry === undefined) return null;
  const found = equation(story, name, index);
  if (!found) return null;
  const symbol = leftSide(story, name, index);
  const numbers = inNumbers(found.tree);
  return {
    symbol,
    lines: linesOf(`${symbol} ${name.endsWith(".new") ? "←" : "="} `, found, numbers, entry),
    text: `${spoken(story, name, index)}: ${plain([...numbers, ...resultOf(numbers, entry)])}`,
    value: found.tree.value,
    size: found.tree.size,
    sources: sources(found.tree, ...(found.through ? [found.through.tree] : [])),
  };
}

/** {formula, tree} of an entry: what stands on the right of its equals sign, as symbols and as an expression. */
function equation(story, name, index) {
  if (name === "C") return output.C(story);
  if (name === "costs") return output.costOf(story, index[0]);
  if (name === "dx") {
    const back = KINDS[story.layer(1).kind]?.back(story, story.layer(1), index);
    return back && divided(story, back);
  }
  const { stage, own: what, after } = parts(name);
  const layer = story.layer(stage);
  if (!layer) return null;
  if (after) return updatedEntry(story, layer, what, index, parameterSymbol(layer, what, index));
  return layerEquation(story, layer, what, index);
}

function layerEquation(story, layer, what, index) {
  const own = KINDS[layer.kind];
  if (what === "da") return fromAbove(story, layer, what, index);
  if (!own) return null;
  if (layer.activation && what === "a") return activation.a(story, layer, index);
  if (what === "slope") return activation.slope(story, layer, index);
  if (what === "delta" && !own.delta) return delta(story, layer, index);
  return Object.hasOwn(own, what) && what !== "back" ? own[what](story, layer, index) : null;
}

/** δ: the output's, f′(z) ∂C/∂a, or what comes from above where a layer has no activation. */
function delta(story, layer, index) {
  if (layer.stage === story.layers.length) return output.delta(story, layer, index);
  return layer.activation ? activation.delta(story, layer, index) : fromAbove(story, layer, "delta", index);
}

/** ∂C/∂a: what the layer above sends back, or ∂C/∂ŷ. */
function fromAbove(story, layer, what, index) {
  const above = story.layer(layer.stage + 1);
  if (!above) return output.dy(story, story.array(`${layer.stage}.${what}`), index);
  return KINDS[above.kind]?.back(story, above, index) ?? null;
}

/** The equation's lines, its numbers being `numbers` and the result what the array holds. */
function linesOf(left, found, numbers, entry) {
  if (!found.formula) return [[left, ...numbers], [{ note: found.note }]]; // a copy
  const { through, definitions = [], note } = found;
  const lines = [[`${left}${(through ?? found).formula}`]];
  if (through) lines.push(["= ", ...inNumbers(through.tree)], [{ note: BETTER }], [`= ${found.formula}`]);
  for (const { left: name, formula, tree } of definitions) {
    const own = inNumbers(tree);
    lines.push([`${name} = ${formula} = `, ...own, ...resultOf(own, tree.value, "number")]);
  }
  lines.push(["= ", ...numbers]);
  const [, result] = resultOf(numbers, entry);
  if (result) lines.push(["= ", result]);
  if (note) lines.push([{ note }]);
  return lines;
}

/** "= 0.4312" behind numbers, unless they are the result themselves. */
function resultOf(numbers, value, kind = "result") {
  const result = text(value);
  return plain(numbers) === result ? [] : [" = ", { [kind]: result, places: [] }];
}
