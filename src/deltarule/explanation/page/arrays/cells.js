// The numbers of one array as its cells show them: all with the same number of decimals, chosen for the largest |v|
// so that it has about three figures; what that would round to nothing, and what is too long, in powers of ten.

import { extent } from "./colours.js";
import { text } from "../numbers.js";

const LONGEST = 5; // digits that a cell has room for

/** A function from a value of this array to the text of its cell. */
export function cellText(data) {
  const { size } = extent(data);
  const magnitude = size > 0 ? Math.floor(Math.log10(size)) : 0;
  const whole = magnitude < LONGEST && data.every((v) => !Number.isFinite(v) || Number.isInteger(v));
  const decimals = whole ? 0 : Math.max(magnitude < 0 ? 2 - magnitude : 3 - magnitude, 0);
  const fixed = whole || (magnitude < LONGEST && decimals <= LONGEST);
  return (v) => {
    if (!Number.isFinite(v) || v === 0) return text(v, 3);
    if (fixed && Math.abs(v) >= 10 ** -decimals) return v.toFixed(decimals).replace("-", "\u2212");
    return text(v, fixed ? 2 : 3);
  };
}

const SIGNS = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍", "": "∅" };

/** A vocabulary's entry as something to be seen: a blank, a new line and a tab have signs. */
export function seen(sign) {
  return SIGNS[sign] ?? sign;
}
