// The story of one pass forward and back, as the page reads it: the network, its steps, and every array by name.
// Arrays come as base64 of little-endian floats, row by row; where float32 holds every number exactly, as float32.

const KINDS = { float32: Float32Array, float64: Float64Array };

/** An array of numbers with a name and a shape, row-major. */
export class NumberArray {
  constructor(name, shape, data) {
    this.name = name;
    this.shape = shape;
    this.data = data;
  }

  get size() {
    return this.data.length;
  }

  /** Where an index stands among all entries, row by row. */
  flat(index) {
    return index.reduce((k, i, axis) => k * this.shape[axis] + i, 0);
  }

  /** The index of entry k. */
  index(k) {
    const index = [];
    for (const n of [...this.shape].reverse()) {
      index.unshift(k % n);
      k = Math.floor(k / n);
    }
    return index;
  }

  at(...index) {
    return this.data[this.flat(index)];
  }
}

function decoded(name, { shape, type, data }) {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  return new NumberArray(name, shape, Float64Array.from(new KINDS[type](bytes.buffer)));
}

/** A network, its steps and its arrays; see story.py for what the document holds. */
export class Story {
  constructor(document, arrays) {
    Object.assign(this, document);
    this.document = document;
    this.arrays = arrays;
  }

  /** The story that a page carries, as JSON. */
  static read(text) {
    const { arrays, ...document } = JSON.parse(text);
    return new Story(document, new Map(Object.entries(arrays).map(([name, a]) => [name, decoded(name, a)])));
  }

  /** An array by name, or undefined. */
  array(name) {
    return this.arrays.get(name);
  }

  get arrayNames() {
    return [...this.arrays.keys()];
  }

  /** Layer `stage`, counted from 1. */
  layer(stage) {
    return this.layers[stage - 1];
  }

  /** This story with other arrays, and whatever else is said, in the place of its own. */
  replaced(arrays, changes = {}) {
    const all = new Map([...this.arrays, ...arrays.map((a) => [a.name, a])]);
    return new Story({ ...this.document, ...changes }, all);
  }
}
