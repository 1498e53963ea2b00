// How far the pass has come at a step: what is known by then, and what the step is about.
// A step that computes an array carries its name as id: "2.z", "2.delta", "dx"; so an array is known once its step is.

import { parts } from "../symbols.js";

const WITH_DELTA = /\.da$/; // ∂C/∂a of a layer is found on the way to its δ
const CONSTANT = /\.slope$/; // f′(z): z is known already when the way back begins

/** How far a story has come at a step. */
export class Progress {
  constructor(story, step) {
    const at = story.steps.findIndex((other) => other.id === step.id);
    this.story = story;
    this.step = step;
    this.phase = step.phase;
    this.backward = step.phase === "backward";
    this.passed = new Set(story.steps.slice(0, at + 1).map((other) => other.id));
    this.roles = new Map((step.shows ?? []).map((shown) => [shown.array, shown.role]));
    this.stage = this.#stage(step.id);
  }

  /** Where the step is: 0 at x, L + 1 at the cost, null where all of the network is meant. */
  #stage(id) {
    if (id === "x" || id === "dx") return 0;
    if (id === "cost" || id === "after") return this.story.layers.length + 1;
    return parts(id).stage || null;
  }

  /** Whether an array's numbers are known by now; after the update those of the old weights are no more. */
  known(name) {
    if (name === "t") return true;
    if (this.phase === "after") return name === "x" || name === "C" || name === "C_after";
    if (name === "C" || name === "costs") return this.passed.has("cost");
    if (CONSTANT.test(name)) return this.backward;
    return this.passed.has(name.replace(WITH_DELTA, ".delta"));
  }

  /** An array that is known, or null. */
  array(name) {
    return (this.known(name) && this.story.array(name)) || null;
  }

  /** "result" for an array that this step computes, "from" for one that it needs, else "". */
  role(name) {
    return this.roles.get(name) ?? "";
  }

  /** The gradient that this step computes of a parameter of layer `stage`, "W" of "2.dW", or "". */
  gradient(stage) {
    const { stage: own, own: name } = parts(this.step.id);
    return own && own === stage && /^d(?!elta$)/.test(name) ? name.slice(1) : "";
  }

  /** Whether this step sends something along the connections into layer `stage`. */
  crosses(stage) {
    const id = this.step.id;
    if (this.phase === "update") return true;
    if (id === `${stage}.z` || this.gradient(stage) === "W") return true;
    if (id === `${stage}.a`) return !this.story.array(`${stage}.z`);
    return stage === 1 ? id === "dx" : id === `${stage - 1}.delta`;
  }

  /** What the update does, where there is room for a line: the rule of plain descent, or the optimiser's name. */
  get rule() {
    const { name, text } = this.story.optimizer;
    return name === "sgd" ? "update: θ ← θ − η ∂C/∂θ" : `update by ${text}`;
  }

  /** The step that a click on layer `stage` goes to: forward its z (or a), on the way back its δ. */
  target(stage) {
    const last = this.story.layers.length;
    const wanted = this.backward ? [`${stage}.delta`] : [`${stage}.z`, `${stage}.a`];
    if (stage === 0) wanted.unshift(...(this.backward ? ["dx", "x"] : ["x"]));
    if (stage > last) wanted.unshift("cost");
    return wanted.find((id) => this.story.steps.some((step) => step.id === id)) ?? null;
  }

  /** What a click on layer `stage` does, in words. */
  words(stage) {
    const last = this.story.layers.length;
    const back = this.backward;
    if (stage === 0) return back && this.story.array("dx") ? "input: go to its gradient" : "input: go to its values";
    if (stage > last) return `cost, ${this.story.output.cost}: go to its value`;
    const has = this.story.array(`${stage}.z`) ? "net values" : "values";
    return `layer ${stage}, ${this.story.layer(stage).text}: go to its ${back ? "delta" : has}`;
  }
}
