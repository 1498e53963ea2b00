// The names of arrays as mathematics writes them: "2.dW" is ∂C/∂W⁽²⁾; and what they are, in words.

const RAISED = { 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const SIGNS = { omega: "ω", h0: "h₀", delta: "δ", mask: "m" };
const WHOLE = { x: "x", t: "t", C: "C", costs: "C of every step", C_after: "C after the step", dx: "∂C/∂x" };

const raised = (stage) => `⁽${[...String(stage)].map((digit) => RAISED[digit]).join("")}⁾`;

/** An array's name taken apart: layer (0: of none), own name, whether it is after the update. */
export function parts(name) {
  const [, stage, own, after] = /^(?:(\d+)\.)?(.+?)(\.new)?$/.exec(name);
  return { stage: Number(stage ?? 0), own, after: after !== undefined };
}

/** The letter that a name within a layer is written by: ω of omega. */
export const letter = (own) => SIGNS[own] ?? own;

/** The sign of an array, "W⁽²⁾". */
export function sign(story, name) {
  const { stage, own } = parts(name);
  if (!stage) return WHOLE[own] ?? own;
  const layer = story.layer(stage);
  const up = raised(stage);
  const hidden = layer.kind === "rnn" ? "h" : "a";
  if (own === "a") return `${hidden}${up}`;
  if (own === "da") return `∂C/∂${hidden}${up}`;
  if (own === "before") return `h${up} one step before`;
  if (own === "slope") return `f′(z${up})`;
  if (own.startsWith("d") && layer.parameters.includes(own.slice(1))) return `∂C/∂${letter(own.slice(1))}${up}`;
  return `${letter(own)}${up}`;
}

/** A place in an array, [3, 4]: counted from 1, but tokens are the numbers they are; "" of a single number. */
export function place(story, name, index) {
  const { stage, own } = parts(name);
  const tokens = stage === 1 && story.layers[0].tokens && /^d?W$/.test(own);
  const counted = index.map((i, axis) => (tokens && axis === 1 ? i : i + 1));
  return counted.length ? `[${counted.join(", ")}]` : "";
}

/** An entry by its sign and place, "W⁽²⁾[3, 4]"; after the update "new W⁽²⁾[3, 4]". */
export function called(story, name, index) {
  return `${parts(name).after ? "new " : ""}${sign(story, name)}${place(story, name, index)}`;
}

/** What an array is, in a few words. */
export function meaning(story, name) {
  const { stage, own, after } = parts(name);
  const layer = stage ? story.layer(stage) : null;
  if (after) return "after the update";
  if (stage && layer.parameters.includes(own)) return own === "b" ? "biases" : own === "h0" ? "first state" : "weights";
  if (own === "a" && stage === story.layers.length) return "the answer ŷ";
  const known = {
    x: layer === null && story.layers[0].tokens ? "tokens" : "input",
    t: "target",
    C: "cost",
    costs: "costs",
    C_after: "cost",
    dx: "gradient",
    z: "net values",
    a: layer?.kind === "rnn" ? "states" : "activations",
    delta: "errors",
    slope: "slopes",
    da: "from above",
    mean: "means",
    mask: "dropout mask",
    before: "states",
  };
  return known[own] ?? "gradient";
}

/** Where an entry comes from that has no equation here. */
export function origin(story, name) {
  const { stage, own } = parts(name);
  if (name === "x" || name === "t") return "is given";
  if (name === "C_after") return "is what going forward once more, with the new parameters, ends with";
  if (own === "mask") return "was drawn at random: 0 drops the unit";
  return story.layer(stage)?.parameters.includes(own)
    ? "is a parameter as it stands"
    : "is computed by code of your own";
}
