// Numbers as they are shown: 0.4312, −1.23e−5, 12.346, 3, ∞; with a true minus sign.
//
// Whole numbers are written as such, so that 1 is exactly 1 and 1.0000 is not.

const MINUS = "\u2212";
const MOST_WHOLE = 1e6; // from here on, and below 10^{1 − digits}, a number has an exponent
const MOST_DIGITS = 7; // signs of a constant that is written whole

const signed = (text) => text.replaceAll("-", MINUS).replace("e+", "e");

function special(value) {
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "∞" : `${MINUS}∞`;
}

/** A number in short: about `digits` behind the point. */
export function text(value, digits = 4) {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return special(value);
  if (Number.isInteger(value) && size < MOST_WHOLE) return signed(String(value + 0));
  if (size < 10 ** (1 - digits) || size >= MOST_WHOLE) return signed(value.toExponential(Math.max(0, digits - 2)));
  const whole = Math.max(0, Math.floor(Math.log10(size)));
  return signed(value.toFixed(Math.max(0, digits - whole)));
}

/** A number as Python sends it: one that is not finite as "nan", "inf" or "-inf"; null where there is none. */
export function decoded(sent) {
  return typeof sent === "string" ? Number(sent.replace("inf", "Infinity")) : sent;
}

/** A constant as whoever chose it wrote it, 0.001 or 1e−8; in short where that is long. */
export function constant(value) {
  const whole = [exact(value), signed(value.toExponential())].find((written) => written.length <= MOST_DIGITS);
  return whole ?? text(value);
}

/** A number with all its digits: reading it back gives the same float64. */
export function exact(value) {
  return Number.isFinite(value) ? signed(String(value + 0)) : special(value);
}
