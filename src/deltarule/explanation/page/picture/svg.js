// Pieces that every drawing of a network is put together from: SVG nodes, short numbers, signs of layers.
// Text goes in as text nodes only, whatever it says.

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes (null: left out) and children; strings become text. */
export function node(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** A line of text at (x, y); `kind` is its class. */
export function write(x, y, text, kind) {
  return node("text", { x, y, class: kind }, text);
}

/** Text cut to so many signs, the whole of it on hovering. */
export function brief(x, y, text, most, kind) {
  if (text.length <= most) return write(x, y, text, kind);
  const line = write(x, y, `${text.slice(0, Math.max(1, most - 1))}…`, kind);
  line.append(node("title", {}, text));
  return line;
}

/** Mathematics at (x, y): what follows ^ or _ in braces is raised or lowered, "W^{(2)}", "h_{t}". */
export function formula(x, y, text, kind) {
  const line = node("text", { x, y, class: `symbol ${kind}` });
  for (const [, mark, inner, plain] of text.matchAll(/([\^_])\{([^}]*)\}|([^\^_]+)/g)) {
    if (plain) line.append(node("tspan", {}, plain));
    else {
      const shift = mark === "^" ? -4.5 : 3.5;
      line.append(node("tspan", { dy: shift, class: "script" }, inner), node("tspan", { dy: -shift }, "\u200b"));
    }
  }
  return line;
}

/** A number in at most six signs, for the room there is: −0.123, 12.3, 2e−5. */
export function short(value) {
  if (Number.isNaN(value)) return "NaN";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size === Infinity) return `${sign}∞`;
  if (Number.isInteger(size) && size < 1e5) return sign + size;
  if (size >= 99999.5 || size < 0.0005) return sign + size.toExponential(0).replace("e-", "e−").replace("e+", "e");
  if (size >= 99.95) return sign + size.toFixed(0);
  return sign + size.toFixed(size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
}

/** The largest |value| that is finite, or 1 where all are 0: what colours and widths are measured by. */
export function largest(values) {
  let most = 0;
  for (const value of values) {
    const size = Math.abs(value);
    if (size > most && size < Infinity) most = size;
  }
  return most || 1;
}

const scales = new WeakMap();

/** The largest |entry| of an array that is finite: looked for once. */
export function scale(array) {
  if (!scales.has(array)) scales.set(array, largest(array.data));
  return scales.get(array);
}

/** The head of an arrow whose point is at (x, y); `turn` in degrees, 0 to the right. */
export function head(x, y, turn, kind = "") {
  const transform = `translate(${x} ${y}) rotate(${turn})`;
  return node("path", { d: "M0 0L-6 -3.2L-6 3.2Z", transform, class: `head ${kind}` });
}

/** A straight arrow from one point to another. */
export function arrow(x1, y1, x2, y2, kind = "") {
  const turn = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
  return node(
    "g",
    { class: `arrow ${kind}` },
    node("path", { d: `M${x1} ${y1}L${x2} ${y2}`, class: "line" }),
    head(x2, y2, turn),
  );
}
