// The windows that convolution and pooling slide over maps: (u, v) is a place in a window, (y, x) says which window.

/** Every (row, column) of a rectangle, row by row. */
export const places = ([rows, columns]) =>
  Array.from({ length: rows * columns }, (_, k) => [Math.floor(k / columns), k % columns]);

/** The windows that hold place (i, j) of the maps below, and where in them it stands: [y, x, u, v], row by row. */
export function holding(size, { stride: [s, t], before: [top, left] = [0, 0] }, [rows, columns], [i, j]) {
  const within = (n, most) => Number.isInteger(n) && n >= 0 && n < most;
  return places(size)
    .map(([u, v]) => [(i + top - u) / s, (j + left - v) / t, u, v])
    .filter(([y, x]) => within(y, rows) && within(x, columns))
    .reverse(); // the further a place stands in a window, the earlier the window
}
