// The entries of an array that are largest in size: what to look at first in a heat map of thousands.

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
  const section = document.createElement("div");
  section.className = "view-largest";
  const title = document.createElement("span");
  title.className = "view-largest-title";
  title.textContent = "largest in size";
  const list = document.createElement("ol");
  for (const k of ks) {
    const button = document.createElement("button");
    button.type = "button";
    const [value, place] = [document.createElement("b"), document.createElement("span")];
    value.textContent = show(k);
    place.textContent = short(k);
    button.title = describe(k);
    button.append(value, " ", place);
    button.addEventListener("click", () => onChoose(k));
    list.append(document.createElement("li"));
    list.lastChild.append(button);
  }
  section.append(title, list);
  return section;
}
