// Expressions: trees whose leaves are entries of arrays and constants.
//
// From one tree come the value of an entry, computed anew from the leaves; its sources, the leaves' places; and the
// numbers shown (written.js). `size` is how large the terms are that the value was added up from: what rounding is
// measured by, |computed − stored| ≤ a few ε · size.

const node = (kind, parts, value, size, more = {}) => ({ kind, parts, value, size, ...more });

const total = (numbers) => numbers.reduce((sum, v) => sum + v, 0);

const values = (parts) => parts.map((part) => part.value);

const sizes = (parts) => parts.map((part) => part.size);

/** An entry of an array. */
export function entry(array, ...index) {
  const value = array.at(...index);
  return node("entry", [], value, Math.abs(value), { places: [{ array: array.name, index }] });
}

/** The same leaf, from further places too: a token that chose a column of W, a state that was copied. */
export function from(leaf, ...others) {
  return { ...leaf, places: [leaf, ...others].flatMap((other) => other.places) };
}

/** A constant, written as its number unless a sign is given. */
export const number = (value, sign = null) => node("number", [], value, Math.abs(value), { sign, places: [] });

/** Σ of terms, a list of any length; 0 of none. */
export const sumOf = (terms) => node("sum", terms, total(values(terms)), total(sizes(terms)));

/** a + b + … */
export const sum = (...terms) => sumOf(terms);

/** −a, a term of a sum that is taken off. */
export const negative = (a) => node("negative", [a], -a.value, a.size);

/** a − b. */
export const difference = (a, b) => sum(a, negative(b));

/** The product of factors. */
export const product = (...factors) =>
  node(
    "product",
    factors,
    factors.reduce((all, f) => all * f.value, 1),
    factors.reduce((all, f) => all * f.size, 1),
  );

/** a / b. */
export const quotient = (a, b) =>
  node("quotient", [a, b], a.value / b.value, (a.size / Math.abs(b.value)) * (b.size / Math.abs(b.value)));

/** aⁿ, n a whole number. */
export const power = (a, exponent) => node("power", [a], a.value ** exponent, a.size ** exponent, { exponent });

/** A function by name, f(a, …): σ, tanh, max. */
export function call(name, f, ...parts) {
  const value = f(...values(parts));
  return node("call", parts, value, Math.abs(value) * (1 + total(sizes(parts))), { name });
}

/** The largest. */
export function largest(...parts) {
  const most = (numbers) => numbers.reduce((a, b) => Math.max(a, b));
  return node("call", parts, most(values(parts)), most(sizes(parts)), { name: "max" });
}

/** e^a. */
export const exponential = (a) => ({ ...call("e", Math.exp, a), kind: "exponential" });

/** ln a. */
export const logarithm = (a) => call("ln", Math.log, a);

/** [a > b] and the like: 1 where it holds, 0 elsewhere. */
export const condition = (a, sign, b, holds) => node("condition", [a, b], holds ? 1 : 0, 1, { sign });

/** √a. */
export const root = (a) => call("√", Math.sqrt, a);

/** |a|. */
export const modulus = (a) => node("modulus", [a], Math.abs(a.value), a.size);

/** A part that has a line of its own above, and stands for its number here: m̂, e. */
export const named = (a) => node("named", [a], a.value, a.size);

/** The same expression, whose value is computed from the same leaves in a way that neither overflows nor cancels. */
export const stably = (a, value) => ({ ...a, value, size: Math.max(a.size || 0, Math.abs(value)) });

/** The places that the leaves of trees come from, [{array, index}], each once. */
export function sources(...trees) {
  const found = new Map();
  const visit = ({ parts, places = [] }) => {
    for (const place of places) found.set(`${place.array} ${place.index}`, place);
    parts.forEach(visit);
  };
  trees.forEach(visit);
  return [...found.values()];
}
