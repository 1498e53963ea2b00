// Dropout's entries: a = m a_prev and ∂C/∂a_prev = m δ, m being 0 or 1/(1 − rate); where nothing drops, m = 1.

import { entry, product } from "./expression.js";
import { below, symbol } from "./notation.js";

export const dropout = { a, back };

function a(story, layer, index) {
  const { array, place, symbol: named } = below(story, layer.stage);
  return masked(story, layer, index, named(...index), entry(array, ...place(...index)));
}

function back(story, layer, index) {
  const delta = story.array(`${layer.stage}.delta`);
  return masked(story, layer, index, symbol("δ", layer.stage, index), entry(delta, ...index));
}

/** m times a number, or the number where nothing drops. */
function masked(story, { stage }, index, formula, tree) {
  const mask = story.array(`${stage}.mask`);
  if (!mask) return { formula, tree };
  return { formula: `${symbol("m", stage, index)} ${formula}`, tree: product(entry(mask, ...index), tree) };
}
