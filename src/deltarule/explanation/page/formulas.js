// The formulas of a step: the layers' own, with the words that lead to them and the constants behind them.

import { element, mathml } from "./dom.js";

/** What a step says and by which formulas, or null where it needs none. */
export function formulas(step) {
  if (!step.formulas.length) return null;
  return element("div", { class: "formulas" }, ...step.formulas.flatMap(formula));
}

function formula({ mathml: text, words, constants, text: plain }) {
  const lead = words.length
    ? element("p", {}, ...words.flatMap((w) => (typeof w === "string" ? [w] : mathml(w.mathml))))
    : null;
  const behind = constants ? element("span", { class: "constants" }, constants) : null;
  const shown = { class: "formula", tabindex: "0", role: "region", "aria-label": `Formula: ${plain}` };
  return [lead, element("div", shown, ...mathml(text), behind)].filter(Boolean);
}
