// The stepper: which step is shown, and every way to another: buttons, keys, play, a list, and links (#step=2.z).

import { element } from "./dom.js";

const SECONDS_A_STEP = 3;
const PHASES = { forward: "Forward", cost: "Cost", backward: "Backward", update: "Update", after: "After" };

/** { bar, list, go(id or number), begin(), current }; `onStep(step)` is called whenever another is shown. */
export function stepper(steps, onStep) {
  let current = -1;
  let timer = null;

  const button = (label, sign, action) =>
    element("button", { type: "button", "aria-label": label, title: label, click: action }, sign);
  const play = button("Play", "▶", () => (timer === null ? start() : stop()));
  const back = button("Previous step (←)", "‹", () => go(current - 1));
  const on = button("Next step (→)", "›", () => go(current + 1));
  const first = button("First step (Home)", "«", () => go(0));
  const last = button("Last step (End)", "»", () => go(steps.length - 1));
  const choice = element("select", { "aria-label": "Step", change: () => go(Number(choice.value)) });
  for (const group of phases(steps)) {
    const options = group.steps.map((step) => element("option", { value: steps.indexOf(step) }, step.title));
    choice.append(element("optgroup", { label: PHASES[group.phase] }, ...options));
  }
  const count = element("span", { class: "count" });
  const bar = element(
    "div",
    { class: "stepper", role: "group", "aria-label": "Steps" },
    first,
    back,
    play,
    on,
    last,
    choice,
    count,
  );
  const links = steps.map((step, k) => element("a", { href: `#step=${step.id}`, click: follow(k) }, step.title));
  const list = contents(steps, links);

  /** A plain click steps here; within a frame without an address the link itself would lead away. */
  function follow(k) {
    return (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go(k);
    };
  }

  function go(wanted) {
    const k = typeof wanted === "number" ? wanted : steps.findIndex((step) => step.id === wanted);
    if (k < 0 || k >= steps.length || k === current) return;
    links[current]?.removeAttribute("aria-current");
    current = k;
    links[k].setAttribute("aria-current", "step");
    choice.value = String(k);
    count.textContent = `${k + 1} of ${steps.length}`;
    first.disabled = back.disabled = k === 0;
    on.disabled = last.disabled = k === steps.length - 1;
    remember(steps[k].id);
    onStep(steps[k]);
    if (timer !== null && k === steps.length - 1) stop();
  }

  function start() {
    if (current === steps.length - 1) go(0);
    timer = setInterval(() => go(current + 1), SECONDS_A_STEP * 1000);
    told("Pause", "❚❚");
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    told("Play", "▶");
  }

  function told(label, sign) {
    play.setAttribute("aria-label", label);
    play.title = label;
    play.textContent = sign;
  }

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName))
      return;
    if (event.key.startsWith("Arrow") && scrolls(event.target)) return;
    const action = {
      ArrowLeft: () => go(current - 1),
      ArrowRight: () => go(current + 1),
      Home: () => go(0),
      End: () => go(steps.length - 1),
      p: () => play.click(),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  window.addEventListener("hashchange", () => go(asked() ?? current));

  return {
    bar,
    list,
    go,
    begin: () => {
      go(asked() ?? 0);
      if (current < 0) go(0);
    },
    get current() {
      return steps[current];
    },
  };
}

/** Whether the arrow keys scroll what has the focus: a formula or a table wider than its place. */
function scrolls(target) {
  const region = target.closest('[tabindex="0"][role="region"]');
  return region !== null && region.scrollWidth > region.clientWidth;
}

/** Steps that follow each other in the same phase, together. */
function phases(steps) {
  const groups = [];
  for (const step of steps) {
    if (groups.at(-1)?.phase !== step.phase) groups.push({ phase: step.phase, steps: [] });
    groups.at(-1).steps.push(step);
  }
  return groups;
}

function contents(steps, links) {
  const groups = phases(steps).map(({ phase, steps: own }) => [
    element("h2", {}, PHASES[phase]),
    element("ol", {}, ...own.map((step) => element("li", {}, links[steps.indexOf(step)]))),
  ]);
  return element("nav", { class: "contents", "aria-label": "All steps" }, ...groups.flat());
}

/** The step that the address names. */
function asked() {
  const match = /^#step=(.+)$/.exec(location.hash);
  try {
    return match ? decodeURIComponent(match[1]) : null;
  } catch {
    return null; // no step has such a name
  }
}

/** The address leads to the step that is shown; a page within a notebook has none of its own. */
function remember(id) {
  try {
    history.replaceState(null, "", `#step=${id}`);
  } catch {
    // a frame without an address
  }
}
