// The health of the way back, layer by layer: how large δ is, who is dead or saturated, how far the update would go.

import { element } from "./dom.js";
import { decoded, text } from "./numbers.js";

const HEAD = ["Layer", "mean |δ|", "‖δ‖ ÷ next layer's", "dead", "saturated", "‖ΔW‖/‖W‖"];
const MANY = 64; // steps back; of more the lags that are shown are further apart

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

const short = (value) => (value === null ? "–" : text(decoded(value), 3));

/** A part of 1 in whole percent. */
function share(value) {
  if (value === null) return "–";
  const percent = 100 * decoded(value);
  return percent > 0 && percent < 0.5 ? "< 1 %" : `${text(Math.round(percent))} %`;
}

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

/** About eight of the steps back up to the last: 0, 1, 2, 4, 8, … or 0, 1, 4, 16, … */
function lags(last) {
  const found = [0];
  for (let lag = 1; lag < last; lag *= last > MANY ? 4 : 2) found.push(lag);
  return last > 0 ? [...found, last] : found;
}

/** Of a recurrent layer: how the errors shrink or grow, step by step back. */
function throughTime(layer) {
  if (!layer.through_time?.length) return null;
  const sizes = layer.through_time;
  const steps = lags(sizes.length - 1).map((lag) => `${lag} back: ${short(sizes[lag])}`);
  const words = `Through time, what is left of an error: ${steps.join(", ")}.`;
  return element("tr", {}, element("td", { colspan: HEAD.length, class: "says" }, words));
}
