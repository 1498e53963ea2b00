// How entries are written, as the documents do: z^{(2)}_{3}, W^{(1)}_{2,5}, z^{(1)}_{2}[3, 4], h^{(1)}_{2,3} of step 2.
//
// Whoever reads counts from 1, as the documents do, while the index of an array counts from 0: a number among the
// places is such an index, and one is added; a letter, k, is a place that a sum runs over.

const one = (place) => (typeof place === "number" ? place + 1 : place);

/** Places side by side: 3k, oc; 3,4 and 12,k and 3,x=0 where they would run into one another. */
function subscript(places) {
  const written = places.map((place) => String(one(place)));
  const apart = places.every((place) => typeof place === "number") || written.some((place) => place.length > 1);
  return written.join(apart ? "," : "");
}

const bracket = (places) => (places.length ? `[${places.map(one).join(", ")}]` : "");

/** A letter of layer `stage` (of none: null) at an index of its array: unit; step, unit; map, row, column. */
export function symbol(letter, stage, index) {
  const layer = stage === null ? "" : `^{(${stage})}`;
  if (index.length === 0) return letter + layer;
  const [below, beside] = index.length === 2 ? [index, []] : [index.slice(0, 1), index.slice(1)];
  return `${letter}${layer}_{${below.map(one).join(",")}}${bracket(beside)}`;
}

/** A weight: W^{(2)}_{3k}; a kernel's, W^{(1)}_{oc}[u, v]. */
export function weight(letter, stage, places, inside = []) {
  return `${letter}^{(${stage})}_{${subscript(places)}}${bracket(inside)}`;
}

/** ∂C/∂ of a symbol. */
export const derivative = (of) => `∂C/∂${of}`;

/** A layer's activations go by a, those of a recurrent one by h. */
export const stateLetter = (layer) => (layer.kind === "rnn" ? "h" : "a");

/** A place that goes along with a letter: 2y + 1, u − 2. */
export function affine(stride, letter, constant) {
  const scaled = stride === 1 ? letter : `${stride}${letter}`;
  if (constant === 0) return scaled;
  return constant > 0 ? `${scaled} + ${constant}` : `${scaled} − ${-constant}`;
}

/**
 * What layer `stage` reads: `array` a⁽ˡ⁻¹⁾ or x, where in it a `place` of its input stands, and the `symbol` of that.
 * Behind a recurrent layer that gives its last state only, this is the last row of its states.
 */
export function below(story, stage) {
  const previous = story.layer(stage - 1);
  const array = story.array(previous ? `${stage - 1}.a` : "x");
  const step = previous?.last ? [array.shape[0] - 1] : [];
  const letter = previous ? stateLetter(previous) : "x";
  return {
    array,
    place: (...index) => [...step, ...index],
    symbol: (...index) => symbol(letter, previous ? stage - 1 : null, [...step, ...index]),
  };
}
