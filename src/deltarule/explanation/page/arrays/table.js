// Small arrays as real tables: each cell shows its number on its colour. A table a tile; one stop for the Tab key in
// all of them together, the arrow keys go from cell to cell (the grid pattern of ARIA).

import { element } from "../dom.js";
import { cellText } from "./cells.js";
import { onKeys, sign, titled, whereabouts } from "./tiles.js";

/** A heading cell: a number or a name; long names are cut by the style sheet and whole in the title. */
function heading(scope, text) {
  const name = !/^\d+$/.test(text);
  const attributes = { scope, class: name ? "view-name" : null, title: name && text.length > 8 ? text : null };
  return element("th", attributes, element("span", {}, text));
}

/** One tile as a table; its cells are put into `cells` under their place in the data. */
function grid(arrangement, tile, name, content, cells) {
  const { row, column } = arrangement;
  const label = tile.label ? `${name}, ${titled(arrangement, tile)}` : name;
  const table = element("table", { role: "grid", "aria-readonly": "true", "aria-label": label });
  const withRows = row(tile, 0) !== null;
  if (column(tile, 0) !== null) {
    const line = table.createTHead().insertRow();
    if (withRows) line.append(element("td", { class: "view-corner" }, arrangement.kind === "sequence" ? "t" : ""));
    for (let c = 0; c < tile.columns; c += 1) line.append(heading("col", column(tile, c)));
  }
  const body = table.createTBody();
  for (let r = 0; r < tile.rows; r += 1) {
    const line = body.insertRow();
    if (withRows) line.append(heading("row", row(tile, r)));
    for (let c = 0; c < tile.columns; c += 1) {
      const k = tile.base + r * tile.columns + c;
      const cell = element("td", { class: "view-cell", "data-k": k }, content(k));
      cells[k] = cell;
      line.append(cell);
    }
  }
  return table;
}

/** Whether a cell is seen in its scroller, and how far to scroll to have it in the middle. */
function shown(scroller, cell) {
  const [outer, inner] = [scroller.getBoundingClientRect(), cell.getBoundingClientRect()];
  const head = {
    width: cell.parentNode.querySelector("th")?.offsetWidth ?? 0,
    height: cell.closest("table").tHead?.offsetHeight ?? 0,
  };
  const across = inner.left >= outer.left + head.width && inner.right <= outer.right;
  const seen = across && inner.top >= outer.top + head.height && inner.bottom <= outer.bottom;
  return { seen, left: inner.left - outer.left - outer.width / 2, top: inner.top - outer.top - outer.height / 2 };
}

/** The tables of an array: {element, light, clear, paint(colours)}; entries are places k in its data. */
export function tables(story, array, arrangement, name, pointing) {
  const { kind, tiles } = arrangement;
  const where = whereabouts(arrangement);
  const number = kind === "tokens" ? null : cellText(array.data);
  const content = (k) => (number ? number(array.data[k]) : sign(story, array.data[k]));
  const cells = [];
  const scroller = element("div", { class: `view-tables view-${kind}` });
  for (const tile of tiles) {
    const table = grid(arrangement, tile, name, content, cells);
    if (kind !== "maps" && kind !== "kernels") scroller.append(table);
    else {
      const label = element("p", { class: "view-tile-label", "aria-hidden": "true" }, titled(arrangement, tile));
      scroller.append(element("div", { class: "view-tile" }, label, table));
    }
  }
  const longest = cells.reduce((n, cell) => Math.max(n, cell.textContent.length), kind === "tokens" ? 1 : 4);
  scroller.style.setProperty("--figures", longest);
  scroller.style.setProperty("--columns", tiles[0].columns);

  let cursor = 0;
  cells[0].tabIndex = 0;
  const go = (k, still = false) => {
    cells[cursor].tabIndex = -1;
    cursor = k;
    cells[k].tabIndex = 0;
    cells[k].focus({ preventScroll: still });
  };
  const reveal = (ks) => {
    if (scroller.scrollWidth <= scroller.clientWidth && scroller.scrollHeight <= scroller.clientHeight) return;
    const places = ks.map((k) => shown(scroller, cells[k]));
    if (!places.length || places.some((place) => place.seen)) return;
    scroller.scrollBy({ left: places[0].left, top: places[0].top });
  };
  const entry = (event) => {
    const cell = event.target.closest?.("[data-k]");
    return cell ? Number(cell.dataset.k) : null;
  };

  scroller.addEventListener("pointermove", (event) => {
    const k = entry(event);
    if (k !== null) pointing.at(k);
  });
  scroller.addEventListener("pointerleave", () => pointing.leave());
  scroller.addEventListener("focusin", (event) => pointing.at(entry(event)));
  scroller.addEventListener("focusout", (event) => {
    if (!scroller.contains(event.relatedTarget)) pointing.leave();
  });
  scroller.addEventListener("click", (event) => {
    const k = entry(event);
    if (k === null) return;
    go(k, true);
    pointing.pick(k);
  });
  onKeys(scroller, arrangement, where, { at: () => cursor, go, pick: pointing.pick });

  const lit = (sort) => `view-${sort}`;
  const clear = (sort) => {
    for (const one of sort ? [sort] : ["source", "point"]) {
      for (const cell of scroller.querySelectorAll(`.${lit(one)}`)) cell.classList.remove(lit(one));
    }
  };
  return {
    element: scroller,
    clear,
    light(ks, sort) {
      clear(sort);
      for (const k of ks) cells[k]?.classList.add(lit(sort));
      if (!scroller.matches(":hover")) reveal(ks);
    },
    paint(colours) {
      cells.forEach((cell, k) => {
        const { fill, ink, odd } = colours.of(array.data[k]);
        cell.classList.toggle("view-odd", Boolean(odd));
        if (arrangement.colour === "none" && !odd) return;
        cell.style.backgroundColor = fill;
        cell.style.color = ink;
      });
    },
  };
}
