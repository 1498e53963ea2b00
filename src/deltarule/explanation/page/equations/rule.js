// The entries of the parameters after the update: the optimiser's rule, at its first step, with its numbers.
//
// What the optimiser remembers is 0 before: m = β₁ · 0 + (1 − β₁) g is written (1 − β₁) g, and so on; see update.js.

import { call, difference, entry, named, number, power, product, quotient, root, sum } from "./expression.js";

const ONE = number(1);
const TWO = "^{2}";

/** A line of its own: what is computed on the way, and the number that it goes on as. */
const step = (left, formula, tree) => ({ left, formula, tree, value: named(tree) });

const rest = (value) => difference(ONE, number(value));

/** θ less something: of the symbol θ, and its tree. */
const less = (theta, formula, tree) => ({ formula: `${theta.symbol} − ${formula}`, tree: difference(theta, tree) });

/** m = (1 − β₁) g and s = (1 − β₂) g², and the corrected m̂ = m/(1 − β₁), ŝ = s/(1 − β₂). */
function moments(g, { beta1, beta2 }) {
  const m = step("m", "(1 − β_{1}) g", product(rest(beta1), g));
  const s = step("s", `(1 − β_{2}) g${TWO}`, product(rest(beta2), power(g, 2)));
  const mean = step("m̂", "m / (1 − β_{1})", quotient(m.value, rest(beta1)));
  const square = step("ŝ", "s / (1 − β_{2})", quotient(s.value, rest(beta2)));
  return { m, s, mean, square };
}

/** √ŝ + ε, or √ŝ + ε/√(1 − β₂). */
function denominator(square, { beta2, epsilon, epsilon_hat: hat }) {
  const added = hat ? quotient(number(epsilon), root(rest(beta2))) : number(epsilon);
  return { formula: hat ? "(√ŝ + ε/√(1 − β_{2}))" : "(√ŝ + ε)", tree: sum(root(square.value), added) };
}

function adam(theta, g, eta, constants) {
  const { m, s, mean, square } = moments(g, constants);
  const below = denominator(square, constants);
  const updated = less(theta, `η m̂ / ${below.formula}`, quotient(product(eta, mean.value), below.tree));
  return { ...updated, definitions: [m, s, mean, square] };
}

function adamw(theta, g, eta, constants, decays) {
  if (!decays) return adam(theta, g, eta, constants);
  const shrinkage = product(eta, number(constants.weight_decay), theta);
  const shrunk = step("θ", `${theta.symbol} − η λ ${theta.symbol}`, difference(theta, shrinkage));
  const { definitions, ...updated } = adam({ ...shrunk.value, symbol: "θ" }, g, eta, constants);
  return { ...updated, definitions: [shrunk, ...definitions] };
}

/** θ − η (μ₂ m/(1 − μ₁ μ₂) + g)/(√ŝ + ε), μ_t = β₁ (1 − ½ 0.96^{ψt}). */
function nadam(theta, g, eta, constants) {
  const { m, s, square } = moments(g, constants);
  const [one, two] = [1, 2].map((t) => {
    const faded = number(0.96 ** (constants.momentum_decay * t));
    const tree = product(number(constants.beta1), difference(ONE, product(number(0.5, "½"), faded)));
    return step(`μ_{${t}}`, `β_{1} (1 − ½ 0.96^{ψ · ${t}})`, tree);
  });
  const ahead = step("u", "μ_{2} m / (1 − μ_{1} μ_{2}) + g", sum(
    quotient(product(two.value, m.value), difference(ONE, product(one.value, two.value))), g,
  )); // prettier-ignore
  const below = denominator(square, constants);
  const updated = less(theta, `η u / ${below.formula}`, quotient(product(eta, ahead.value), below.tree));
  return { ...updated, definitions: [m, s, square, one, two, ahead] };
}

/** θ − η g/(√s + ε), s having a share of g². */
function scaledByRoot(theta, g, eta, { epsilon }, s) {
  const fraction = quotient(product(eta, g), sum(root(s.value), number(epsilon)));
  return { ...less(theta, "η g / (√s + ε)", fraction), definitions: [s] };
}

/** By name: θ after the update, {formula, tree, definitions}; `decays` says whether AdamW's decay reaches it. */
const RULES = {
  sgd: (theta, g, eta) => less(theta, "η g", product(eta, g)),
  momentum: (theta, g, eta) => {
    const v = step("v", "η g", product(eta, g));
    return { ...less(theta, "v", v.value), definitions: [v] };
  },
  nesterov: (theta, g, eta, { momentum }) => {
    const v = step("v", "η g", product(eta, g));
    const ahead = sum(product(number(momentum), v.value), product(eta, g));
    return { ...less(theta, "(μ v + η g)", ahead), definitions: [v] };
  },
  adagrad: (theta, g, eta, constants) => scaledByRoot(theta, g, eta, constants, step("s", `g${TWO}`, power(g, 2))),
  rmsprop: (theta, g, eta, constants) => {
    const s = step("s", `(1 − ρ) g${TWO}`, product(rest(constants.decay), power(g, 2)));
    return scaledByRoot(theta, g, eta, constants, s);
  },
  adadelta: (theta, g, eta, { decay, epsilon }) => {
    const s = step("s", `(1 − ρ) g${TWO}`, product(rest(decay), power(g, 2)));
    const quiet = root(number(epsilon)); // √(r + ε), r = 0
    const u = step("u", "√ε / √(s + ε) g", product(quotient(quiet, root(sum(s.value, number(epsilon)))), g));
    return { ...less(theta, "η u", product(eta, u.value)), definitions: [s, u] };
  },
  adam,
  adamw,
  amsgrad: adam, // max(0, s) = s
  nadam,
  rprop: (theta, g, eta, { minimum, maximum }) => {
    const bounded = call("min", Math.min, call("max", Math.max, eta, number(minimum)), number(maximum));
    const d = step("d", "min(max(η, d_{min}), d_{max})", bounded);
    return { ...less(theta, "d sign g", product(d.value, call("sign", Math.sign, g))), definitions: [d] };
  },
};

/** A parameter's entry after the update; `parameter` is how it is written. */
export function updatedEntry(story, layer, name, index, parameter) {
  const { name: rule, constants, ours } = story.optimizer;
  if (!ours) return null;
  const theta = { ...entry(story.array(`${layer.stage}.${name}`), ...index), symbol: parameter };
  const gradient = entry(story.array(`${layer.stage}.d${name}`), ...index);
  const g = step("g", `∂C/∂${parameter}`, gradient);
  const found = RULES[rule](theta, gradient, number(story.eta), constants, layer.decays.includes(name));
  return { ...found, definitions: [g, ...(found.definitions ?? [])] };
}
