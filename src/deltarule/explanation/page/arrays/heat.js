// Large arrays, maps and kernels as a heat map on a canvas. The canvas is as large as what is seen of the plane and
// stays in place while the plane is scrolled; only what is seen is painted. "Numbers" makes the cells large enough
// for theirs.

import { element } from "../dom.js";
import { cellText } from "./cells.js";
import { onPaper } from "./colours.js";
import { HIGHEST, plane } from "./plane.js";
import { paint } from "./paint.js";
import { named, onKeys, whereabouts } from "./tiles.js";

const PAGE = 640; // pixels across a printed page
const PROPERTIES = ["paper", "faint", "accent", "from", "result"];
const ON_PAPER = { paper: "#fff", faint: "#595959" };

/** The page's colours and letters as a canvas needs them; on paper dark on white. */
function styleOf(node) {
  const computed = getComputedStyle(node);
  const read = (property) => computed.getPropertyValue(`--${property}`).trim();
  const style = Object.fromEntries(PROPERTIES.map((property) => [property, read(property)]));
  return { ...style, ...(onPaper() ? ON_PAPER : {}), font: computed.fontFamily };
}

/** A heat map: {element, light, clear, focus, paint(colours), zoom(on), natural(on)}; entries are places k in data. */
export function heat(array, arrangement, name, pointing) {
  const { data } = array;
  const where = whereabouts(arrangement);
  const number = cellText(data);
  const canvas = element("canvas", { role: "img", "aria-label": name });
  const sheet = element("div", { class: "view-plane" }, canvas);
  const keys = `${name}. The arrow keys go from entry to entry.`;
  const scroller = element("div", { class: "view-scroller", tabindex: "0", role: "group", "aria-label": keys }, sheet);
  scroller.style.maxHeight = `${HIGHEST}px`;
  const readout = element("p", { class: "view-readout", role: "status" });
  const body = element("div", { class: "view-map" }, scroller, readout);

  const lit = { source: new Set(), point: new Set() };
  let measured = 0;
  const longest = () => (measured ||= data.reduce((n, v) => Math.max(n, number(v).length), 4));
  let [figures, cursor, keyed, colours, asked, width] = [0, null, false, null, false, 0];
  let now = plane(arrangement, 600, 0);

  const draw = () => {
    asked = false;
    if (!colours || !width) return;
    const box = { x: scroller.scrollLeft, y: scroller.scrollTop };
    box.width = Math.min(scroller.clientWidth || width, Math.ceil(now.width));
    box.height = Math.min(scroller.clientHeight || HIGHEST, Math.ceil(now.height));
    const sharp = Math.max(1, window.devicePixelRatio || 1);
    const [w, h] = [Math.round(box.width * sharp), Math.round(box.height * sharp)];
    if (canvas.width !== w || canvas.height !== h) {
      [canvas.width, canvas.height] = [w, h];
      [canvas.style.width, canvas.style.height] = [`${box.width}px`, `${box.height}px`];
    }
    const context = canvas.getContext("2d");
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    paint(context, {
      ...{ plane: now, arrangement, where, data, colours, lit, box },
      number: figures ? number : null,
      cursor: keyed ? cursor : null,
      style: styleOf(scroller),
    });
  };
  const redraw = () => {
    if (!asked) requestAnimationFrame(draw);
    asked = true;
  };

  /** Lays the tiles out anew; a scroll bar at the right takes its room from them. */
  const lay = () => {
    width = onPaper() ? Math.min(body.clientWidth || PAGE, PAGE) : body.clientWidth;
    if (!width) return;
    now = plane(arrangement, width, figures);
    if (now.height > HIGHEST) now = plane(arrangement, width - 16, figures);
    [sheet.style.width, sheet.style.height] = [`${now.width}px`, `${now.height}px`];
    draw();
  };

  /** Scrolls so that the first of some entries is seen, if none of them is. */
  const reveal = (ks) => {
    const { head } = now;
    const [left, top] = [scroller.scrollLeft, scroller.scrollTop];
    const [right, bottom] = [left + scroller.clientWidth, top + scroller.clientHeight];
    let first = null;
    for (const k of ks) {
      const cell = now.rect(where(k));
      first ??= cell;
      const inX = cell.x >= left + head.left && cell.x + cell.width <= right;
      if (inX && cell.y >= top + head.top && cell.y + cell.height <= bottom) return;
    }
    if (!first) return;
    scroller.scrollTo({
      left: first.x - (head.left + scroller.clientWidth) / 2,
      top: first.y - (head.top + scroller.clientHeight) / 2,
    });
  };

  const tell = (k) => {
    readout.textContent = k === null ? "" : `${named(arrangement, where, k)}: ${number(data[k])}`;
    pointing.at(k);
  };
  const leave = () => {
    readout.textContent = "";
    pointing.leave();
  };
  const go = (k) => {
    [cursor, keyed] = [k, true];
    reveal([k]);
    tell(k);
    redraw();
  };
  const under = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    if (x < now.head.left || y < now.head.top) return null;
    return now.at(x + scroller.scrollLeft, y + scroller.scrollTop);
  };

  scroller.addEventListener("scroll", redraw, { passive: true });
  scroller.addEventListener("pointermove", (event) => {
    if (keyed) redraw();
    keyed = false;
    tell(under(event));
  });
  scroller.addEventListener("pointerleave", leave);
  scroller.addEventListener("focus", () => {
    if (scroller.matches(":focus-visible")) go(cursor ?? arrangement.tiles[0].base);
  });
  scroller.addEventListener("blur", () => {
    keyed = false;
    redraw();
    leave();
  });
  scroller.addEventListener("click", (event) => {
    const k = under(event);
    if (k === null) return;
    cursor = k;
    tell(k);
    pointing.pick(k);
  });
  onKeys(scroller, arrangement, where, { at: () => cursor ?? arrangement.tiles[0].base, go, pick: pointing.pick });
  queueMicrotask(lay); // once it is on the page; paper does not wait for an observer
  new ResizeObserver(() => body.clientWidth !== width && lay()).observe(body);

  return {
    element: body,
    focus(k) {
      cursor = k;
      scroller.focus();
      go(k);
    },
    clear(sort) {
      for (const one of sort ? [sort] : ["source", "point"]) lit[one].clear();
      redraw();
    },
    light(ks, sort) {
      lit[sort] = new Set(ks);
      if (!scroller.matches(":hover")) reveal(ks);
      redraw();
    },
    paint(given) {
      colours = given;
      lay();
    },
    /** Shows the numbers, or the whole; what was looked at stays in sight. */
    zoom(on) {
      figures = on ? longest() : 0;
      lay();
      reveal([...lit.point, ...lit.source, cursor ?? 0].slice(0, 1));
    },
    /** The width that it would like to have. */
    natural: (zoomed) => plane(arrangement, 1600, zoomed ? longest() : 0).width,
  };
}
