// One array on the page: a figure with a caption (label, shape, range) and its numbers, as tables where they are few
// and as a heat map where they are many. Pointing at an entry is told to the page; the page lights entries up.

import { element } from "../dom.js";
import { cellText } from "./cells.js";
import { colours, gradient, scheme } from "./colours.js";
import { heat } from "./heat.js";
import { largest, largestList } from "./largest.js";
import { text } from "../numbers.js";
import { tables } from "./table.js";
import { arranged, named, tuple, whereabouts } from "./tiles.js";

const span = (name, content) => element("span", { class: name }, content);

function shapeOf({ shape, size }) {
  if (shape.length === 1) return size === 1 ? "1 entry" : `${size} entries`;
  return shape.join(" × ");
}

/** The range of an array: its smallest value, a bar of the colours, its largest; and what is not a number at all. */
function rangeOf(story, array, arrangement, { low, high, odd }) {
  if (arrangement.kind === "tokens") {
    const n = story.names.vocabulary?.length;
    return span("view-range", n ? `tokens of ${n}` : "tokens");
  }
  const range = span("view-range", "");
  if (arrangement.kind !== "scalar" && !Number.isNaN(low)) {
    if (low === high) range.append(`all ${text(low, 3)}`);
    else range.append(text(low, 3), span("view-bar", " … "), text(high, 3));
  }
  if (odd && array.size > 1) range.append(`${range.textContent ? ", " : ""}${odd} not finite`);
  return range;
}

/** Tells the page which entry is pointed at, each only once in a row. */
function teller(array, { onPoint, onLeave, onPick }) {
  let last = null;
  const leave = () => {
    if (last !== null) onLeave?.();
    last = null;
  };
  return {
    leave,
    at(k) {
      if (k === null) return leave();
      if (k !== last) onPoint?.(array.index(k));
      last = k;
    },
    pick: (k) => onPick?.(array.index(k)),
  };
}

/** The button that makes the cells of a heat map large enough for their numbers. */
function numbersButton(figure, body) {
  const attributes = { type: "button", class: "view-numbers", "aria-pressed": "false" };
  const button = element("button", attributes, "numbers");
  const fit = (on) => figure.style.setProperty("--natural", `${Math.ceil(body.natural(on))}px`);
  fit(false);
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", String(on));
    fit(on);
    body.zoom(on);
  });
  return button;
}

/**
 * An array as a figure: {element, light(indexes, "source" | "point"), clear(kind?)}.
 * Options: label (text or a node), role "from" | "result", rows and columns (names),
 * onPoint(index), onLeave(), onPick(index).
 */
export function view(story, array, options = {}) {
  const arrangement = arranged(story, array, options);
  const pointing = teller(array, options);
  const role = options.role ? ` view-as-${options.role}` : "";
  const figure = element("figure", { class: `view view-${arrangement.body}${role}` });

  const paints = () => colours(array.data, arrangement.colour, scheme());
  const first = paints();
  const label = span("view-label", options.label ?? array.name);
  const shape = shapeOf(array);
  const range = rangeOf(story, array, arrangement, first.range);
  const caption = element("figcaption", {}, label, " ", span("view-shape", shape), " ", range);
  figure.append(caption);

  const spoken = `${label.textContent}, ${shape ? `${shape}, ` : ""}${range.textContent}`.replace(/[,\s]+$/, "");
  const table = arrangement.body === "table";
  const body = table
    ? tables(story, array, arrangement, label.textContent, pointing)
    : heat(array, arrangement, spoken, pointing);
  figure.append(body.element);
  if (!table) {
    caption.append(" ", numbersButton(figure, body));
    const [where, number] = [whereabouts(arrangement), cellText(array.data)];
    const list =
      arrangement.colour === "grey"
        ? null
        : largestList(
            largest(array.data),
            {
              show: (k) => number(array.data[k]),
              short: (k) => tuple(arrangement, where, k),
              describe: (k) => named(arrangement, where, k),
            },
            (k) => body.focus(k),
          );
    if (list) figure.append(list);
  }

  let painted = null;
  const repaint = (given) => {
    painted = given.scheme;
    const bar = range.querySelector(".view-bar");
    if (bar) bar.style.backgroundImage = gradient(given);
    body.paint(given);
  };
  repaint(first);
  figure.addEventListener("repaint", () => repaint(paints()));
  new ResizeObserver(() => painted !== scheme() && repaint(paints())).observe(figure);

  const places = (indexes) => indexes.map((index) => array.flat(index));
  return {
    element: figure,
    light: (indexes, kind) => body.light(places(indexes), kind),
    clear: (kind) => body.clear(kind),
  };
}
