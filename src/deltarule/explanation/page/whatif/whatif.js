// What if the target or the rate were another: the whole pass once more, for networks of dense and dropout layers.
//
//   forward    z⁽ˡ⁾ = W a⁽ˡ⁻¹⁾ + b,  a⁽ˡ⁾ = f(z⁽ˡ⁾);   dropout: a = m ⊙ a_prev, with the mask that was drawn
//   cost       C = C(ŷ, t) + (λ/2) Σ W²
//   backward   δ⁽ᴸ⁾ of the output;  ∂C/∂W = δ a_prevᵀ + λW,  ∂C/∂b = δ,  ∂C/∂a_prev = Wᵀδ,  δ⁽ˡ⁻¹⁾ = f′(z) ⊙ ∂C/∂a
//   update     θ by the optimiser, and C once more with the new θ

import { ACTIVATIONS, softmax } from "./activations.js";
import { delta as outputDelta, derivative, value } from "./outputs.js";
import { NumberArray } from "../story.js";
import { updated } from "./update.js";

/** Whether `recomputed` knows everything that the network does. */
export function possible(story) {
  const known = ({ kind, tokens, activation: f }) => kind === "dropout" || (kind === "dense" && !tokens && f.ours);
  return story.T === null && story.output.ours && story.optimizer.ours && story.layers.every(known);
}

/** z = W a + b. */
function netValue(W, a, b) {
  const n = a.length;
  return b.map((bias, i) => {
    let z = 0;
    for (let k = 0; k < n; k++) {
      z += W[i * n + k] * a[k];
    }
    return z + bias;
  });
}

/** Wᵀ δ. */
function transposed(W, delta) {
  const n = W.length / delta.length;
  const da = new Float64Array(n);
  delta.forEach((d, i) => {
    for (let k = 0; k < n; k++) {
      da[k] += W[i * n + k] * d;
    }
  });
  return da;
}

/** δ a_prevᵀ + λ W, row by row. */
function outer(delta, a, W, decay) {
  return W.map((w, k) => delta[Math.floor(k / a.length)] * a[k % a.length] + decay * w);
}

const activated = ({ name, constants }, z) =>
  name === "softmax" ? softmax(z) : z.map((v) => ACTIVATIONS[name].f(v, constants));

/** z and a of every layer, in order; `parameter(stage, name)` says with which W and b. */
function forward(story, parameter) {
  const passes = [];
  let a = story.array("x").data;
  for (const { stage, kind, activation } of story.layers) {
    if (kind === "dropout") {
      const mask = story.array(`${stage}.mask`);
      a = mask ? a.map((v, k) => mask.data[k] * v) : a;
      passes.push({ z: a, a });
    } else {
      const z = netValue(parameter(stage, "W"), a, parameter(stage, "b"));
      a = activated(activation, z);
      passes.push({ z, a });
    }
  }
  return passes;
}

/** C = C(ŷ, t) + (λ/2) Σ W² of a pass forward. */
function cost(story, passes, t, parameter) {
  const { z, a } = passes.at(-1);
  let penalty = 0;
  for (const { stage, decays } of story.decay ? story.layers : []) {
    for (const name of decays) {
      penalty += parameter(stage, name).reduce((sum, w) => sum + w * w, 0);
    }
  }
  return value(story, z, a, t) + 0.5 * story.decay * penalty;
}

/** f′ of a layer, undefined where there is none: softmax, dropout. */
function slope(activation, { z, a }) {
  const rule = ACTIVATIONS[activation?.name];
  return rule && z.map((v, k) => rule.slope(v, a[k], activation.constants));
}

/** The way back, by name: f′, ∂C/∂a, δ and the gradients of every layer, and ∂C/∂x. */
function backward(story, passes, t, parameter) {
  const found = {};
  const put = (stage, name, numbers) => numbers && (found[`${stage}.${name}`] = numbers);
  const { z, a } = passes.at(-1);
  const last = story.layers.at(-1);
  put(last.stage, "slope", slope(last.activation, passes.at(-1)));
  put(last.stage, "da", !story.output.canonical && last.activation && derivative(story, a, t));
  let delta = outputDelta(story, z, a, t);
  for (const { stage, kind } of [...story.layers].reverse()) {
    put(stage, "delta", delta);
    const below = stage > 1 ? passes[stage - 2].a : story.array("x").data;
    let da = delta;
    if (kind === "dense") {
      put(stage, "dW", outer(delta, below, parameter(stage, "W"), story.decay));
      put(stage, "db", delta);
      da = transposed(parameter(stage, "W"), delta);
    } else if (story.array(`${stage}.mask`)) {
      da = delta.map((d, k) => story.array(`${stage}.mask`).data[k] * d);
    }
    if (stage === 1) {
      found.dx = da;
      break;
    }
    const prime = put(stage - 1, "slope", slope(story.layer(stage - 1).activation, passes[stage - 2]));
    put(stage - 1, "da", prime && da);
    delta = prime ? da.map((d, k) => prime[k] * d) : da;
  }
  return found;
}

/** The story of the same x and θ with other targets t, a row, and another rate η; itself where they are no others. */
export function recomputed(story, { t = story.array("t").data, eta = story.eta }) {
  const sameTargets = story.array("t").data.every((v, k) => v === t[k]);
  if (eta === story.eta && sameTargets) return story;
  const now = (stage, name) => story.array(`${stage}.${name}`).data;
  const passes = forward(story, now);
  const found = { t: Float64Array.from(t), ...backward(story, passes, t, now) };
  passes.forEach(({ z, a }, k) => Object.assign(found, { [`${k + 1}.z`]: z, [`${k + 1}.a`]: a }));
  found.C = Float64Array.of(cost(story, passes, t, now));
  const arrays = Object.entries(found)
    .filter(([name]) => story.array(name)) // of dropout the story has no z
    .map(([name, data]) => new NumberArray(name, story.array(name).shape, data));
  const before = story.replaced(arrays, { eta, retargeted: !sameTargets });
  const after = before.replaced(updated(before));
  const next = (stage, name) => (after.array(`${stage}.${name}.new`) ?? after.array(`${stage}.${name}`)).data;
  const C = cost(story, forward(story, next), t, next);
  return after.replaced([new NumberArray("C_after", [], Float64Array.of(C))]);
}
