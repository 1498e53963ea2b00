// Equations as elements. Symbols come in a small notation: ^{…} raises, _{…} lowers, z^{(2)}_{3}; every letter is a
// quantity and italic, but for the names of functions and the sign of a sum.

import { element } from "../dom.js";

const PIECE = /tanh|max|min|ln|sign|if|else|(?<letter>\p{L}\p{M}*)|[^]/gu;

/** Lines of pieces (written.js) as a `div.equation` of `div.line`s; every entry's number is a `span.term`. */
export function drawn(lines) {
  return element(
    "div",
    { class: "equation" },
    ...lines.map((pieces) => element("div", { class: "line" }, ...pieces.flatMap(pieceDrawn))),
  );
}

function pieceDrawn(piece) {
  if (typeof piece === "string") return notation(piece);
  if (piece.above) return [element("sup", {}, ...piece.above.flatMap(pieceDrawn))];
  for (const kind of ["note", "result"]) if (piece[kind]) return [element("span", { class: kind }, piece[kind])];
  if (piece.places.length === 0) return [element("span", { class: "constant" }, piece.number)];
  const term = element("span", { class: "term" }, piece.number);
  term.dataset.array = piece.places[0].array;
  term.dataset.index = piece.places[0].index.join(",");
  return [term];
}

/** Nodes of a symbol: what is raised and what is lowered at the same place stand above one another. */
function notation(source) {
  const nodes = [];
  let at = 0;
  while (at < source.length) {
    if (!/^[\^_]\{/.test(source.slice(at, at + 2))) {
      const end = at + source.slice(at).search(/[\^_]\{|$/);
      nodes.push(...letters(source.slice(at, end)));
      at = end;
      continue;
    }
    const end = closing(source, at + 1);
    const script = element(source[at] === "^" ? "sup" : "sub", {}, ...notation(source.slice(at + 2, end)));
    const beside = script.tagName === "SUB" && nodes.at(-1)?.tagName === "SUP" ? [nodes.pop()] : [];
    nodes.push(beside.length ? element("span", { class: "scripts" }, ...beside, script) : script);
    at = end + 1;
  }
  return nodes;
}

/** Text, with its quantities in italics. */
function letters(text) {
  const nodes = [];
  for (const { 0: piece, groups } of text.matchAll(PIECE)) {
    if (groups.letter && piece !== "Σ") nodes.push(element("i", {}, piece));
    else if (typeof nodes.at(-1) === "string") nodes.push(nodes.pop() + piece);
    else nodes.push(piece);
  }
  return nodes;
}

/** Where the bracket closes that opens at `open`. */
function closing(source, open) {
  let depth = 0;
  for (let at = open; at < source.length; at += 1) {
    depth += (source[at] === "{") - (source[at] === "}");
    if (depth === 0) return at;
  }
  return source.length;
}
