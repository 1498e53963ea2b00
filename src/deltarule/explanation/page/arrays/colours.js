// Numbers as colours. Signed arrays: blue below zero, orange above (safe for colour-blind eyes), pale at zero in the
// light (dark in the dark), and as strong as |v| / max |v| says. Pictures: grey, from the smallest value (dark) to
// the largest (light). Text on a colour is black or white, whichever contrasts more; the better of the two is never
// below 4.58 : 1.

const STEPS = 256;
const SCHEMES = {
  light: {
    ...{ zero: [243, 243, 240], positive: [222, 101, 8], negative: [29, 92, 178] },
    ...{ odd: [248, 214, 236], hatch: [214, 110, 178] },
  },
  dark: {
    ...{ zero: [42, 46, 53], positive: [255, 160, 74], negative: [112, 178, 255] },
    ...{ odd: [66, 28, 54], hatch: [140, 62, 114] },
  },
};
let printing = false;

/** Which scheme is on the screen now; paper is always light. */
export function scheme() {
  return !printing && matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Whether the page is being printed. */
export const onPaper = () => printing;

/** Tells every view on the page, by the event "repaint", that the colours have changed. */
function repaint() {
  for (const figure of document.querySelectorAll(".view")) figure.dispatchEvent(new Event("repaint"));
}

if (typeof matchMedia !== "undefined") {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  for (const [event, on] of [
    ["beforeprint", true],
    ["afterprint", false],
  ]) {
    addEventListener(event, () => {
      printing = on;
      repaint();
    });
  }
}

/** The smallest, the largest and the largest |value| of the finite numbers, and how many are not finite. */
export function extent(data) {
  let [low, high, odd] = [Infinity, -Infinity, 0];
  for (const v of data) {
    if (!Number.isFinite(v)) odd += 1;
    else {
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  if (low > high) return { low: NaN, high: NaN, size: 0, odd };
  return { low, high, size: Math.max(Math.abs(low), Math.abs(high)), odd };
}

const linear = (c) => (c <= 0.04045 * 255 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const between = (from, to, t) => from.map((c, i) => Math.round(c + t * (to[i] - c)));
const css = ([r, g, b]) => `rgb(${r}, ${g}, ${b})`;
const packed = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
const shade = (rgb) => ({ fill: css(rgb), ink: luminance(rgb) > 0.179 ? "#000" : "#fff", packed: packed(rgb) });

const ramp = (from, to) => Array.from({ length: STEPS }, (_, i) => shade(between(from, to, i / (STEPS - 1))));
const made = {};

/** The ramps of a scheme; made once. */
function ramps(name) {
  const { zero, positive, negative, odd, hatch } = SCHEMES[name];
  made[name] ??= {
    up: ramp(zero, positive),
    down: ramp(zero, negative),
    greys: ramp([0, 0, 0], [255, 255, 255]),
    strange: { ...shade(odd), hatch: css(hatch), odd: true },
  };
  return made[name];
}

/** The colours of one array: of(v) → {fill, ink, packed}; `kind` "grey" or signed. */
export function colours(data, kind, name = scheme()) {
  const range = extent(data);
  const { low, high, size } = range;
  const { up, down, greys, strange } = ramps(name);
  const level = (t) => Math.round(Math.min(Math.max(t, 0), 1) * (STEPS - 1));
  const grey = (v) => greys[level(high > low ? (v / 2 - low / 2) / (high / 2 - low / 2) : 0.5)];
  const signed = (v) => (v < 0 ? down : up)[level(size > 0 ? Math.abs(v) / size : 0)];
  const finite = kind === "grey" ? grey : signed;
  return { of: (v) => (Number.isFinite(v) ? finite(v) : strange), range, scheme: name };
}

/** The colours from the smallest to the largest value, for the bar in the caption. */
export function gradient({ of, range: { low, high } }) {
  const stops = Array.from({ length: 13 }, (_, i) => of((1 - i / 12) * low + (i / 12) * high).fill);
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
