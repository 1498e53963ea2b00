// What is shown of a step: its words and formulas, its arrays side by side, and the equation of the number pointed at.

import { largest } from "./arrays/largest.js";
import { view } from "./arrays/view.js";
import { check, differenceAt } from "./checks.js";
import { element } from "./dom.js";
import { drawn } from "./equations/drawn.js";
import { explain } from "./equations/entries.js";
import { formulas } from "./formulas.js";
import { exact, text } from "./numbers.js";
import { called, meaning, origin, parts, sign } from "./symbols.js";

const OPEN_AT_ONCE = 12; // arrays; of a step with more, those of each layer are unfolded when asked for

/** The panel of one step: { element, rest(), release() }. `say(text)` reaches the screen reader. */
export function panel(story, step, say) {
  const views = new Map();
  let pinned = null;
  let told = null;
  const equation = element("section", { class: "pointed", "aria-label": "The equation of one number" });
  const arrays = element("div", { class: "arrays" });
  const shown = step.shows.filter(({ array }) => story.array(array));

  function build({ array: name, role }) {
    const array = story.array(name);
    const made = view(story, array, {
      label: `${sign(story, name)}, ${meaning(story, name)}`,
      role,
      onPoint: (index) => pinned ?? tell(name, index),
      onLeave: () => pinned ?? rest(),
      onPick: (index) => pin(name, index),
    });
    views.set(name, made);
    made.element.dataset.array = name;
    return made.element;
  }

  if (shown.length > OPEN_AT_ONCE) arrays.append(...folded(story, step, shown, build));
  else arrays.append(...together(story, step, shown, build));

  function pin(name, index) {
    pinned = null;
    tell(name, index);
    pinned = { name, index };
    equation.classList.add("pinned");
  }

  function release() {
    if (!pinned) return;
    pinned = null;
    equation.classList.remove("pinned");
    rest();
  }

  /** Show the equation of an entry, and light what it came from. */
  function tell(name, index) {
    told = { name, index };
    for (const one of views.values()) one.clear();
    const found = explain(story, name, index);
    views.get(name)?.light([index], "point");
    for (const [array, indexes] of byArray(found?.sources ?? [])) views.get(array)?.light(indexes, "source");
    equation.replaceChildren(...entry(story, name, index, found));
    say(found?.text ?? `${called(story, name, index)} = ${text(story.array(name).at(...index), 6)}`);
  }

  /** Where nothing is pointed at: the largest entry of the result. */
  function rest() {
    const results = shown.filter(({ role, array }) => role === "result" && views.has(array));
    const name = (results.at(-1) ?? shown.at(-1))?.array;
    if (!name || !views.has(name)) return;
    const array = story.array(name);
    const numbers = array.data.map((v) => (Number.isNaN(v) ? 0 : v));
    tell(name, array.index(largest(numbers, 1)[0] ?? 0));
  }

  const checked = step.check ? check(story, step.check, pin) : null;
  equation.addEventListener("pointerover", ({ target }) => single(target.closest(".term")));
  equation.addEventListener("pointerleave", () => single(null));

  /** A number of the equation: the one entry that it is. */
  function single(term) {
    for (const one of views.values()) one.clear("point");
    if (term)
      views.get(term.dataset.array)?.light([term.dataset.index.split(",").filter(Boolean).map(Number)], "point");
    else if (told) views.get(told.name)?.light([told.index], "point");
  }

  const made = element(
    "article",
    { class: `step ${step.phase}` },
    element("h2", {}, step.title),
    element("div", { class: "said" }, element("p", { class: "words" }, step.words), formulas(step)),
    arrays,
    equation,
    checked,
  );
  return { element: made, release, rest };
}

/** A step's arrays; of an update every parameter, its gradient and what becomes of it in a line of their own. */
function together(story, step, shown, build) {
  if (step.phase !== "update") return shown.map(build);
  const lines = new Map();
  for (const one of shown) {
    const { stage, own } = parts(one.array);
    const key = `${stage}.${story.layer(stage).parameters.includes(own) ? own : own.slice(1)}`;
    lines.set(key, [...(lines.get(key) ?? []), one]);
  }
  return [...lines.values()].map((line) => element("div", { class: "line-of-arrays" }, ...line.map(build)));
}

/** Arrays of a step with very many, layer by layer, each unfolded when asked for. */
function folded(story, step, shown, build) {
  const layers = new Map();
  for (const one of shown) {
    const stage = parts(one.array).stage;
    layers.set(stage, [...(layers.get(stage) ?? []), one]);
  }
  return [...layers].map(([stage, own], k) => {
    const inside = element("div", { class: "arrays" });
    const unfold = () =>
      details.open && !inside.childElementCount && inside.append(...together(story, step, own, build));
    const details = element(
      "details",
      { toggle: unfold, open: k === 0 },
      element("summary", {}, `Layer ${stage}: ${story.layer(stage).text}`),
      inside,
    );
    if (k === 0) unfold();
    return details;
  });
}

function byArray(sources) {
  const found = new Map();
  for (const { array, index } of sources) {
    if (!found.has(array)) found.set(array, []);
    found.get(array).push(index);
  }
  return found;
}

/** An entry's equation, its value in full, and its finite difference. */
function entry(story, name, index, found) {
  const value = story.array(name).at(...index);
  const difference = differenceAt(story, name, index);
  return [
    found ? drawn(found.lines) : element("p", {}, `${called(story, name, index)} ${origin(story, name)}.`),
    element("p", { class: "exact" }, `${exact(value)}`),
    difference === undefined ? null : element("p", { class: "exact" }, `by finite differences ${exact(difference)}`),
  ].filter(Boolean);
}
