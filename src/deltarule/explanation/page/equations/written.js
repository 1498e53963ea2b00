// How expressions are written: with the numbers of their leaves put in.
//
// A line is a list of pieces: text in a small notation, z^{(2)}_{3}; {number, places} for an entry's number;
// {above: pieces} for an exponent; {note} for words; {result}. drawn.js makes elements of lines, `plain` makes text.

import { constant, text } from "../numbers.js";

const MOST_TERMS = 8; // a longer sum shows its largest terms
const KEPT_TERMS = 6;

const SUM = 1; // how tightly operations bind
const PRODUCT = 2;
const POWER = 3;

/** The pieces of an expression with its numbers put in. */
export function inNumbers(tree) {
  return written(tree, 0, true);
}

/** A line of pieces as text: z^{(2)}_{3} stays legible as z^(2)_3. */
export function plain(pieces) {
  const texts = pieces.map((piece) => {
    if (typeof piece === "string") return piece.replaceAll(/[{}]/g, "");
    return piece.above ? `^(${plain(piece.above)})` : (piece.number ?? piece.note ?? piece.result);
  });
  return texts.join("");
}

/** Pieces of a part: in brackets where it binds less than `binding`, or is a negative number behind an operator. */
function written(part, binding, first) {
  const own = WRITERS[part.kind];
  const negative = isNumber(part) && part.value < 0 && (!first || binding >= POWER);
  return negative || own.binding(part) < binding ? ["(", ...own.write(part, true), ")"] : own.write(part, first);
}

const isNumber = ({ kind }) => ["entry", "number", "named"].includes(kind);

const shown = (part) => [{ number: text(part.value), places: part.places ?? [] }];

const constantShown = ({ value, sign }) => [{ number: sign ?? constant(value), places: [] }];

const listed = (pieces, joint) => pieces.flatMap((piece, k) => (k ? [joint, ...piece] : piece));

/** Terms behind one another, with + or − between them; of many, the largest ones and the rest together. */
function sumWritten({ parts }, first) {
  const kept = largestOf(parts);
  const pieces = kept.flatMap((term, k) => {
    if (k === 0) return written(term, SUM, first);
    const taken = term.kind === "negative";
    return taken ? [" − ", ...written(term.parts[0], PRODUCT, false)] : [" + ", ...written(term, SUM, false)];
  });
  return parts.length ? [...pieces, ...rest(parts, kept)] : ["0"];
}

function largestOf(terms) {
  if (terms.length <= MOST_TERMS) return terms;
  const places = terms.map((term, k) => ({ k, size: Math.abs(term.value) }));
  places.sort((a, b) => b.size - a.size || a.k - b.k);
  return places
    .slice(0, KEPT_TERMS)
    .sort((a, b) => a.k - b.k)
    .map(({ k }) => terms[k]);
}

function rest(terms, kept) {
  if (kept.length === terms.length) return [];
  const left = new Set(kept);
  const together = terms.reduce((sum, term) => sum + (left.has(term) ? 0 : term.value), 0);
  return [" + ", { note: `… and ${terms.length - kept.length} more terms, together ${text(together)} …` }];
}

function callWritten({ name, parts }) {
  const kept = largestOf(parts);
  const others = parts.length - kept.length;
  const more = others ? [", ", { note: `… and ${others} more …` }] : [];
  return [
    `${name}(`,
    ...listed(
      kept.map((part) => written(part, 0, true)),
      ", ",
    ),
    ...more,
    ")",
  ];
}

const always = (binding) => () => binding;

const WRITERS = {
  entry: { binding: always(POWER), write: shown },
  number: { binding: always(POWER), write: constantShown },
  named: { binding: always(POWER), write: shown },
  sum: { binding: ({ parts }) => (parts.length > 1 ? SUM : PRODUCT), write: sumWritten },
  negative: { binding: always(SUM), write: ({ parts }) => ["−", ...written(parts[0], PRODUCT, false)] },
  product: {
    binding: always(PRODUCT),
    write: ({ parts }, first) =>
      listed(
        parts.map((part, k) => written(part, PRODUCT, first && k === 0)),
        " · ",
      ),
  },
  quotient: {
    binding: always(PRODUCT),
    write: ({ parts: [a, b] }, first) => [...written(a, PRODUCT, first), " / ", ...written(b, POWER, false)],
  },
  power: {
    binding: always(POWER),
    write: ({ parts: [a], exponent }) => [...written(a, POWER, false), { above: [String(exponent)] }],
  },
  call: { binding: always(POWER), write: callWritten },
  exponential: { binding: always(POWER), write: ({ parts: [a] }) => ["e", { above: written(a, 0, true) }] },
  condition: {
    binding: always(POWER),
    write: ({ parts: [a, b], sign }) => ["[", ...written(a, SUM, true), ` ${sign} `, ...written(b, SUM, true), "]"],
  },
  modulus: { binding: always(POWER), write: ({ parts: [a] }) => ["|", ...written(a, 0, true), "|"] },
};
