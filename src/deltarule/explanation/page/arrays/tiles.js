// An array laid out in tiles: rectangles of entries that follow each other row by row in the array's data. A matrix
// is one tile; maps (c, h, w) are c tiles; kernels (o, c, r, s) are o × c tiles, and of linked ones (links, r, s)
// only those that are there; a long vector is cut into columns of ten. Tile: {base, rows, columns, label, place: [R,
// C] | null}, its place in the grid of all tiles; without one they follow each other in lines.

import { parts } from "../symbols.js";
import { seen } from "./cells.js";
import { headings, kindOf } from "./headings.js";

const TABLE = 600; // entries that are shown as a table
const WIDEST = 32; // columns of such a table
const PICTURE = 150; // entries of maps or kernels from which they are pictures
const COLUMN = 12; // entries of a vector that stand in one column
const CUT = 10; // entries a column of a longer one
const ROW = 5; // tokens that stand together

const counted = (names) => (i) => names?.[i] ?? String(i + 1);

/** Tiles of maps or kernels: equal rectangles, each with its label. */
function rectangles(story, array, kind) {
  const { shape } = array;
  const [rows, columns] = shape.slice(-2);
  const tile = (block, label, place) => ({ base: block * rows * columns, rows, columns, label, place });
  if (kind === "maps") {
    return { grid: null, tiles: Array.from({ length: shape[0] }, (_, m) => tile(m, `${m + 1}`, null)) };
  }
  const { numbers } = story.layer(parts(array.name).stage);
  const [maps, channels] = shape;
  const grid =
    numbers ?? Array.from({ length: maps }, (_, o) => Array.from({ length: channels }, (__, c) => o * channels + c));
  const single = grid[0].length === 1;
  const tiles = grid.flatMap((row, o) =>
    row.flatMap((block, c) =>
      block < 0 ? [] : [tile(block, single ? `${o + 1}` : `${o + 1}←${c + 1}`, single ? null : [o, c])],
    ),
  );
  return { grid: single ? null : [grid.length, grid[0].length], tiles };
}

/** A vector's tiles: one column, or columns of ten; tokens stand in rows, as text does. */
function strips(n, across) {
  const step = across ? ROW : n <= COLUMN ? n : CUT;
  return Array.from({ length: Math.ceil(n / step) }, (_, i) => {
    const length = Math.min(step, n - i * step);
    const size = across ? { rows: 1, columns: length } : { rows: length, columns: 1 };
    const label = n > step ? `${i * step + 1} to ${i * step + length}` : "";
    return { base: i * step, ...size, label, place: null };
  });
}

/** A long vector in lines: of √n if that is whole (a picture laid flat), otherwise of fifty. */
function lines(n) {
  const side = Math.sqrt(n);
  const columns = Number.isInteger(side) ? side : 50;
  return [{ base: 0, rows: Math.ceil(n / columns), columns, label: "", place: null }];
}

/** How an array is shown: {kind, size, body: "table" | "heat", colour, tiles, row(tile, r), column(tile, c)}. */
export function arranged(story, array, options) {
  const kind = kindOf(story, array);
  const names = headings(story, array, options);
  const { size, shape } = array;
  const boxes = kind === "maps" || kind === "kernels";
  const flat = kind === "vector" || kind === "tokens" || shape.length === 1;
  const table = kind === "scalar" || (size <= (boxes ? PICTURE : TABLE) && (flat || shape.at(-1) <= WIDEST));
  const picture = array.name === "x" && (kind === "maps" || (flat && !table));
  const plain = kind === "tokens" || kind === "scalar";
  const colour = plain ? "none" : picture ? "grey" : "signed";
  const all = { kind, size, body: table ? "table" : "heat", colour };
  const number = counted(null);
  const none = () => null;
  const [row, column] = [counted(names.rows), counted(names.columns)];
  if (kind === "scalar") {
    return { ...all, tiles: [{ base: 0, rows: 1, columns: 1, label: "", place: null }], row: none, column: none };
  }
  if (boxes) {
    return { ...all, ...rectangles(story, array, kind), row: (_, r) => number(r), column: (_, c) => number(c) };
  }
  if (!flat) {
    const tiles = [{ base: 0, rows: shape[0], columns: shape[1], label: "", place: null }];
    return { ...all, tiles, row: (_, r) => row(r), column: (_, c) => column(c) };
  }
  if (!table) return { ...all, tiles: lines(size), row: none, column: none };
  if (kind === "tokens") {
    return { ...all, tiles: strips(size, true), row: none, column: (tile, c) => number(tile.base + c) };
  }
  return { ...all, tiles: strips(size, false), row: (tile, r) => row(tile.base + r), column: none };
}

