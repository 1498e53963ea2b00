// "What if…": another rate η, another target t, and what the step then does to the cost.
//
// A classifier's target is chosen by its class, the row with one high entry; other targets are numbers, one an output.
// Whatever a story brings, class names above all, enters the page as text only.

import { element } from "../dom.js";
import { text } from "../numbers.js";

const MOST_NUMBERS = 12; // targets with a field each
const DECADES = 3; // of η to either side of the original, on the slider
const DOMAINS = {
  "binary cross entropy": { least: 0, most: 1, step: 0.1, says: "a number from 0 to 1" },
  poisson: { least: 0, most: Infinity, step: 1, says: "a count, not negative" },
};
const ANY = { least: -Infinity, most: Infinity, step: 0.1, says: "a finite number" };
const RATE = { least: Number.MIN_VALUE, most: Infinity, step: "any", says: "a number above 0" };

/** The shortest digits of a number that float32 or float64 holds: 0.1, not 0.10000000149011612. */
function digits(value) {
  for (let n = 1; n < 9 && Math.fround(value) === value; n++) {
    const shorter = Number(value.toPrecision(n));
    if (Math.fround(shorter) === value) {
      return String(shorter);
    }
  }
  return String(value);
}

/** A labelled number with its message: { element, input, value (NaN while there is a message), reset }. */
function numberField(id, label, original, { least, most, step, says }) {
  const error = element("span", { class: "whatif-error", id: `${id}-error`, "aria-live": "polite" });
  const input = element("input", { type: "number", step, id, "aria-describedby": error.id, autocomplete: "off" });
  const field = {
    input,
    element: element("div", { class: "whatif-field" }, element("label", { for: id }, ...label), input, error),
    value: original,
    check() {
      const given = input.value === digits(original) ? original : input.valueAsNumber;
      const good = Number.isFinite(given) && given >= least && given <= most;
      error.textContent = good ? "" : `This takes ${says}.`;
      input.setAttribute("aria-invalid", String(!good));
      field.value = good ? given : NaN;
    },
    reset() {
      input.value = digits(original);
      field.check();
    },
  };
  input.addEventListener("input", field.check);
  field.reset();
  return field;
}

