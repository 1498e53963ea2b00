// Beside a gradient its finite differences: (C(u + ε) − C(u − ε)) / 2ε, which knows nothing of the way back.

import { element } from "./dom.js";
import { exact, text } from "./numbers.js";
import { sign } from "./symbols.js";

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
    story.checks.directions ? element("p", {}, along(story.checks.directions)) : null,
  );
}

/** How many entries were compared, and how they agree. */
function said({ epsilon, tolerance }, { entries: n, of, ok, error, kinks }) {
  const whole = of.toLocaleString("en");
  const much = n === of ? `All ${whole} entries` : `${n} of ${whole} entries, the largest among them,`;
  const left = kinks ? ` ${kinks} at a kink, where there is no derivative, left out.` : "";
  return (
    `${much} ${ok ? "agree" : "do NOT agree"} with (C(u + ε) − C(u − ε)) / 2ε, ε = ${text(epsilon, 4)}: ` +
    `relative error ${text(error, 2)}, at most ${text(tolerance, 2)} is allowed.${left}`
  );
}

const along = ({ entries: n, error }) =>
  `Along ${n} random directions through θ and x at once the relative error is ${text(error, 2)}.`;

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
  const place = `[${one.index.map((i) => i + 1).join(", ")}]`;
  const choose = element("button", { type: "button", click: () => onPoint(name, one.index) }, place);
  const difference = one.kink ? "at a kink" : text(one.difference, 2);
  const made = row("td", ["", exactly(one.analytic), exactly(one.numeric), difference]);
  made.firstChild.append(choose);
  return made;
}

const exactly = (value) =>
  Number.isFinite(value) ? value.toExponential(8).replaceAll("-", "−").replace("e+", "e") : exact(value);
const row = (kind, cells) =>
  element("tr", {}, ...cells.map((cell) => element(kind, kind === "th" ? { scope: "col" } : {}, cell)));
