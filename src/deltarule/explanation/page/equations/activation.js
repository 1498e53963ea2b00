// The entries of activations: a = f(z), f′(z) in terms of z and a, and δ = f′(z) ∂C/∂a.

import { ACTIVATIONS, sigmoid, softmax } from "../whatif/activations.js";
import {
  call,
  condition,
  difference,
  entry,
  exponential,
  logarithm,
  named,
  number,
  power,
  product,
  quotient,
  stably,
  sum,
  sumOf,
} from "./expression.js";
import { derivative, stateLetter, symbol } from "./notation.js";

const ONE = number(1);
const AMPLITUDE = number(1.7159); // of scaled tanh, A tanh(S z)
const SCALE = number(2 / 3, "2/3");
const ROOT = number(0.7978845608028654, "√(2/π)"); // of gelu
const CUBIC = number(0.044715, "0.044715");

const gate = (z) => call("σ", sigmoid, z);

const complement = (s) => difference(ONE, s);

const ZERO = number(0);

const positive = (z) => condition(z, ">", ZERO, z.value > 0); // [z > 0]

const negative = (z) => condition(z, "≤", ZERO, !(z.value > 0)); // [z ≤ 0]

/** gelu's 2u, u = √(2/π) (z + 0.044715 z³), on a line of its own. */
function twiceU(z) {
  const tree = product(number(2), ROOT, sum(z, product(CUBIC, power(z, 3))));
  return { left: "2u", formula: "2√(2/π) (z + 0.044715 z^{3})", tree };
}

/**
 * By name: `f(z, a, constants)` and `slope(z, a, constants)`, each {formula, tree, definitions}; z and a are leaves
 * with their symbols, z.symbol.
 */
const FORMS = {
  identity: {
    f: (z) => ({ formula: z.symbol, tree: z }),
    slope: () => ({ formula: "1", tree: ONE }),
  },
  sigmoid: {
    f: (z) => ({ formula: `σ(${z.symbol}) = 1/(1 + e^{−${z.symbol}})`, tree: gate(z) }),
    slope: (z, a) => ({ formula: `${a.symbol} (1 − ${a.symbol})`, tree: product(a, complement(a)) }),
  },
  tanh: {
    f: (z) => ({ formula: `tanh(${z.symbol})`, tree: call("tanh", Math.tanh, z) }),
    slope: (z, a) => ({ formula: `1 − (${a.symbol})^{2}`, tree: complement(power(a, 2)) }),
  },
  "scaled tanh": {
    f: (z) => ({
      formula: `1.7159 tanh(2/3 · ${z.symbol})`,
      tree: product(AMPLITUDE, call("tanh", Math.tanh, product(SCALE, z))),
    }),
    slope: (z, a) => ({
      formula: `2/3 · (1.7159 − ${a.symbol}) (1.7159 + ${a.symbol}) / 1.7159`,
      tree: quotient(product(SCALE, difference(AMPLITUDE, a), sum(AMPLITUDE, a)), AMPLITUDE),
    }),
  },
  relu: {
    f: (z) => ({ formula: `max(${z.symbol}, 0)`, tree: call("max", ACTIVATIONS.relu.f, z, ZERO) }),
    slope: (z) => ({ formula: `[${z.symbol} > 0]`, tree: positive(z) }),
  },
  "leaky relu": {
    f: (z, a, { slope }) => ({
      formula: `${z.symbol} if ${z.symbol} > 0, else ${slope} · ${z.symbol}`,
      tree: z.value > 0 ? z : product(number(slope), z),
    }),
    slope: (z, a, { slope }) => ({
      formula: `[${z.symbol} > 0] + ${slope} [${z.symbol} ≤ 0]`,
      tree: sum(positive(z), product(number(slope), negative(z))),
    }),
  },
  elu: {
    f: (z, a, { alpha }) => ({
      formula: `${z.symbol} if ${z.symbol} > 0, else ${alpha} (e^{${z.symbol}} − 1)`,
      tree: z.value > 0 ? z : product(number(alpha), stably(difference(exponential(z), ONE), Math.expm1(z.value))),
    }),
    slope: (z, a, { alpha }) => ({
      formula: `[${z.symbol} > 0] + (${a.symbol} + ${alpha}) [${z.symbol} ≤ 0]`,
      tree: sum(positive(z), product(sum(a, number(alpha)), negative(z))),
    }),
  },
  softplus: {
    f: (z) => ({ formula: `ln(1 + e^{${z.symbol}})`, tree: softened(z) }),
    slope: (z) => ({ formula: `σ(${z.symbol})`, tree: gate(z) }),
  },
  swish: {
    f: (z) => ({ formula: `${z.symbol} σ(${z.symbol})`, tree: product(z, gate(z)) }),
    slope: (z, a) => ({
      formula: `σ(${z.symbol}) + ${a.symbol} (1 − σ(${z.symbol}))`,
      tree: sum(gate(z), product(a, complement(gate(z)))),
    }),
  },
  gelu: {
    f: (z) => {
      const u = twiceU(z);
      return { formula: `${z.symbol} σ(2u)`, tree: product(z, gate(named(u.tree))), definitions: [u] };
    },
    slope: (z, a) => {
      const u = twiceU(z);
      const s = { left: "s", formula: "σ(2u)", tree: gate(named(u.tree)) };
      const inner = product(ROOT, sum(ONE, product(number(3), CUBIC, power(z, 2)))); // u′
      return {
        formula: `s + 2 ${a.symbol} (1 − s) u′,  u′ = √(2/π) (1 + 3 · 0.044715 z^{2})`,
        tree: sum(named(s.tree), product(number(2), a, complement(named(s.tree)), inner)),
        definitions: [u, s],
      };
    },
  },
  exp: {
    f: (z) => ({ formula: `e^{${z.symbol}}`, tree: exponential(z) }),
    slope: (z, a) => ({ formula: a.symbol, tree: a }),
  },
};

