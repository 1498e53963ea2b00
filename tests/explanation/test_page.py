"""The page in a browser: every step, pointing, keys, values read back, what if, names that mean harm, paper."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from explanation.cases import CASES
from explanation.test_story import arrays

import deltarule as dr
from deltarule.explanation import explain
from deltarule.optimizers import OPTIMIZERS

Visit = Callable[..., Any]

STORY = """
  const { Story } = await import("deltarule/story");
  const { updated } = await import("deltarule/whatif/update");
  const read = Story.read(document.getElementById("story").textContent);
  const story = read.replaced(updated(read));
"""
NUMBERS = """
  const numbers = (story) => Object.fromEntries(story.arrayNames.map((name) => {
    const { shape, data } = story.array(name);
    return [name, [shape, [...data].map(String)]];
  }));
"""
READ_BACK = f"""async () => {{{STORY}{NUMBERS}
  return numbers(story);
}}"""
ALL_ENTRIES = f"""async () => {{{STORY}
  const {{ explain }} = await import("deltarule/equations/entries");
  const found = {{}};
  for (const name of story.arrayNames) {{
    const array = story.array(name);
    found[name] = [...array.data.keys()].map((k) => {{
      const e = explain(story, name, array.index(k));
      return e && [String(e.value), String(e.size), e.sources.length];
    }});
  }}
  return found;
}}"""
WHAT_IF = f"""async ([t, eta]) => {{{STORY}{NUMBERS}
  const {{ possible, recomputed }} = await import("deltarule/whatif/whatif");
  return possible(story) ? numbers(recomputed(story, {{ t, eta }})) : null;
}}"""
SOURCES = f"""async ([name, index]) => {{{STORY}
  const {{ explain }} = await import("deltarule/equations/entries");
  return explain(story, name, index).sources.map(({{ array, index }}) => [array, index]);
}}"""
CONTRAST = """() => {
  const light = (c) => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const luminance = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
    return 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  };
  const worst = [...document.querySelectorAll("td.view-cell")].map((cell) => {
    const { color, backgroundColor } = getComputedStyle(cell);
    if (backgroundColor === "rgba(0, 0, 0, 0)") return 21;
    const [a, b] = [luminance(color), luminance(backgroundColor)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
  return [worst.length, Math.min(21, ...worst)];
}"""


def number(text: str) -> float:
    return float(text.replace("Infinity", "inf").replace("NaN", "nan"))


def numbers(found: Any) -> Any:
    shape, values = found
    return np.array([number(v) for v in values]).reshape(shape)


def explained(case: str) -> Any:
    net, x, t, settings = CASES[case]()
    return explain(net, x, t, **settings)


def cell(page: Any, array: str, k: int) -> Any:
    return page.locator(f'figure[data-array="{array}"] td[data-k="{k}"]')


def lit(page: Any, kind: str = "source") -> set[tuple[str, int]]:
    found = page.locator(f"article figure td.view-{kind}")
    pairs = found.evaluate_all("(cells) => cells.map((c) => [c.closest('figure').dataset.array, Number(c.dataset.k)])")
    return {(name, k) for name, k in pairs}


def title(page: Any) -> str:
    return str(page.locator("article.step > h2").inner_text())


# Every step, every number


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_shown_and_every_array_is_read_back_bit_for_bit(case: str, visit: Visit) -> None:
    found = explained(case)
    page, story = visit(found), found.story
    own = {name: numbers(values) for name, values in page.evaluate(READ_BACK).items()}
    for name, values in arrays(story).items():
        np.testing.assert_array_equal(own[name], values, err_msg=name)
    for k, step in enumerate(story["steps"]):
        assert title(page) == step["title"]
        assert page.url.endswith(f"#step={step['id']}")
        assert step["words"] in page.locator("article").inner_text()
        assert page.locator("article .formula").count() == len(step["formulas"])
        assert page.locator("article .formula math").count() == len(step["formulas"])
        shown = {a["array"] for a in step["shows"]}
        figures = page.locator("article figure").evaluate_all("(all) => all.map((f) => f.dataset.array)")
        assert set(figures) <= shown
        if step["id"] != "update":
            assert set(figures) == {name for name in shown if name in own}
        assert page.locator(".check").count() == (step["check"] is not None)
        assert page.locator(".check.wrong").count() == 0
        assert page.locator(".pointed").inner_text().strip()
        assert f"{k + 1} of {len(story['steps'])}" in page.locator(".count").inner_text()
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("case", CASES)
def test_every_entry_is_what_its_equation_says(case: str, visit: Visit) -> None:
    """The equation's value, from the entries it names, is the engine's number to 1e-12 of the size of its terms."""
    found = explained(case)
    page = visit(found)
    own = {name: numbers(values) for name, values in page.evaluate(READ_BACK).items()}
    given = {"x", "t"} | {name for name in own if name.endswith((".check", ".places", ".before", ".mask"))}
    given |= {"C_after"} | {f"{layer['stage']}.{p}" for layer in found.story["layers"] for p in layer["parameters"]}
    entries = page.evaluate(ALL_ENTRIES)
    for name in set(own) - given:
        assert None not in entries[name], name
        value, size = (np.array([number(e[k]) for e in entries[name]]) for k in (0, 1))
        assert (np.abs(value - own[name].ravel()) <= 1e-12 * np.maximum(size, 1e-300)).all(), name
        assert all(e[2] > 0 or v == 0 for e, v in zip(entries[name], value)), name
    for name in given - {"C_after"}:
        if name in entries and not name.endswith((".before", ".check", ".places")):
            assert set(map(str, entries[name])) <= {"None"}, name


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_the_page_updates_as_the_optimiser_does(rule: str, visit: Visit) -> None:
    net = dr.Network("3/4/dropout(0.5)/2", activation="tanh", dtype="float64")
    decay = 0.0 if rule == "adamw" else 0.1  # it has one of its own
    page = visit(explain(net, [1.0, 2.0, -1.0], 1, optimizer=rule, learning_rate=0.03, weight_decay=decay))
    own = page.evaluate(READ_BACK)
    _, g = net.cost_and_gradient([1.0, 2.0, -1.0], 1, weight_decay=decay)
    kind = dr.optimizers.optimizer(rule)
    theta, _ = kind.update(net.theta, g, kind.begin(net.theta), 0.03, 1, net.decayed)
    for slot in net.slots:
        expected = theta[slot.start : slot.stop].reshape(slot.shape)
        np.testing.assert_allclose(numbers(own[f"{slot.key}.new"]), expected, rtol=1e-12, atol=1e-15)


def test_cells_show_their_numbers(visit: Visit) -> None:
    found = explained("dense")
    page = visit(found, "1.dW")
    own = arrays(found.story)
    for name in ("1.delta", "x", "1.dW"):
        for k, value in enumerate(own[name].ravel()):
            text = cell(page, name, k).inner_text().replace("−", "-")
            assert float(text) == pytest.approx(value, abs=6e-4), name


# Pointing


def test_pointing_at_a_net_value_shows_its_equation_and_lights_the_row_of_w(visit: Visit) -> None:
    found = explained("dense")
    page, own = visit(found, "1.z"), arrays(found.story)
    cell(page, "1.z", 2).hover()
    assert lit(page) == {("1.W", 8 + k) for k in range(4)} | {("x", k) for k in range(4)} | {("1.b", 2)}
    assert lit(page, "point") == {("1.z", 2)}
    shown = page.locator(".pointed").inner_text().replace("−", "-")
    for value in (*own["1.W"][2], *own["x"]):
        assert f"{value:.4f}".rstrip("0").rstrip(".") in shown
    assert repr(float(own["1.z"][2])) in shown


@pytest.mark.parametrize(
    ("case", "name", "index", "expected"),
    [
        ("dense", "2.dW", [1, 3], [("2.delta", [1]), ("1.a", [3])]),
        ("dense", "1.delta", [3], [("1.slope", [3]), ("1.da", [3])]),
        ("dense", "1.da", [3], [(n, i) for k in range(3) for n, i in (("2.W", [k, 3]), ("2.delta", [k]))]),
        ("dense", "2.a", [0], [("2.z", [k]) for k in range(3)]),
        ("conv", "1.z", [1, 2, 1], [("1.b", [1]), *[(n, i) for c in range(2) for u in range(3) for v in range(3)
            for n, i in (("1.W", [1, c, u, v]), ("x", [c, 3 + u, 1 + v]))]]),
        ("links", "2.mean", [1, 1, 2], [("1.a", [1, 2 + u, 4 + v]) for u in range(2) for v in range(2)]),
        ("links", "3.a", [2, 0, 1], [("2.a", [2, u, 1 + v]) for u in range(2) for v in range(2)]),
        ("links", "1.z", [0, 0, 0], [("1.b", [0]), *[(n, i) for u in range(3) for v in range(3)
            for n, i in (("1.W", [0, u, v]), ("x", [0, u, v]))]]),
        ("rnn", "1.z", [7, 2], [("1.b", [2]),
            *[(n, i) for k in range(5) for n, i in (("1.U", [2, k]), ("1.before", [7, k]))],
            *[(n, i) for k in range(4) for n, i in (("1.W", [2, k]), ("x", [7, k]))]]),
        ("rnn", "1.delta", [7, 2], [("1.slope", [7, 2]), ("1.da", [7, 2]),
            *[(n, i) for k in range(5) for n, i in (("1.U", [k, 2]), ("1.delta", [8, k]))]]),
        ("text", "1.z", [3, 1], [("1.b", [1]), ("1.W", [1, 3]), ("x", [3]),
            *[(n, i) for k in range(6) for n, i in (("1.U", [1, k]), ("1.before", [3, k]))]]),
    ],
)  # fmt: skip
def test_what_an_entry_came_from(case: str, name: str, index: list[int], expected: Any, visit: Visit) -> None:
    page = visit(explained(case))
    found = {(array, tuple(place)) for array, place in page.evaluate(SOURCES, [name, index])}
    wanted = {(array, tuple(place)) for array, place in expected}
    copied = {(a.replace("before", "a"), (i[0] - 1, *i[1:])) for a, i in wanted if a.endswith("before")}
    assert found == wanted | copied  # h_{t−1} is lit where the layer reads it, and where it was computed


def test_a_click_keeps_an_equation_and_escape_lets_it_go(visit: Visit) -> None:
    page = visit(explained("dense"), "1.z")
    cell(page, "1.z", 1).click()
    kept = page.locator(".pointed").inner_text()
    cell(page, "1.z", 3).hover()
    assert page.locator(".pointed").inner_text() == kept
    assert page.locator(".pointed.pinned").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".pointed.pinned").count() == 0
    cell(page, "1.z", 4).hover()
    assert page.locator(".pointed").inner_text() != kept


def test_a_number_of_the_equation_lights_the_entry_it_is(visit: Visit) -> None:
    page = visit(explained("dense"), "1.z")
    cell(page, "1.z", 1).click()
    page.locator('.pointed .term[data-array="1.W"]').first.hover()
    assert lit(page, "point") == {("1.W", 4)}


def test_finite_differences_stand_beside_an_entry(visit: Visit) -> None:
    found = explained("dense")
    page, own = visit(found, "2.dW"), arrays(found.story)
    cell(page, "2.dW", 7).hover()
    assert repr(float(own["2.dW.check"][7])).replace("-", "−") in page.locator(".pointed").inner_text()
    assert "All 15 entries agree" in page.locator(".check").inner_text()
    page.locator(".check tbody button").first.click()
    assert page.locator(".pointed.pinned").count() == 1


def test_a_gradient_that_is_wrong_is_marked(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    right = dr.Dense.backward
    monkeypatch.setattr(dr.Dense, "backward", lambda s, p, d, c: (right(s, p, d, c)[0], {
        name: 1.01 * g for name, g in right(s, p, d, c)[1].items()}))  # fmt: skip
    page = visit(explain(dr.Network("3/4/2"), [1.0, 2.0, -1.0], 1), "2.dW")
    assert "do NOT agree" in page.locator(".check.wrong").inner_text()


# Ways through the steps


def test_keys_buttons_list_and_links(visit: Visit) -> None:
    found = explained("dense")
    page, titles = visit(found, "cost"), [step["title"] for step in found.story["steps"]]
    assert title(page) == "The cost C"
    for key, k in (("ArrowRight", 6), ("ArrowLeft", 5), ("End", 14), ("ArrowRight", 14), ("Home", 0), ("ArrowLeft", 0)):
        page.keyboard.press(key)
        assert title(page) == titles[k]
    page.get_by_role("button", name="Next step").click()
    assert title(page) == titles[1]
    page.get_by_label("Step", exact=True).select_option("4")
    assert title(page) == titles[4]
    page.get_by_role("link", name="Layer 1: δ").click()
    assert title(page) == "Layer 1: δ"
    assert page.url.endswith("#step=1.delta")
    for address in ("no-such-step", "nonsense%"):
        page.evaluate("(address) => { location.hash = `#step=${address}` }", address)
        assert title(page) == "Layer 1: δ"


def test_an_address_that_says_nothing_begins_at_the_input(visit: Visit) -> None:
    assert title(visit(explained("dense"), "nonsense%")) == "The input"


def test_play_goes_on_by_itself_and_pauses(visit: Visit) -> None:
    page = visit(explained("dense"), "update")
    page.clock.install()
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(3100)
    assert title(page) == "The cost after the step"
    assert page.get_by_role("button", name="Play").count() == 1  # it has come to the end
    page.keyboard.press("p")  # and begins anew
    assert title(page) == "The input"
    page.clock.run_for(6100)
    assert title(page) == "Layer 1: activations a"
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(9000)
    assert title(page) == "Layer 1: activations a"


def test_arrows_within_an_array_move_its_cursor_and_speak(visit: Visit) -> None:
    page = visit(explained("dense"), "1.dW")
    cell(page, "1.dW", 0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert title(page) == "Layer 1: ∂C/∂W"
    assert lit(page, "point") == {("1.dW", 5)}
    assert lit(page) == {("1.delta", 1), ("x", 1)}
    said = page.locator(".live").inner_text()
    assert "=" in said
    assert page.locator(".live").get_attribute("aria-live") == "polite"


def test_the_drawing_leads_to_its_layers(visit: Visit) -> None:
    page = visit(explained("dense"))
    page.locator("svg .part").nth(1).click()
    assert title(page).startswith("Layer")
    page.locator("svg [role=button]").last.focus()
    page.keyboard.press("Enter")
    assert title(page) != "The input"


# What if


def outcome(net: dr.Network, x: Any, t: Any, settings: dict[str, Any]) -> dict[str, Any]:
    return arrays(explain(net, x, t, **settings).story)


@pytest.mark.parametrize("case", ["dense", "regression", "jacobian", "one output", "counts", "dropout", "large"])
def test_what_if_gives_python_s_numbers(case: str, visit: Visit) -> None:
    net, x, t, settings = CASES[case]()
    other = {"dense": 0, "regression": [1.5, 0.25], "jacobian": 0, "one output": 0, "counts": [0, 5], "dropout": 2,
             "large": 9}[case]  # fmt: skip
    expected = outcome(net, x, other, settings | {"learning_rate": 0.037})
    found = visit(explain(net, x, t, **settings)).evaluate(WHAT_IF, [expected["t"].tolist(), 0.037])
    for name, values in expected.items():
        if not name.endswith((".check", ".places")):
            worst = np.abs(numbers(found[name]) - values).max()
            assert worst <= 1e-12 * max(np.abs(values).max(), 1e-300), name


def test_what_if_by_its_form(visit: Visit) -> None:
    net, x, t, settings = CASES["dense"]()
    page = visit(explain(net, x, t, **settings), "2.delta")
    page.get_by_label("target class").select_option("0")
    page.get_by_label("learning rate").first.fill("0.05")
    page.keyboard.press("Tab")
    expected = outcome(net, x, 0, {"learning_rate": 0.05})
    sum_of = page.locator(".sum").inner_text()
    assert f"{float(expected['C']):.6f}" in sum_of
    assert f"{float(expected['C_after']):.6f}" in sum_of
    for k, value in enumerate(expected["2.delta"]):
        assert float(cell(page, "2.delta", k).inner_text().replace("−", "-")) == pytest.approx(value, abs=6e-4)
    assert title(page) == "Layer 2: δ of the output"
    page.get_by_role("button", name="Back to the original").click()
    assert f"{float(outcome(net, x, t, settings)['C']):.6f}" in page.locator(".sum").inner_text()


def test_after_another_target_nothing_is_said_to_be_checked(visit: Visit) -> None:
    page = visit(explained("dense"), "2.db")
    assert page.locator(".check.right").count() == 1
    page.get_by_label("learning rate").first.fill("0.05")
    assert page.locator(".check.right").count() == 1  # the gradient is the same
    page.get_by_label("target class").select_option("0")
    assert page.locator(".check").count() == 0
    assert "with the original target" in page.locator("article .note").inner_text()
    assert "finite differences" not in page.locator(".pointed").inner_text()
    page.get_by_role("button", name="Back to the original").click()
    assert page.locator(".check.right").count() == 1


@pytest.mark.parametrize("case", ["conv", "rnn"])
def test_what_if_is_for_dense_networks(case: str, visit: Visit) -> None:
    page = visit(explained(case))
    assert page.locator("form").count() == 0
    assert page.evaluate(WHAT_IF, [[0], 0.1]) is None


# What may come in


HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", "a&lt;b&#39;", '"onmouseover="alert(3)',
    "{{style}}", "javascript:alert(4)", "‮", "x" * 500,
]  # fmt: skip


def test_names_that_mean_harm_stay_names(visit: Visit) -> None:
    net = dr.Network("8/4/8", activation="tanh")
    page = visit(explain(net, np.linspace(-1, 1, 8), 3, classes=HOSTILE, columns=HOSTILE))
    steps = len(page.locator(".contents a").all())
    for _ in range(steps):
        page.keyboard.press("ArrowRight")
    assert page.locator("img, body script:not([type])").count() == 0
    page.keyboard.press("Home")
    assert "<img src=x onerror=alert(2)>" in page.locator('figure[data-array="x"]').inner_text()


def test_what_could_not_be_checked_says_why(visit: Visit) -> None:
    net = dr.Network("4/5/3", activation="tanh")
    net.theta[0] = np.nan
    page = visit(explain(net, [0.2, -0.4, 1.0, 0.5], 2), "2.dW")
    assert "No gradient could be checked: the cost is nan." in page.locator("header").inner_text()
    assert "There are no finite differences: the cost is nan." in page.locator("article .note").inner_text()


def test_what_is_not_finite_is_shown(visit: Visit) -> None:
    net = dr.Network("3/4/2", activation="exp", dtype="float64")
    net.theta[:] = 1e3
    page = visit(explain(net, [1.0, 2.0, 3.0], 0), "1.a")
    assert "∞" in cell(page, "1.a", 0).inner_text()
    page.keyboard.press("End")
    assert title(page) == "The cost after the step"


class Own(dr.Dense):
    """A user's own layer."""


def test_a_user_s_own_layer_and_activation(visit: Visit) -> None:
    net = dr.Network([Own(4, "tanh"), dr.Dense(2, "softmax")], input_shape=(3,))
    page = visit(explain(net, [1.0, 2.0, -1.0], 1), "1.z")
    cell(page, "1.z", 0).hover()
    assert page.locator(".pointed").inner_text().strip()
    for _ in range(14):
        page.keyboard.press("ArrowRight")


# How it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("case", ["dense", "conv", "rnn", "text"])
def test_every_number_can_be_read_on_its_colour(case: str, scheme: str, visit: Visit) -> None:
    page = visit(explained(case), color_scheme=scheme)
    for _ in range(len(page.locator(".contents a").all())):
        cells, worst = page.evaluate(CONTRAST)
        assert worst >= 4.5 or not cells
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("case", ["dense", "large", "conv", "rnn"])
def test_a_narrow_page_does_not_scroll_sideways(case: str, visit: Visit) -> None:
    page = visit(explained(case), viewport={"width": 390, "height": 800})
    last = -1
    while (now := int(page.get_by_label("Step", exact=True).input_value())) != last:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, title(page)
        last = now
        page.keyboard.press("ArrowRight")


def test_on_paper_every_step_follows_the_other(visit: Visit) -> None:
    found = explained("dense")
    page = visit(found)
    page.emulate_media(media="print")
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    shown = page.locator(".sheet article > h2").all_inner_texts()
    assert shown == [step["title"] for step in found.story["steps"]]
    assert page.locator(".sheet table").count() >= len(shown)
    assert not page.locator(".stepper").is_visible()
    page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert page.locator(".sheet").count() == 0


def test_a_notebook_s_frame(visit: Visit) -> None:
    found = explained("dense")
    page = visit(f"<!doctype html><link rel=icon href='data:,'><body>{found._repr_html_()}")
    frame = page.frame_locator("iframe")
    frame.locator("article.step").wait_for()
    frame.get_by_role("button", name="Next step").click()
    assert frame.locator("article.step > h2").inner_text() == "Layer 1: net values z"
    frame.get_by_role("link", name="The cost C").click()
    assert frame.locator("article.step > h2").inner_text() == "The cost C"


def test_health_is_a_section(visit: Visit) -> None:
    net = dr.Network("4" + "/6:sigmoid" * 12 + "/3")
    X = np.random.default_rng(0).normal(size=(200, 4))
    page = visit(explain(net, X[0], 1, health=(X, np.arange(200) % 3)))
    text = page.locator(".health").inner_text()
    assert "200 rows" in text
    assert "vanishing" in text
    assert page.locator(".health tbody tr").count() >= 13


def test_lenet_5_is_small_and_its_filters_are_shown(visit: Visit) -> None:
    net = dr.nets.lenet5()
    x = (np.random.default_rng(0).random(net.input_shape) * 255).astype(np.uint8)
    found = explain(net, x, 5)
    assert len(found.to_html().encode()) <= 2e6
    page = visit(found, "1.z")
    assert page.locator("article figure canvas").count() >= 2
    assert html.unescape(title(page)) == "Layer 1: net values z"
    assert page.locator(".formula math").count() >= 1
    page.locator('figure[data-array="1.z"] [tabindex="0"]').first.focus()
    for key in ("Home", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator(".live").inner_text().startswith("z of layer 1, map 1, row 2, column 2")
    assert title(page) == "Layer 1: net values z"


# Details


SUBSCRIPTS = """async () => {
  const { weight } = await import("deltarule/equations/notation");
  return [[2, "k"], [9, "k"], [2, 3], [2, "x=0"], [9, "x_{1}"], ["o", "c"]].map((places) => weight("W", 1, places));
}"""
SPARSE = """async (layer) => {
  const { health } = await import("deltarule/health");
  const layers = [{ stage: 1, verdict: "healthy", reason: "of one row", remedy: "", ...layer }];
  const story = { health: { layers, sentence: "a" }, layer: () => ({ text: "rnn(4)" }) };
  return [...health(story).querySelectorAll("tbody td")].map((cell) => cell.textContent);
}"""
CHECKED = """async (changes) => {
  const { Story } = await import("deltarule/story");
  const { check } = await import("deltarule/checks");
  const story = Story.read(document.getElementById("story").textContent);
  const { directions, ...found } = changes;
  Object.assign(story.checks.arrays["2.dW"], found);
  story.checks.directions = directions ?? null;
  return [...check(story, "2.dW", () => {}).querySelectorAll(":scope > h3, :scope > p")].map((p) => p.textContent);
}"""


def test_subscripts_stand_apart_where_they_would_run_together(visit: Visit) -> None:
    written = [w.removeprefix("W^{(1)}_") for w in visit(explained("dense")).evaluate(SUBSCRIPTS)]
    assert written == ["{3k}", "{10,k}", "{3,4}", "{3,x=0}", "{10,x_{1}}", "{oc}"]


def test_health_in_whole_percent_and_at_few_steps_back(visit: Visit) -> None:
    layer = {"mean_delta": "nan", "ratio": "inf", "dead": 0.004, "saturated": 0, "update_ratio": None}
    page = visit(explained("rnn"))
    *cells, _, through = page.evaluate(SPARSE, layer | {"through_time": [1 / (1 + k) for k in range(300)]})
    assert cells == ["NaN", "∞", "< 1 %", "0 %", "–"]
    assert re.findall(r"(\d+) back", through) == ["0", "1", "4", "16", "64", "256", "299"]
    through = page.evaluate(SPARSE, layer | {"through_time": [1.0] * 21})[-1]
    assert re.findall(r"(\d+) back", through) == ["0", "1", "2", "4", "8", "16", "20"]
    assert "13 %" in page.evaluate(SPARSE, layer | {"dead": 0.126})


def test_what_the_checks_say(visit: Visit) -> None:
    page = visit(explained("dense"), "2.dW")
    assert "ε = 0.0001:" in page.evaluate(CHECKED, {})[1]
    said = page.evaluate(CHECKED, {"entries": 1, "of": 1, "ok": False, "error": "nan"})
    assert said[0].startswith("✗")
    assert said[1].startswith("The only entry does NOT agree")
    assert "relative error NaN," in said[1]
    said = page.evaluate(CHECKED, {"directions": {"entries": 10, "ok": False, "error": "inf"}})
    assert said[2].startswith("✗")
    assert "10 random directions do NOT agree: relative error ∞" in said[2]


def test_the_arrow_keys_scroll_what_is_wider_than_its_place(visit: Visit) -> None:
    page = visit(explained("dense"), "2.delta", viewport={"width": 390, "height": 800})
    formula, before = page.locator("article .formula").first, title(page)
    formula.evaluate("(box) => { box.style.width = '60px' }")
    formula.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('article .formula').scrollLeft > 0")
    assert title(page) == before
    formula.evaluate("(box) => { box.style.width = ''; box.firstChild.style.fontSize = '1px' }")
    page.keyboard.press("ArrowRight")
    assert title(page) != before


def test_a_number_s_outline_goes_with_the_pointer(visit: Visit) -> None:
    page = visit(explained("dense"), "1.z")
    cell(page, "1.z", 1).click()
    page.locator('.pointed .term[data-array="1.W"]').first.hover()
    assert lit(page, "point") == {("1.W", 4)}
    page.locator(".pointed").dispatch_event("pointerleave")
    assert lit(page, "point") == {("1.z", 1)}


def test_the_drawing_calls_its_numbers_as_mathematics_does(visit: Visit) -> None:
    titles = "() => [...document.querySelectorAll('svg.network title')].map((one) => one.textContent)"
    inner = {"dense": "W⁽²⁾[3, 5] = ", "rnn": "h⁽¹⁾, t = 3: [", "links": "z⁽¹⁾, map 2"}
    for case, expected in inner.items():
        said = visit(explained(case), "2.z" if case == "dense" else "1.a").evaluate(titles)
        assert any(one.startswith(expected) for one in said), said
        assert not [one for one in said if one[0].isdigit()]


def test_lines_are_weights_only_where_weights_are_drawn(visit: Visit) -> None:
    weights = "Lines are weights"
    assert weights in visit(explained("dense")).locator(".drawing-note").inner_text()
    assert weights not in visit(explained("maps of classes")).locator(".drawing-note").inner_text()


def test_tokens_without_signs_count_from_0(visit: Visit) -> None:
    page = visit(explain(dr.Network("seq(4)/rnn(12)/4"), np.array([0, 1, 2, 3]), np.array([1, 2, 3, 0])), "1.dW")
    heads = page.locator('figure[data-array="1.dW"] thead th').all_inner_texts()
    assert heads == ["0", "1", "2", "3"]
    assert page.locator(".check tbody button", has_text=", 0]").count() >= 1
    cell(page, "1.dW", 4 * 9).hover()
    assert "10,x=0" in page.locator(".pointed .line").first.inner_text()
