// The entries of an array that are largest in size: what to look at first in a heat map of thousands.

import { element } from "../dom.js";

/** Places in the data of the `count` entries largest by |v|; what is not a finite number comes first. */
export function largest(data, count = 8) {
  const rank = (k) => (Number.isNaN(data[k]) ? Infinity : Math.abs(data[k]));
  const found = [];
  let least = 0; // what an entry must exceed
  for (let k = 0; k < data.length; k += 1) {
    const size = rank(k);
    if (size <= least) continue;
    const place = found.findIndex((other) => rank(other) < size);
    found.splice(place < 0 ? found.length : place, 0, k);
    if (found.length > count) found.pop();
    if (found.length === count) least = rank(found[count - 1]);
  }
  return found;
}

/** The list of them, each a button that goes there; null for an array of zeros. */
export function largestList(ks, { show, short, describe }, onChoose) {
  if (!ks.length) return null;
  const items = ks.map((k) => {
    const number = [element("b", {}, show(k)), " ", element("span", {}, short(k))];
    const button = element("button", { type: "button", title: describe(k), click: () => onChoose(k) }, ...number);
    return element("li", {}, button);
  });
  const title = element("span", { class: "view-largest-title" }, "largest in size");
  return element("div", { class: "view-largest" }, title, element("ol", {}, ...items));
}