/** Which tile, row and column entry k is in. */
export function whereabouts({ tiles }) {
  const area = tiles[0].rows * tiles[0].columns;
  const blocks = new Map(tiles.map((tile, i) => [Math.floor(tile.base / area), i]));
  return (k) => {
    const i = tiles.length > 1 ? blocks.get(Math.floor(k / area)) : 0;
    const within = k - tiles[i].base;
    return { tile: i, row: Math.floor(within / tiles[i].columns), column: within % tiles[i].columns };
  };
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Where a key moves from entry k: within the tile, past its edge to the next or the last one; null for another key. */
function moved({ tiles, size }, where, k, key) {
  const { tile: i, row, column } = where(k);
  const { base, rows, columns } = tiles[i];
  const at = (r, c, tile = tiles[i]) =>
    Math.min(tile.base + Math.min(r, tile.rows - 1) * tile.columns + Math.min(c, tile.columns - 1), size - 1);
  if (key === "Home") return at(row, 0);
  if (key === "End") return at(row, columns - 1);
  if (!STEPS[key]) return null;
  const [r, c] = [row + STEPS[key][0], column + STEPS[key][1]];
  if (r >= 0 && r < rows && c >= 0 && c < columns) return base + r * columns + c < size ? at(r, c) : k;
  const next = tiles[i + (r < 0 || c < 0 ? -1 : 1)];
  if (!next) return k;
  return at(r < 0 ? next.rows - 1 : r >= rows ? 0 : r, c < 0 ? next.columns - 1 : c >= columns ? 0 : c, next);
}

/** The keys of a view: the arrows, Home and End go to another entry, Enter picks the one that `at()` says. */
export function onKeys(element, arrangement, where, { at, go, pick }) {
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = moved(arrangement, where, at(), event.key);
    if (event.key === "Enter") pick(at());
    else if (next !== null) go(next);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/** A tile in words: "map 2", "kernel 3←1". */
export function titled({ kind, colour }, { label }) {
  if (kind === "kernels") return `kernel ${label}`;
  if (kind === "maps") return `${colour === "grey" ? "channel" : "map"} ${label}`;
  return label;
}

/** An entry in words: "row 3, column 17", "map 2, row 1, column 5", "kernel 3←1, row 2, column 4", "entry 5". */
export function named(arrangement, where, k) {
  const { kind, tiles, row, column } = arrangement;
  const { tile: i, row: r, column: c } = where(k);
  const tile = tiles[i];
  if (kind === "scalar") return "";
  const cell = `row ${row(tile, r)}, column ${column(tile, c)}`;
  if (kind === "maps" || kind === "kernels") return `${titled(arrangement, tile)}, ${cell}`;
  if (kind === "sequence" && column(tile, c) !== null) return `step ${row(tile, r)}, ${column(tile, c)}`;
  if (kind === "matrix") return cell;
  return `entry ${k + 1}`;
}

/** An entry in short: "(3, 17)"; of kernels "(3←1, 2, 4)". */
export function tuple({ kind, tiles, row, column }, where, k) {
  const { tile: i, row: r, column: c } = where(k);
  const parts = kind === "kernels" || kind === "maps" ? [tiles[i].label] : [];
  if (column(tiles[i], c) === null) return `(${k + 1})`;
  return `(${[...parts, row(tiles[i], r), column(tiles[i], c)].join(", ")})`;
}

/** A token's sign, or its number where there is no vocabulary. */
export function sign(story, value) {
  return seen(story.names.vocabulary?.[value] ?? String(value));
}
