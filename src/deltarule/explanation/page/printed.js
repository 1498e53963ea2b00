// On paper there is no pointing: every step follows the other, with its words, formulas and arrays.

import { element } from "./dom.js";
import { formulas } from "./formulas.js";
import { meaning, sign } from "./symbols.js";
import { view } from "./arrays/view.js";

const MOST = 600; // numbers of an array that is printed whole; of larger ones the page says that they are there
const MOST_OF_MAPS = 20000; // which are printed as pictures

/** Have all steps of `story()` stand on the page while it is printed. */
export function printed(story) {
  let sheet = null;
  window.addEventListener("beforeprint", () => {
    sheet?.remove();
    sheet = element("div", { class: "sheet" }, ...story().steps.map((step) => stepOnPaper(story(), step)));
    document.body.append(sheet);
  });
  window.addEventListener("afterprint", () => {
    sheet?.remove();
    sheet = null;
  });
}

function stepOnPaper(story, step) {
  const arrays = step.shows
    .filter(({ array, role }) => role === "result" && story.array(array))
    .map(({ array }) => onPaper(story, array));
  return element(
    "article",
    { class: `step ${step.phase}` },
    element("h2", {}, step.title),
    element("div", { class: "said" }, element("p", { class: "words" }, step.words), formulas(step)),
    element("div", { class: "arrays" }, ...arrays),
  );
}

function onPaper(story, name) {
  const array = story.array(name);
  const label = `${sign(story, name)}, ${meaning(story, name)}`;
  if (array.size > (array.shape.length === 3 ? MOST_OF_MAPS : MOST))
    return element("p", { class: "note" }, `${label}: ${array.shape.join(" × ")} numbers, on the screen.`);
  return view(story, array, { label, role: "result", onPoint() {}, onLeave() {}, onPick() {} }).element;
}
