// θ after one update, entry by entry, from g = ∂C/∂θ and the rate η; before it the optimiser remembers nothing (its
// state is 0), and the update is the first (t = 1), so that running means are μ·0 + … and p = 1:
//
//   sgd       θ − ηg
//   momentum  v = ηg,  θ − v;          nesterov  θ − (μv + ηg)
//   adagrad   s = g²,  θ − ηg/(√s + ε)
//   rmsprop   s = (1 − ρ)g²,  θ − ηg/(√s + ε)
//   adadelta  s = (1 − ρ)g²,  θ − η √ε/√(s + ε) g
//   adam      m = (1 − β₁)g,  s = (1 − β₂)g²,  θ − η m/(1 − β₁) / (√(s/(1 − β₂)) + ε)
//   adamw     θ − ηλθ (W only), then Adam;   amsgrad  max(0, s) = s: Adam
//   nadam     μ_t = β₁(1 − ½ 0.96^{ψt}),  θ − η (μ₂m/(1 − μ₁μ₂) + g) / (√ŝ + ε)
//   rprop     d = min(max(η, d_min), d_max),  θ − d sign g

import { NumberArray } from "../story.js";

/** √ŝ + ε, the denominator of Adam's first update. */
function root(s, { beta2, epsilon, epsilon_hat: hat }) {
  const corrected = 1 - beta2;
  return Math.sqrt(s / corrected) + (hat ? epsilon / Math.sqrt(corrected) : epsilon);
}

/** Running means of g and g² after the first update: m and s. */
const moments = (g, { beta1, beta2 }) => [(1 - beta1) * g, (1 - beta2) * g * g];

function adam(theta, g, eta, constants) {
  const [m, s] = moments(g, constants);
  return theta - ((eta / (1 - constants.beta1)) * m) / root(s, constants);
}

function nadam(theta, g, eta, constants) {
  const [m, s] = moments(g, constants);
  const [mu, next] = [1, 2].map((t) => constants.beta1 * (1 - 0.5 * 0.96 ** (constants.momentum_decay * t)));
  const ahead = (next / (1 - mu * next)) * m + g; // (1 − μ₁)g/(1 − p), and p = μ₁
  return theta - (eta * ahead) / root(s, constants);
}

/** By name: θ after the update, of one entry; `decays` says whether AdamW's decay reaches it. */
const RULES = {
  sgd: (theta, g, eta) => theta - eta * g,
  momentum: (theta, g, eta) => theta - eta * g,
  nesterov: (theta, g, eta, { momentum }) => theta - (momentum * (eta * g) + eta * g),
  adagrad: (theta, g, eta, { epsilon }) => theta - (eta * g) / (Math.sqrt(g * g) + epsilon),
  adadelta: (theta, g, eta, { decay, epsilon }) =>
    theta - eta * ((Math.sqrt(epsilon) / Math.sqrt((1 - decay) * g * g + epsilon)) * g),
  rmsprop: (theta, g, eta, { decay, epsilon }) => theta - (eta * g) / (Math.sqrt((1 - decay) * g * g) + epsilon),
  adam,
  adamw: (theta, g, eta, constants, decays) =>
    adam(decays ? theta - eta * constants.weight_decay * theta : theta, g, eta, constants),
  amsgrad: adam,
  nadam,
  rprop: (theta, g, eta, { minimum, maximum }) => theta - Math.min(Math.max(eta, minimum), maximum) * Math.sign(g),
};

/** The parameters of every trainable layer after one update, "l.W.new"; none where the optimiser is not ours. */
export function updated(story) {
  const { name, constants, ours } = story.optimizer;
  const trained = ours ? story.layers.filter((layer) => layer.trainable) : [];
  return trained.flatMap(({ stage, parameters, decays }) =>
    parameters.map((p) => {
      const [theta, g] = [story.array(`${stage}.${p}`), story.array(`${stage}.d${p}`)];
      const next = theta.data.map((v, k) => RULES[name](v, g.data[k], story.eta, constants, decays.includes(p)));
      return new NumberArray(`${theta.name}.new`, theta.shape, next);
    }),
  );
}
