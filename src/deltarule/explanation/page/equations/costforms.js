// The costs of one answer as expressions: C from ŷ and t, C from the net values z, and ∂C/∂ŷ.
//
// A row has `units`, the leaves y(k), target(k), z(k), and `symbols` of each. Terms that a target of 0 takes away
// are left out.

import { softened } from "./activation.js";
import {
  call,
  condition,
  difference,
  exponential,
  largest,
  logarithm,
  modulus,
  negative,
  number,
  power,
  product,
  quotient,
  stably,
  sumOf,
} from "./expression.js";

const ONE = number(1);

const error = ({ y, target }, k) => difference(y(k), target(k));

const over = ({ units }, term) => sumOf(units.flatMap((k) => term(k) ?? []));

/** a b, and nothing where a is 0. */
const times = (a, b) => (a.value === 0 ? [] : [product(a, b)]);

/** By name: C of a row. */
export const VALUES = {
  "squared error": (row) => ({
    formula: `½ Σ_{k} (${row.symbols.y("k")} − ${row.symbols.t("k")})^{2}`,
    tree: product(
      number(0.5, "½"),
      over(row, (k) => power(error(row, k), 2)),
    ),
  }),
  absolute: (row) => ({
    formula: `Σ_{k} |${row.symbols.y("k")} − ${row.symbols.t("k")}|`,
    tree: over(row, (k) => modulus(error(row, k))),
  }),
  huber: (row, { threshold }) => ({
    formula: `Σ_{k} (e_{k}^{2}/2 if |e_{k}| ≤ d, else d (|e_{k}| − d/2)),  d = ${threshold},  ${errors(row)}`,
    tree: over(row, (k) => bent(error(row, k), number(threshold))),
  }),
  quantile: (row, { quantile: q }) => ({
    formula: `Σ_{k} max(${q} · (−e_{k}), (1 − ${q}) e_{k}),  ${errors(row)}`,
    tree: over(row, (k) => {
      const e = error(row, k);
      return largest(product(number(q), negative(e)), product(rest(number(q)), e));
    }),
  }),
  "cross entropy": (row) => ({
    formula: `−Σ_{k} ${row.symbols.t("k")} ln ${row.symbols.y("k")}`,
    tree: negative(over(row, (k) => times(row.target(k), logarithm(row.y(k))))),
  }),
  "binary cross entropy": (row) => {
    const [t, y] = [row.symbols.t("k"), row.symbols.y("k")];
    return {
      formula: `−Σ_{k} (${t} ln ${y} + (1 − ${t}) ln(1 − ${y}))`,
      tree: negative(over(row, (k) => weighed(row.target(k), logarithm(row.y(k)), logarithm(rest(row.y(k)))))),
    };
  },
  poisson: (row) => ({
    formula: `Σ_{k} (${row.symbols.y("k")} − ${row.symbols.t("k")} ln ${row.symbols.y("k")})`,
    tree: over(row, (k) => [row.y(k), ...times(row.target(k), logarithm(row.y(k))).map(negative)]),
  }),
};

const errors = ({ symbols }) => `e_{k} = ${symbols.y("k")} − ${symbols.t("k")}`;

const rest = (a) => difference(ONE, a);

/** t a + (1 − t) b. */
const weighed = (t, a, b) => [...times(t, a), ...times(rest(t), b)];

/** Huber's e²/2, or d (|e| − d/2). */
function bent(e, d) {
  const half = (a) => quotient(a, number(2));
  return Math.abs(e.value) <= d.value ? half(power(e, 2)) : product(d, difference(modulus(e), half(d)));
}

/** By name of the cost of a canonical pair: C from the net values. */
export const FROM_LOGITS = {
  "binary cross entropy": (row) => {
    const [t, z] = [row.symbols.t("k"), row.symbols.z("k")];
    return {
      formula: `Σ_{k} (${t} ln(1 + e^{−${z}}) + (1 − ${t}) ln(1 + e^{${z}}))`,
      tree: over(row, (k) => weighed(row.target(k), softened(negative(row.z(k))), softened(row.z(k)))),
    };
  },
  "cross entropy": (row) => {
    const total = logSumExp(row.units.map(row.z));
    return {
      formula: `Σ_{k} ${row.symbols.t("k")} (ln Σ_{j} e^{${row.symbols.z("j")}} − ${row.symbols.z("k")})`,
      tree: over(row, (k) => times(row.target(k), difference(total, row.z(k)))),
    };
  },
  poisson: (row) => ({
    formula: `Σ_{k} (e^{${row.symbols.z("k")}} − ${row.symbols.t("k")} ${row.symbols.z("k")})`,
    tree: over(row, (k) => [exponential(row.z(k)), ...times(row.target(k), row.z(k)).map(negative)]),
  }),
};

/** ln Σ_j e^{z_j}, the largest z taken off first. */
function logSumExp(z) {
  const most = z.reduce((found, leaf) => Math.max(found, leaf.value), -Infinity);
  const value = most + Math.log(z.reduce((all, leaf) => all + Math.exp(leaf.value - most), 0));
  return stably(logarithm(sumOf(z.map(exponential))), value);
}

/** By name: ∂C/∂ŷ_k of a row. The other costs come with their canonical activation only. */
export const SLOPES = {
  "squared error": (row, k) => ({
    formula: `${row.symbols.y(k)} − ${row.symbols.t(k)}`,
    tree: error(row, k),
  }),
  absolute: (row, k) => ({
    formula: `sign(${row.symbols.y(k)} − ${row.symbols.t(k)})`,
    tree: call("sign", Math.sign, error(row, k)),
  }),
  huber: (row, k, { threshold }) => ({
    formula: `max(−${threshold}, min(${threshold}, ${row.symbols.y(k)} − ${row.symbols.t(k)}))`,
    tree: largest(number(-threshold), call("min", Math.min, number(threshold), error(row, k))),
  }),
  quantile: (row, k, { quantile: q }) => {
    const [y, t, share] = [row.y(k), row.target(k), number(q)];
    const [above, below] = [condition(y, ">", t, y.value > t.value), condition(y, "<", t, y.value < t.value)];
    const [named, target] = [row.symbols.y(k), row.symbols.t(k)];
    return {
      formula: `(1 − ${q}) [${named} > ${target}] − ${q} [${named} < ${target}]`,
      tree: difference(product(rest(share), above), product(share, below)),
    };
  },
};