/** ln(1 + e^x), without overflow. */
export const softened = (x) => stably(logarithm(sum(ONE, exponential(x))), ACTIVATIONS.softplus.f(x.value));

/** The leaves z and a of an entry, with their symbols. */
function leaves(story, layer, index) {
  return ["z", "a"].map((name) => ({
    ...entry(story.array(`${layer.stage}.${name}`), ...index),
    symbol: symbol(name === "a" ? stateLetter(layer) : "z", layer.stage, index),
  }));
}

/** a = f(z). */
export function a(story, layer, index) {
  const { name, constants, ours } = layer.activation;
  if (!ours) return null;
  if (name === "softmax") return shareOf(story, layer, index);
  return FORMS[name].f(...leaves(story, layer, index), constants);
}

/** f′(z). */
export function slope(story, layer, index) {
  const { name, constants, ours } = layer.activation;
  return ours ? FORMS[name].slope(...leaves(story, layer, index), constants) : null;
}

/** δ = f′(z) ∂C/∂a. */
export function delta(story, layer, index) {
  const [slopes, da] = [story.array(`${layer.stage}.slope`), story.array(`${layer.stage}.da`)];
  if (!slopes || !da) return null;
  const [z, of] = [symbol("z", layer.stage, index), symbol("a", layer.stage, index)];
  return { formula: `f′(${z}) · ${derivative(of)}`, tree: product(entry(slopes, ...index), entry(da, ...index)) };
}

/** softmax: a_k = e^{z_k} / Σ_j e^{z_j}, over the units of a step. */
function shareOf(story, { stage }, index) {
  const [k, step, z] = [index.at(-1), index.slice(0, -1), story.array(`${stage}.z`)];
  const row = Array.from({ length: z.shape.at(-1) }, (_, j) => entry(z, ...step, j));
  const shares = softmax(row.map((leaf) => leaf.value));
  return {
    formula: `e^{${symbol("z", stage, index)}} / Σ_{j} e^{${symbol("z", stage, [...step, "j"])}}`,
    tree: stably(quotient(exponential(row[k]), sumOf(row.map(exponential))), shares[k]),
  };
}
