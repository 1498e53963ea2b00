// What every gradient of a parameter has in common: it is averaged as the cost is, and decay adds to it.
//
//   ∂C/∂p = (Σ …)/T + λ p       T where the cost is a mean over the steps of a sequence; λ p where decay reaches p

import { entry, number, product, quotient, sum } from "./expression.js";

/** The whole of a gradient's entry, from the sum that backward gives: `added` is {formula, tree}. */
export function gradient(story, layer, name, index, parameter, added) {
  const decays = story.decay !== 0 && layer.decays.includes(name);
  const averaged = divided(story, added);
  if (!decays) return averaged;
  const p = entry(story.array(`${layer.stage}.${name}`), ...index);
  return {
    formula: `${averaged.formula} + λ ${parameter}`,
    tree: sum(averaged.tree, product(number(story.decay), p)),
  };
}

/** A sum over the steps, divided by T where the cost is their mean. */
export function divided(story, { formula, tree }) {
  if (story.divisor === 1) return { formula, tree };
  return { formula: `1/T · ${formula}`, tree: quotient(tree, number(story.divisor)) };
}
