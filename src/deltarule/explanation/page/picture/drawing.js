// The user's own network as a picture that follows the stepper: forward from left to right; on the way back the same
// network reversed, where each unit multiplies by f′(z). Every layer is a button that goes to its step.

import { element } from "../dom.js";
import { columns } from "./columns.js";
import { Progress } from "./progress.js";
import { node } from "./svg.js";
import { unrolled } from "./unrolled.js";

const LEAST = 0.82; // how far the picture may shrink before its box scrolls: its smallest letters stay legible

/** A drawing of a story's network: {element, show(step), replace(story)}; `onChoose(stepId)` hears of chosen layers. */
export function drawing(story, { onChoose }) {
  const layers = { lines: hidden(), parts: node("g"), front: hidden() };
  const svg = node("svg", { class: "network", role: "group", "aria-label": "the network" }, ...Object.values(layers));
  const box = element("div", { class: "drawing-box" }, svg);
  const note = element("figcaption", { class: "drawing-note" });
  const figure = element("figure", { class: "drawing" }, box, note);
  const known = new Map();
  let current = null;
  box.addEventListener("scroll", holdNames);

  function show(step) {
    const turned = (current?.phase === "backward") !== (step.phase === "backward");
    current = step;
    const progress = new Progress(story, step);
    const picture = (story.T ? unrolled : columns)(story, progress);
    const { width, height } = picture;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    Object.assign(svg.style, { width: "100%", maxWidth: `${width}px`, minWidth: `${Math.round(width * LEAST)}px` });
    svg.setAttribute("class", `network ${progress.backward ? "back" : "forth"} ${step.phase}`);
    layers.lines.replaceChildren(...picture.lines);
    arrange(picture.parts);
    layers.front.replaceChildren(...picture.front);
    note.textContent = words(story, progress, picture.weights);
    bringIntoView(picture, turned);
  }

  /** Each part gets its new contents; the buttons themselves stay, and with them the keyboard's focus. */
  function arrange(parts) {
    const wanted = parts.map((each) => {
      if (!known.has(each.key)) known.set(each.key, part(onChoose));
      return known.get(each.key).fill(each);
    });
    const there = [...layers.parts.children];
    if (there.length === wanted.length && wanted.every((each, i) => each === there[i])) return;
    const focused = document.activeElement;
    layers.parts.replaceChildren(...wanted);
    if (wanted.some((each) => each.contains(focused))) focused.focus({ preventScroll: true });
  }

  /** The box scrolls by itself, never the page: a row of steps to its start, or to its end on the way back. */
  function bringIntoView({ parts, width, scroll }, turned) {
    const now = parts.find((each) => each.now);
    if (box.scrollWidth > box.clientWidth) {
      const scale = box.scrollWidth / width;
      if (scroll !== undefined && turned) box.scrollLeft = scroll * scale;
      if (scroll === undefined && now) box.scrollLeft = (now.hit.x + now.hit.width / 2) * scale - box.clientWidth / 2;
    }
    holdNames();
  }

  /** What names the rows of an unrolled network stays at the left edge of the box. */
  function holdNames() {
    const shift = box.scrollLeft * (svg.viewBox.baseVal.width / svg.clientWidth) || 0;
    for (const name of svg.querySelectorAll(".fixed")) name.setAttribute("transform", `translate(${shift})`);
  }

  function replace(other) {
    story = other;
    if (current) show(story.steps.find((step) => step.id === current.id) ?? current);
  }

  return { element: figure, show, replace };
}

/** A group for the eye alone. */
function hidden() {
  return node("g", { "aria-hidden": "true" });
}

/** A part of the picture: a button under what is drawn, which is for the eye alone; all of it can be clicked. */
function part(onChoose) {
  const button = node("g", { role: "button", tabindex: 0 });
  const drawn = node("g", { "aria-hidden": "true" });
  const group = node("g", {}, button, drawn);
  let target = null;
  const choose = () => target && onChoose(target);
  group.addEventListener("click", choose);
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose();
  });

  function fill({ label, target: to, now, hit, frame, nodes }) {
    target = to;
    button.setAttribute("aria-label", label);
    group.setAttribute("class", now ? "part now" : "part");
    if (now) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
    button.replaceChildren(node("rect", { ...hit, rx: 8, class: "hit" }, node("title", {}, label)));
    drawn.replaceChildren(...nodes, node("rect", { ...frame, rx: 8, class: "frame" }));
    return group;
  }

  return { group, button, fill };
}

/** What the picture shows, in a sentence below it. */
function words(story, { phase, backward }, weights) {
  if (backward && story.T) {
    return (
      "The same network, reversed in time: δ of a step comes from above and, through Uᵀ, from the step after it. " +
      "Numbers are lengths ‖·‖; where the colour fades, the error vanishes."
    );
  }
  if (backward) {
    return (
      "The same network, reversed: errors go through the weights transposed, and each unit multiplies " +
      "by f′\u2060(z), a constant, because z is already known."
    );
  }
  if (phase === "update")
    return `Every parameter goes a step against its gradient${weights ? "; lines are the new weights" : ""}.`;
  if (phase === "after") return "With the new parameters, the same input costs this much.";
  if (story.T) return "Unrolled through time: a column a step, the same weights in each. Numbers are lengths ‖·‖.";
  return `${weights ? "Lines are weights, as wide as they are large. " : ""}Orange is positive, blue is negative.`;
}
