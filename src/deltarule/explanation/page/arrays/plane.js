// Where the tiles of a heat map lie on its plane, in CSS pixels: the size of a cell, where each tile begins, which
// entry is at a point. One tile has its headings at the left and on top (they stay when it is scrolled); several a
// label each.

const HEIGHT = 400; // what a heat map may be high before it scrolls
const GAP = 10;
const LABEL = 16;
const LEAST = 28; // width of a label
const NARROW = 120; // what a matrix is wide and high at least, if its cells allow
const NUMBERS = { height: 22, sign: 6.7, padding: 10 };

/** Tiles with cells of `cell` pixels laid out in `width`; `turned`: their grid's rows as columns. */
function laid(arrangement, cell, width, head, turned = false) {
  const { tiles } = arrangement;
  const size = { width: tiles[0].columns * cell.width, height: tiles[0].rows * cell.height };
  const many = tiles.length > 1;
  const label = many ? LABEL : 0;
  const gap = many ? GAP : 0;
  const pitch = { x: Math.max(size.width, many ? LEAST : 0) + gap, y: size.height + label + gap };
  const room = Math.max(1, Math.min(tiles.length, Math.floor((width + GAP - head.left) / pitch.x)));
  const fitting = Math.ceil(tiles.length / Math.ceil(tiles.length / room)); // lines equally long
  const grid = arrangement.grid ?? [Math.ceil(tiles.length / fitting), fitting];
  const [down, across] = turned ? [grid[1], grid[0]] : grid;
  const place = (i) => {
    if (!tiles[i].place) return [Math.floor(i / fitting), i % fitting];
    return turned ? [tiles[i].place[1], tiles[i].place[0]] : tiles[i].place;
  };
  const origin = (i) => ({ x: head.left + place(i)[1] * pitch.x, y: head.top + label + place(i)[0] * pitch.y });
  let at = null; // which tile is at a place of the grid
  const tileAt = (r, c) => {
    at ??= new Map(tiles.map((_, i) => [place(i)[0] * across + place(i)[1], i]));
    return at.get(r * across + c);
  };
  const range = (from, length, first, step, n) => [
    Math.max(0, Math.floor((from - first) / step)),
    Math.min(n - 1, Math.floor((from + length - first) / step)),
  ];
  return {
    width: head.left + across * pitch.x - gap + (head.left ? 10 : 1), // with room for the last heading
    height: head.top + down * pitch.y - gap + 1,
    head,
    cell,
    origin,
    turned,
    /** The rectangle of a cell. */
    rect({ tile, row, column }) {
      const { x, y } = origin(tile);
      return { x: x + column * cell.width, y: y + row * cell.height, width: cell.width, height: cell.height };
    },
    /** Which entry is at a point of the plane, or null. */
    at(x, y) {
      const [r, c] = [Math.floor((y - head.top) / pitch.y), Math.floor((x - head.left) / pitch.x)];
      const i = c >= 0 && c < across && r >= 0 ? tileAt(r, c) : undefined;
      if (i === undefined) return null;
      const [row, column] = [Math.floor((y - origin(i).y) / cell.height), Math.floor((x - origin(i).x) / cell.width)];
      if (row < 0 || row >= tiles[i].rows || column < 0 || column >= tiles[i].columns) return null;
      const k = tiles[i].base + row * tiles[i].columns + column;
      return k < arrangement.size ? k : null;
    },
    /** The tiles that a rectangle of the plane meets. */
    tiles({ x, y, width: w, height: h }) {
      const found = [];
      const [[r0, r1], [c0, c1]] = [range(y, h, head.top, pitch.y, down), range(x, w, head.left, pitch.x, across)];
      for (let r = r0; r <= r1; r += 1) {
        for (let c = c0; c <= c1; c += 1) if (tileAt(r, c) !== undefined) found.push(tileAt(r, c));
      }
      return found;
    },
    /** The rows and columns of a tile that it meets: [first row, last, first column, last]. */
    cells(i, { x, y, width: w, height: h }) {
      const from = origin(i);
      return [...range(y, h, from.y, cell.height, tiles[i].rows), ...range(x, w, from.x, cell.width, tiles[i].columns)];
    },
  };
}

/** The room for headings: of one tile the longest of its rows' names, up to a hundred pixels. */
function heads({ tiles, row }) {
  if (tiles.length > 1 || row(tiles[0], 0) === null) return { left: 0, top: 0 };
  let longest = 0;
  for (let r = 0; r < tiles[0].rows; r += 1) longest = Math.max(longest, row(tiles[0], r).length);
  return { left: Math.min(100, Math.round(longest * NUMBERS.sign) + NUMBERS.padding), top: 18 };
}

/** The plane of an arrangement in `width` pixels: with numbers (`figures` signs a cell), or the whole in sight. */
export function plane(arrangement, width, figures) {
  const head = heads(arrangement);
  if (figures) {
    const cell = { width: Math.ceil(figures * NUMBERS.sign) + NUMBERS.padding, height: NUMBERS.height };
    return laid(arrangement, cell, width, head, whole(arrangement, width, head).turned);
  }
  return whole(arrangement, width, head);
}

/** Of a long and narrow matrix the few rows, or columns, are wider than the many. */
const wider = (side, n) => Math.max(side, Math.min(14, Math.floor(NARROW / n)));

/** As large as its height allows; kernels with a row a map, or with a column a map if only that fits. */
function whole(arrangement, width, head) {
  const { rows, columns } = arrangement.tiles[0];
  const many = arrangement.tiles.length > 1;
  const [least, most] = [rows * columns <= 64 ? 5 : 3, many ? Math.min(14, Math.max(4, Math.ceil(130 / columns))) : 14];
  for (let side = most; ; side -= 1) {
    const square = many || !head.left;
    const cell = { width: square ? side : wider(side, columns), height: square ? side : wider(side, rows) };
    const fits = (all) => all.width <= width && all.height <= (many ? HEIGHT : 300);
    const all = laid(arrangement, cell, width, head);
    if (fits(all)) return all;
    const turned = laid(arrangement, cell, width, head, true);
    if (arrangement.grid && fits(turned)) return turned;
    if (side <= least) return all;
  }
}

/** What a heat map may be high before it scrolls. */
export const HIGHEST = HEIGHT + 20;