/** η as a number and, in decades, as a slider whose middle is the original. */
function rateField(original) {
  const field = numberField("whatif-eta", ["learning rate ", element("var", {}, "η")], original, RATE);
  const middle = Math.log10(original);
  const slider = element("input", {
    type: "range",
    min: -DECADES,
    max: DECADES,
    step: 0.05,
    "aria-label": "learning rate η, in powers of ten",
  });
  const follow = () => {
    if (field.value > 0) {
      slider.value = String(Math.log10(field.value) - middle);
      slider.setAttribute("aria-valuetext", `η = ${field.input.value}`);
    }
  };
  slider.addEventListener("input", () => {
    const decades = slider.valueAsNumber;
    field.input.value = decades === 0 ? digits(original) : String(Number((10 ** (middle + decades)).toPrecision(2)));
    field.check();
    slider.setAttribute("aria-valuetext", `η = ${field.input.value}`);
  });
  field.input.addEventListener("input", follow);
  field.input.addEventListener("keydown", (event) => {
    const turn = { ArrowUp: 2, ArrowDown: -2 }[event.key]; // a quarter more or less, and not 1
    if (turn) {
      event.preventDefault();
      slider.stepUp(turn);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  field.input.after(slider);
  follow();
  const reset = () => (field.reset(), follow());
  return { element: field.element, read: () => field.value, reset };
}

/** The targets that a classifier can be given, { text, row }, coded as its own is; null where there are no classes. */
function choices({ output, names }, t) {
  const K = t.length;
  const binary = K === 1 && output.activation === "sigmoid" && names.classes?.length === 2;
  if (binary) {
    return names.classes.map((name, k) => ({ text: name, row: [k] }));
  }
  if (K === 1 || (output.activation !== "softmax" && names.classes?.length !== K)) {
    return null;
  }
  const [low, high] = [Math.min(...t), Math.max(...t)];
  const coded = high > low && t.every((v) => v === low || v === high) && t.filter((v) => v === high).length === 1;
  const [cold, hot] = coded && output.activation !== "softmax" ? [low, high] : [0, 1];
  return Array.from(t, (_, k) => ({
    text: names.classes?.[k] ?? String(k),
    row: Array.from(t, (_, j) => (j === k ? hot : cold)),
  }));
}

/** The class to aim at; a target that is no class of its own, as [0.2, 0.8], comes first. */
function classField(options, t) {
  const own = options.findIndex(({ row }) => row.every((v, k) => v === t[k]));
  const rows = own < 0 ? [{ text: "as it was given", row: t }, ...options] : options;
  const shown = rows.map((option, k) => element("option", { value: k }, option.text));
  const select = element("select", { id: "whatif-t" }, ...shown);
  const reset = () => (select.selectedIndex = Math.max(own, 0));
  reset();
  const label = element("label", { for: "whatif-t" }, "target class");
  return {
    element: element("div", { class: "whatif-field" }, label, select),
    read: () => rows[select.selectedIndex].row,
    reset,
  };
}

/** The targets as numbers, one field an output. */
function numbersField(story, t) {
  const domain = DOMAINS[story.output.cost] ?? ANY;
  const place = (k) => (t.length > 1 ? element("sub", {}, String(k + 1)) : null);
  const label = (k) => ["target ", element("var", {}, "t", place(k))];
  const fields = Array.from(t, (v, k) => numberField(`whatif-t-${k}`, label(k), v, domain));
  return {
    element: element("div", { class: "whatif-numbers" }, ...fields.map((field) => field.element)),
    read: () => fields.map((field) => field.value),
    reset: () => fields.forEach((field) => field.reset()),
  };
}

function targetField(story) {
  const t = story.array("t").data;
  const options = choices(story, t);
  if (options) {
    return classField(options, t);
  }
  if (t.length <= MOST_NUMBERS) {
    return numbersField(story, t);
  }
  return { element: element("p", {}, `The ${t.length} targets stay as they are.`), read: () => t, reset() {} };
}

/** What the step does to the cost, in words, and what it was with the original t and η. */
function sentence(now, original) {
  const [C, after] = ["C", "C_after"].map((name) => now.array(name).at());
  const [C0, after0] = ["C", "C_after"].map((name) => original.array(name).at());
  const was = (value, before) =>
    text(value) === text(before) ? text(value) : `${text(value)} (it was ${text(before)})`;
  const change = after - C;
  const effect = !Number.isFinite(change)
    ? "the step leads out of the finite numbers"
    : change === 0
      ? "the step leaves the cost as it is"
      : `the step ${change < 0 ? "lowers" : "raises"} the cost by ${text(Math.abs(change))}`;
  return `The cost is ${was(C, C0)}. After the step it is ${was(after, after0)}: ${effect}.`;
}

/** The form: { element, tell(story) }; `onChange({ t, eta })` hears of good entries only, as they are made. */
export function form(story, onChange) {
  const rate = rateField(story.eta);
  const target = targetField(story);
  const back = element("button", { type: "button" }, "Back to the original");
  const told = element("p", { class: "whatif-told", role: "status" });
  const fields = element("fieldset", {}, element("legend", {}, "What if…"), rate.element, target.element, back);
  const whole = element("form", { class: "whatif", novalidate: true }, fields, told);

  const changed = () => {
    const [t, eta] = [target.read(), rate.read()];
    if ([...t, eta].every(Number.isFinite)) {
      onChange({ t, eta });
    }
  };
  whole.addEventListener("input", changed);
  whole.addEventListener("submit", (event) => event.preventDefault());
  back.addEventListener("click", () => {
    rate.reset();
    target.reset();
    changed();
  });
  const tell = (now) => (told.textContent = sentence(now, story));
  tell(story);
  return { element: whole, tell };
}
