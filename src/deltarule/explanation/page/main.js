// The page: the network drawn, the stepper, the step that is shown, what if, and the health of the way back.

import { element } from "./dom.js";
import { drawing } from "./picture/drawing.js";
import { form } from "./whatif/form.js";
import { health } from "./health.js";
import { text } from "./numbers.js";
import { panel } from "./panel.js";
import { printed } from "./printed.js";
import { stepper } from "./stepper.js";
import { Story } from "./story.js";
import { updated } from "./whatif/update.js";
import { possible, recomputed } from "./whatif/whatif.js";

const read = Story.read(document.getElementById("story").textContent);
const original = read.replaced(updated(read));
let story = original;
let shown = null;

const live = element("p", { class: "live", "aria-live": "polite" });
const say = (words) => {
  live.textContent = words;
};
const stage = element("div", { class: "stage" });
const steps = stepper(story.steps, go);
const picture = drawing(story, { onChoose: (id) => steps.go(id) });
const sum = element("p", { class: "sum" });
const wrong = story.checks.ok
  ? null
  : element(
      "p",
      { class: "wrong-note" },
      story.checks.reason
        ? `No gradient could be checked: ${story.checks.reason}.`
        : "Finite differences do NOT agree with a gradient: see the steps of the way back.",
    );

/** Another step: from its beginning. */
function go(step) {
  show(step);
  say(`${step.title}. ${step.words}`);
  if (head.getBoundingClientRect().top < 0) head.scrollIntoView({ block: "start" });
}

function show(step) {
  shown = panel(story, step, say);
  stage.replaceChildren(shown.element);
  shown.rest();
  picture.show(step);
}

/** Another η or target: every array is computed anew, and the step shows the new numbers. */
function change(changes) {
  story = recomputed(original, changes);
  summed();
  picture.replace(story);
  question.tell(story);
  show(steps.current);
}

function summed() {
  const [before, after] = [story.array("C").at(), story.array("C_after").at()];
  sum.textContent = `C = ${text(before, 6)}, after one update ${text(after, 6)}`;
}

const question = possible(original) ? form(original, change) : null;
const bar = element("div", { class: "bar" }, steps.bar);
const head = element("div", { class: "head" }, bar, picture.element);
const parameters = story.layers
  .flatMap(({ stage: l, parameters: names }) => names.map((p) => story.array(`${l}.${p}`).size))
  .reduce((n, m) => n + m, 0);
const counted = `${parameters.toLocaleString("en")} ${parameters === 1 ? "parameter" : "parameters"}`;
const hint = [
  `${counted}. One row, forward and back; all numbers in float64.`,
  "Point at a number to see where it comes from; click it to keep it, Esc lets it go. ← and → step, p plays.",
];
document.body.append(
  element("header", {}, element("h1", {}, story.network), sum, wrong, element("p", { class: "about" }, hint.join(" "))),
  element("div", { class: "columns" }, steps.list, element("main", {}, head, stage, question?.element, health(story))),
  live,
);
document.addEventListener("keydown", (event) => event.key === "Escape" && shown?.release());
printed(() => story);
summed();
steps.begin();
