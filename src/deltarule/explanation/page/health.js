// The health of the way back, layer by layer: how large δ is, who is dead or saturated, how far the update would go.

import { element } from "./dom.js";
import { text } from "./numbers.js";

const HEAD = ["Layer", "mean |δ|", "‖δ‖ to the next", "dead", "saturated", "‖ΔW‖/‖W‖"];

/** The section, or null where nothing was measured. */
export function health(story) {
  const { layers, sentence } = story.health;
  if (!layers.length) return null;
  const body = layers.flatMap((layer) => [layerRow(story, layer), verdict(layer), throughTime(layer)].filter(Boolean));
  const table = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, ...HEAD.map((word) => element("th", { scope: "col" }, word)))),
    element("tbody", {}, ...body),
  );
  return element(
    "section",
    { class: "health", "aria-labelledby": "health" },
    element("h2", { id: "health" }, "The health of the way back"),
    element("p", { class: "words" }, `${sentence[0].toUpperCase()}${sentence.slice(1)}.`),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Health by layer" }, table),
  );
}

const share = (value) => (value === null ? "–" : `${text(100 * number(value), 1)} %`);
const short = (value) => (value === null ? "–" : text(number(value), 3));
const number = (value) => (typeof value === "string" ? Number(value.replace("inf", "Infinity")) : value);

function layerRow(story, layer) {
  const numbers = [
    short(layer.mean_delta),
    short(layer.ratio),
    share(layer.dead),
    share(layer.saturated),
    short(layer.update_ratio),
  ];
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, `${layer.stage}  ${story.layer(layer.stage).text}`),
    ...numbers.map((cell) => element("td", {}, cell)),
  );
}

/** The verdict, why, and what to do. */
function verdict({ verdict: said, reason, remedy }) {
  const words = [`${said}: ${reason}.`, remedy && `${remedy[0].toUpperCase()}${remedy.slice(1)}.`]
    .filter(Boolean)
    .join(" ");
  return element(
    "tr",
    { class: said === "healthy" ? null : "found" },
    element("td", { colspan: HEAD.length, class: "says" }, words),
  );
}

/** Of a recurrent layer: how the errors shrink or grow, step by step back. */
function throughTime(layer) {
  if (!layer.through_time?.length) return null;
  const steps = layer.through_time.map((size, k) => `${k} back: ${short(size)}`).join(", ");
  return element(
    "tr",
    {},
    element("td", { colspan: HEAD.length, class: "says" }, `Through time, what is left of an error: ${steps}.`),
  );
}
