// Painting the part of a heat map's plane that is seen: cells, numbers, headings, and outlines around lit entries.

const FONT = 11;
const scratch = { canvas: null, context: null };

/** The cells of one tile as an image of one pixel an entry, then drawn as large as they are. */
function cells(context, plane, i, tile, box, data, colours) {
  const [r0, r1, c0, c1] = plane.cells(i, box);
  if (r1 < r0 || c1 < c0) return;
  const [rows, columns] = [r1 - r0 + 1, c1 - c0 + 1];
  scratch.canvas ??= document.createElement("canvas");
  scratch.context ??= scratch.canvas.getContext("2d", { willReadFrequently: true });
  if (scratch.canvas.width < columns) scratch.canvas.width = columns;
  if (scratch.canvas.height < rows) scratch.canvas.height = rows;
  const image = new ImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  for (let r = 0, p = 0; r < rows; r += 1) {
    const start = tile.base + (r0 + r) * tile.columns + c0;
    for (let c = 0; c < columns; c += 1, p += 1) {
      if (start + c < data.length) pixels[p] = colours.of(data[start + c]).packed;
    }
  }
  scratch.context.putImageData(image, 0, 0);
  const { width, height } = plane.cell;
  const from = plane.origin(i);
  context.imageSmoothingEnabled = false;
  context.drawImage(
    scratch.canvas,
    0,
    0,
    columns,
    rows,
    from.x + c0 * width,
    from.y + r0 * height,
    columns * width,
    rows * height,
  );
}

/** What is drawn on single cells: hatching on what is not a finite number, and the numbers themselves. */
function details(context, plane, i, tile, box, data, colours, number, paper) {
  const [r0, r1, c0, c1] = plane.cells(i, box);
  const { width, height } = plane.cell;
  const from = plane.origin(i);
  const odd = colours.range.odd > 0;
  if (!number && !odd) return;
  for (let r = r0; r <= r1; r += 1) {
    for (let c = c0; c <= c1; c += 1) {
      const k = tile.base + r * tile.columns + c;
      if (k >= data.length) break;
      const shade = colours.of(data[k]);
      const [x, y] = [from.x + c * width, from.y + r * height];
      if (shade.odd) {
        context.strokeStyle = shade.hatch;
        context.lineWidth = 1;
        context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
        if (!number) segments(context, [[x, y + height, x + width, y]]);
      }
      if (number) {
        context.strokeStyle = paper;
        context.lineWidth = 1;
        context.strokeRect(x, y, width, height);
        context.fillStyle = shade.ink;
        context.fillText(number(data[k]), x + width / 2, y + height / 2 + 0.5);
      }
    }
  }
}

function segments(context, lines) {
  context.beginPath();
  for (const [x0, y0, x1, y1] of lines) {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
  context.stroke();
}

/** The outline of a set of cells: each side whose neighbour does not belong to it, on a halo of the paper's colour. */
function outline(context, plane, where, arrangement, lit, ink, paper) {
  const sides = [];
  for (const k of lit) {
    const place = where(k);
    const { columns, rows } = arrangement.tiles[place.tile];
    const { x, y, width, height } = plane.rect(place);
    const { row, column } = place;
    if (row === 0 || !lit.has(k - columns)) sides.push([x, y, x + width, y]);
    if (row === rows - 1 || !lit.has(k + columns)) sides.push([x, y + height, x + width, y + height]);
    if (column === 0 || !lit.has(k - 1)) sides.push([x, y, x, y + height]);
    if (column === columns - 1 || !lit.has(k + 1)) sides.push([x + width, y, x + width, y + height]);
  }
  context.lineCap = "square";
  for (const [colour, thick] of [
    [paper, 4],
    [ink, 2],
  ]) {
    context.strokeStyle = colour;
    context.lineWidth = thick;
    segments(context, sides);
  }
}

/** `name` cut to `room` pixels. */
function cut(context, name, room) {
  if (context.measureText(name).width <= room) return name;
  let n = name.length;
  while (n > 0 && context.measureText(`${name.slice(0, n)}…`).width > room) n -= 1;
  return n ? `${name.slice(0, n)}…` : "";
}

/** Every how many rows or columns a heading has room, of 1, 5, 10, 50, … */
function every(cell, room) {
  for (let ten = 1; ; ten *= 10) for (const n of [1, 5]) if (n * ten * cell >= room) return n * ten;
}

/** The first row is labelled, and every fifth, tenth, … */
const labelled = (i, step) => i === 0 || (i + 1) % step === 0;

/** Headings of a single tile: a strip at the left and one on top, over whatever is scrolled beneath them. */
function strips(context, plane, arrangement, box, style) {
  const { head, cell } = plane;
  const tile = arrangement.tiles[0];
  const [r0, r1, c0, c1] = plane.cells(0, box);
  context.fillStyle = style.paper;
  context.fillRect(0, 0, head.left, box.height);
  context.fillRect(0, 0, box.width, head.top);
  context.fillStyle = style.faint;
  const rowStep = every(cell.height, 15);
  context.save();
  context.beginPath();
  context.rect(0, head.top - 6, head.left, box.height);
  context.clip();
  context.textAlign = "right";
  for (let r = r0; r <= r1; r += 1) {
    if (!labelled(r, rowStep)) continue;
    const y = head.top + (r + 0.5) * cell.height - box.y;
    if (box.y > 0 && y < head.top + 6) continue;
    context.fillText(cut(context, arrangement.row(tile, r), head.left - 6), head.left - 5, y);
  }
  context.restore();
  context.beginPath();
  context.rect(head.left - 4, 0, box.width, head.top);
  context.save();
  context.clip();
  context.textAlign = "center";
  const named = !/^\d+$/.test(arrangement.column(tile, 0));
  const step = every(cell.width, named ? 12 : String(tile.columns).length * 7 + 6);
  for (let c = c0; c <= c1; c += 1) {
    if (!labelled(c, step)) continue;
    const x = head.left + (c + 0.5) * cell.width - box.x;
    context.fillText(cut(context, arrangement.column(tile, c), step * cell.width - 2), x, head.top / 2 + 1);
  }
  context.restore();
}

/** Paints the rectangle `box` of the plane on a context whose unit is the CSS pixel. */
export function paint(context, { plane, arrangement, where, data, colours, number, lit, cursor, box, style }) {
  const { tiles } = arrangement;
  const many = tiles.length > 1;
  context.clearRect(0, 0, box.width, box.height);
  context.font = `${FONT}px ${style.font}`;
  context.textBaseline = "middle";
  context.save();
  context.translate(-box.x, -box.y);
  for (const i of plane.tiles(box)) {
    cells(context, plane, i, tiles[i], box, data, colours);
    context.textAlign = "center";
    details(context, plane, i, tiles[i], box, data, colours, number, style.paper);
    if (!many) continue;
    const { x, y } = plane.origin(i);
    context.textAlign = "left";
    context.fillStyle = style.faint;
    context.fillText(tiles[i].label, x, y - 7);
  }
  if (lit.source.size) outline(context, plane, where, arrangement, lit.source, style.from, style.paper);
  if (lit.point.size) outline(context, plane, where, arrangement, lit.point, style.result, style.paper);
  if (cursor !== null) outline(context, plane, where, arrangement, new Set([cursor]), style.accent, style.paper);
  context.restore();
  if (!many && plane.head.left) strips(context, plane, arrangement, box, style);
}
