// Beside a gradient its finite differences: (C(u + ε) − C(u − ε)) / 2ε, which knows nothing of the way back.

import { element } from "./dom.js";
import { constant, decoded, exact, text } from "./numbers.js";
import { place, sign } from "./symbols.js";

const SHOWN = 8; // entries in the table

/** The check of one gradient, or why there is none; `onPoint(array, index)` where an entry is chosen. */
export function check(story, name, onPoint) {
  const found = story.checks.arrays[name];
  if (story.retargeted)
    return note("Finite differences were taken with the original target: see “Back to the original”.");
  if (!found) return note(`There are no finite differences: ${story.checks.reason}.`);
  return element(
    "section",
    { class: `check ${found.ok ? "right" : "wrong"}`, "aria-label": `Check of ${sign(story, name)}` },
    element("h3", {}, `${found.ok ? "✓" : "✗"} Checked by finite differences`),
    element("p", {}, said(story.checks, found)),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Finite differences" },
      table(story, name, onPoint),
    ),
    story.checks.directions ? along(story.checks) : null,
  );
}

/** How many entries were compared, and how they agree. */
function said({ epsilon, tolerance }, { entries: n, of, ok, error, kinks }) {
  const whole = of.toLocaleString("en");
  const all = of === 1 ? "The only entry" : `All ${whole} entries`;
  const much = n === of ? all : `${n} of ${whole} entries, the largest among them,`;
  const left = kinks ? ` ${kinks} at a kink, where there is no derivative, left out.` : "";
  return (
    `${much} ${agreeing(ok, n)} with (C(u + ε) − C(u − ε)) / 2ε, ε = ${constant(epsilon)}: ` +
    `relative error ${text(decoded(error), 2)}, at most ${text(tolerance, 2)} is allowed.${left}`
  );
}

function agreeing(ok, n) {
  if (n === 1) return ok ? "agrees" : "does NOT agree";
  return ok ? "agree" : "do NOT agree";
}

/** How the slopes along random directions agree, which all gradients together have to give. */
function along({ directions: { entries: n, ok, error }, tolerance }) {
  const many = n === 1 ? "the slope along a random direction" : `the slopes along ${n} random directions`;
  return element(
    "p",
    { class: ok ? null : "wrong" },
    `${ok ? "✓" : "✗"} Through θ and x at once ${many} ${agreeing(ok, n)}: ` +
      `relative error ${text(decoded(error), 2)}, at most ${text(tolerance, 2)} is allowed.`,
  );
}

/** The entries that differ most. */
function table(story, name, onPoint) {
  const rows = entries(story, name);
  const worst = [...rows].sort((a, b) => b.difference - a.difference).slice(0, SHOWN);
  return element(
    "table",
    {},
    element("caption", {}, rows.length > SHOWN ? `The ${SHOWN} that differ most` : "Every entry"),
    element("thead", {}, row("th", ["entry", "by the way back", "by finite differences", "difference"])),
    element("tbody", {}, ...worst.map((one) => entryRow(story, name, one, onPoint))),
  );
}

/** The finite difference of one entry, or undefined where it was not taken. */
export function differenceAt(story, name, index) {
  const numeric = story.array(`${name}.check`);
  if (!numeric || story.retargeted) return undefined;
  const flat = story.array(name).flat(index);
  const places = story.array(`${name}.places`);
  const k = places ? places.data.indexOf(flat) : flat;
  return k < 0 ? undefined : numeric.data[k];
}

const note = (words) => element("p", { class: "note" }, words);

function entries(story, name) {
  const array = story.array(name);
  const numeric = story.array(`${name}.check`);
  const places = story.array(`${name}.places`);
  const excused = new Set(story.checks.arrays[name].excused);
  return [...numeric.data].map((value, k) => {
    const flat = places ? places.data[k] : k;
    const analytic = array.data[flat];
    return {
      index: array.index(flat),
      analytic,
      numeric: value,
      difference: Math.abs(analytic - value),
      kink: excused.has(flat),
    };
  });
}

function entryRow(story, name, one, onPoint) {
  const choose = element(
    "button",
    { type: "button", click: () => onPoint(name, one.index) },
    place(story, name, one.index),
  );
  const difference = one.kink ? "at a kink" : text(one.difference, 2);
  const made = row("td", ["", exactly(one.analytic), exactly(one.numeric), difference]);
  made.firstChild.append(choose);
  return made;
}

const exactly = (value) =>
  Number.isFinite(value) ? value.toExponential(8).replaceAll("-", "−").replace("e+", "e") : exact(value);
const row = (kind, cells) =>
  element("tr", {}, ...cells.map((cell) => element(kind, kind === "th" ? { scope: "col" } : {}, cell)));
