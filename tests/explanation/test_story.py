"""The story an explanation tells, held against trace, the optimisers and gradients found another way."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import Any

import numpy as np
import pytest
from explanation.cases import CASES

import deltarule as dr
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.explanation import explain
from deltarule.explanation.html import modules
from deltarule.explanation.story import encoded
from deltarule.optimizers import OPTIMIZERS


def decoded(array: dict[str, Any]) -> np.ndarray[Any, Any]:
    kind = {"float32": "<f4", "float64": "<f8"}[array["type"]]
    return np.frombuffer(base64.b64decode(array["data"]), kind).astype(np.float64).reshape(array["shape"])


def arrays(story: dict[str, Any]) -> dict[str, Any]:
    return {name: decoded(a) for name, a in story["arrays"].items()}


@pytest.mark.parametrize("case", CASES)
def test_every_array_is_the_trace_s_bit_for_bit(case: str) -> None:
    net, x, t, settings = CASES[case]()
    found = arrays(explain(net, x, t, **settings).story)
    kept = {k: v for k, v in settings.items() if k in ("weight_decay", "dropout")}
    tr = dr.trace(net.astype("float64"), x, t, **kept)
    expected = tr.arrays()
    for name in {"x", "t", *([] if net.vocabulary else ["dx"])}:
        np.testing.assert_array_equal(found[name], expected[name])
    for layer in tr:
        for name, values in {**layer.parameters, **layer.arrays()}.items():
            key = {"state": "before"}.get(name, name)
            if name == "da_prev" or (name == "z" and f"{layer.stage}.z" not in found):
                continue
            np.testing.assert_array_equal(found[f"{layer.stage}.{key}"], values, err_msg=f"{layer.stage}.{name}")
    assert found["C"] == tr.C


@pytest.mark.parametrize("case", CASES)
def test_every_gradient_is_checked_and_right(case: str) -> None:
    net, x, t, settings = CASES[case]()
    found = explain(net, x, t, **settings)
    checks, own = found.story["checks"], arrays(found.story)
    assert found.ok
    gradients = {f"{s.stage}.d{s.name}" for s in net.slots} | (set() if net.vocabulary else {"dx"})
    assert set(checks["arrays"]) == gradients
    for name in gradients:
        places = own.get(f"{name}.places", np.arange(own[name].size)).astype(int)
        assert len(places) == checks["arrays"][name]["entries"]
        size = np.abs(own[name]).max()
        found_there, shown = own[f"{name}.check"], own[name].reshape(-1)[places]
        np.testing.assert_allclose(found_there, shown, rtol=1e-5, atol=1e-6 * size + 1e-9)
    assert {step["check"] for step in found.story["steps"]} - {None} == gradients


def test_up_to_5000_parameters_every_entry_is_checked_and_above_the_largest_and_directions() -> None:
    small, large = dr.Network("40/98/10"), dr.Network("40/100/10")  # 5,008 and 5,110
    assert dr.Network("40/97/10").size == 4957
    every = explain(dr.Network("40/97/10"), np.ones(40), 1).story["checks"]
    assert all(row["entries"] == row["of"] for row in every["arrays"].values())
    assert every["directions"] is None
    for net in (small, large):
        story = explain(net, np.linspace(-1, 1, 40), 1).story
        checks, own = story["checks"], arrays(story)
        assert checks["directions"]["entries"] == 10
        assert checks["arrays"]["1.dW"]["entries"] == 60
        largest = np.argsort(-np.abs(own["1.dW"].reshape(-1)))[:8]
        assert set(largest) <= set(own["1.dW.places"].astype(int))


def test_a_large_input_is_sampled() -> None:
    story = explain(dr.Network("1x40x40/conv(1,3)/maxpool(8)/2"), np.ones((1, 40, 40)), 1).story
    rows = story["checks"]["arrays"]
    assert (rows["dx"]["entries"], rows["dx"]["of"]) == (60, 1600)
    assert all(row["entries"] == row["of"] for name, row in rows.items() if name != "dx")
    assert story["checks"]["directions"] is None


def test_a_wrong_way_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = dr.Dense.backward

    def wrong(self: Any, p: Any, delta: Any, cache: Any) -> Any:
        da, g = right(self, p, delta, cache)
        return da, g | {"W": 1.001 * g["W"]}

    monkeypatch.setattr(dr.Dense, "backward", wrong)
    found = explain(dr.Network("3/4/2"), [1.0, 2.0, -1.0], 1)
    assert not found.ok
    assert [name for name, row in found.story["checks"]["arrays"].items() if not row["ok"]] == ["1.dW", "2.dW"]


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_the_cost_after_one_update(rule: str) -> None:
    net, x, t = dr.Network("3/4/2", dtype="float64"), [1.0, 2.0, -1.0], 1
    decay = 0.0 if rule == "adamw" else 0.1  # it has one of its own
    story = explain(net, x, t, optimizer=rule, learning_rate=0.01, weight_decay=decay).story
    _, g = net.cost_and_gradient(x, t, weight_decay=decay)
    own = dr.optimizers.optimizer(rule)
    theta, _ = own.update(net.theta, g, own.begin(net.theta), 0.01, 1, net.decayed)
    C = net.cost_and_gradient(x, t, weight_decay=decay, theta=theta)[0]
    assert arrays(story)["C_after"] == pytest.approx(C, rel=1e-12)


def test_where_all_is_frozen_nothing_moves() -> None:
    net = dr.Network("3/4/2").frozen()
    story = explain(net, [1.0, 2.0, -1.0], 1).story
    update = next(s for s in story["steps"] if s["id"] == "update")
    assert (update["words"], update["shows"], update["formulas"]) == ("There is no parameter that learns.", [], [])
    assert arrays(story)["C_after"] == arrays(story)["C"]


def test_what_is_scaled_says_so() -> None:
    X, t = np.array([[1.0, 200.0], [3.0, 100.0], [2.0, 500.0]]), np.array([1e5, 2e5, 5e5])
    pre = dr.data.preprocessing.Preprocessing.fit(X, t, task="regression")
    steps = explain(dr.Network("2/3/1", output="identity", preprocessing=pre), X[0], t[0]).story["steps"]
    words = {step["id"]: step["words"] for step in steps}
    assert "preprocessing has scaled it" in words["x"]
    assert "The target is scaled" in words["cost"]


def test_the_health_is_that_of_the_same_settings() -> None:
    net, X, t = dr.Network("4/5/3"), np.random.default_rng(0).normal(size=(120, 4)), np.arange(120) % 3
    settings = {"learning_rate": 0.1, "weight_decay": 10.0}
    found = explain(net, X[0], 0, health=(X, t), **settings).story["health"]
    assert found == dr.diagnose(net, X, t, **settings).to_dict()


def test_a_layer_that_stands_in_two_places_is_told_at_each() -> None:
    d = dr.Dense(5, "tanh")
    net = dr.Network([d, dr.RNN(4, last=True), d, dr.Dense(2, "softmax")], input_shape=(None, 3))
    words = {s["id"]: s["words"] for s in explain(net, np.ones((6, 3)), 1).story["steps"]}
    assert "used at every step" in words["1.dW"]
    assert "used at every step" not in words["3.dW"]


def test_frozen_layers_stay() -> None:
    net = dr.Network([dr.Dense(4, "tanh", trainable=False), dr.Dense(2, "softmax")], input_shape=(3,), dtype="float64")
    story = explain(net, [1.0, 2.0, -1.0], 1, learning_rate=1.0).story
    g = net.cost_and_gradient([1.0, 2.0, -1.0], 1)[1]
    C = net.cost_and_gradient([1.0, 2.0, -1.0], 1, theta=net.theta - g)[0]
    assert arrays(story)["C_after"] == pytest.approx(C, rel=1e-12)
    assert [layer["trainable"] for layer in story["layers"]] == [False, True]
    assert [s["check"] for s in story["steps"] if s["id"] == "1.dW"] == [None]
    assert "frozen" in next(s["words"] for s in story["steps"] if s["id"] == "1.dW")


def test_the_steps_go_up_and_come_back() -> None:
    story = explain(dr.Network("4/5/3", activation="sigmoid"), [0.2, -0.4, 1.0, 0.5], 2).story
    assert [step["id"] for step in story["steps"]] == [
        "x", "1.z", "1.a", "2.z", "2.a", "cost", "2.delta", "2.dW", "2.db", "1.delta", "1.dW", "1.db", "dx", "update",
        "after",
    ]  # fmt: skip
    phases = [step["phase"] for step in story["steps"]]
    assert phases == ["forward"] * 5 + ["cost"] + ["backward"] * 7 + ["update", "after"]


@pytest.mark.parametrize("case", CASES)
def test_every_array_that_a_step_shows_is_there_and_every_array_is_shown(case: str) -> None:
    net, x, t, settings = CASES[case]()
    story = explain(net, x, t, **settings).story
    shown = {entry["array"] for step in story["steps"] for entry in step["shows"]}
    known = set(story["arrays"]) | {f"{s.key}.new" for s in net.slots}
    assert shown <= known
    hidden = {n for n in known - shown if not n.endswith((".check", ".places"))}
    assert all(n.endswith(".h0") or n.rpartition(".")[2] in ("mask",) for n in hidden), hidden
    for step in story["steps"]:
        assert step["words"].endswith(".")
        assert [entry["role"] for entry in step["shows"]].count("result") >= (step["id"] != "update")


def test_names_come_from_the_preprocessing_or_the_caller() -> None:
    pre = dr.data.preprocessing.Preprocessing.fit({"age": [20, 40, 30], "town": ["Graz", "Linz", "Graz"]}, list("nyn"))
    net = dr.Network("3/4/2", preprocessing=pre)
    story = explain(net, {"age": [25], "town": ["Linz"]}, ["y"]).story
    assert story["names"] == {
        "classes": ["n", "y"], "columns": ["age", "town = Graz", "town = Linz"], "vocabulary": None,
    }  # fmt: skip
    plain = explain(dr.Network("2/3"), [1.0, 2.0], 0).story["names"]
    assert plain == {"classes": ["class 0", "class 1", "class 2"], "columns": None, "vocabulary": None}
    own = explain(dr.Network("2/3"), [1.0, 2.0], 0, classes=["a", "b", "c"], columns=["u", "v"]).story["names"]
    assert own == {"classes": ["a", "b", "c"], "columns": ["u", "v"], "vocabulary": None}
    with pytest.raises(ShapeError, match="has 3 outputs, and there are 2 names of classes"):
        explain(dr.Network("2/3"), [1.0, 2.0], 0, classes=["a", "b"])
    with pytest.raises(ShapeError, match="has 2 inputs, and there are 1 names of columns"):
        explain(dr.Network("2/3"), [1.0, 2.0], 0, columns=["a"])


def test_what_is_not_one_row_is_refused() -> None:
    net = dr.Network("3/4/2")
    with pytest.raises(ShapeError, match=re.escape("a batch of 5 came; give X[0], t[0]")):
        explain(net, np.ones((5, 3)), [0] * 5)
    with pytest.raises(HyperparameterError, match="explain takes a network"):
        explain("3/4/2", [1, 2, 3], 0)  # type: ignore[arg-type]
    with pytest.raises(HyperparameterError, match=re.escape("health=(X, t)")):
        explain(net, [1.0, 2.0, 3.0], 0, health=np.ones((5, 3)))
    with pytest.raises(HyperparameterError, match="names come as a list"):
        explain(net, [1.0, 2.0, 3.0], 0, classes="no")
    with pytest.raises(HyperparameterError, match="not to both"):
        explain(net, [1.0, 2.0, 3.0], 0, optimizer="adamw", weight_decay=0.1)
    with pytest.raises(HyperparameterError, match="learning_rate must be a finite number, above 0"):
        explain(net, [1.0, 2.0, 3.0], 0, learning_rate=0.0)
    with pytest.raises(HyperparameterError, match=re.escape("an explanation is an .html file, and a.pdf is none")):
        explain(net, [1.0, 2.0, 3.0], 0).save("a.pdf")


def test_a_batch_of_one_is_one_row() -> None:
    net = dr.Network("3/4/2")
    one, batch = explain(net, [1.0, 2.0, 3.0], 0), explain(net, [[1.0, 2.0, 3.0]], [0])
    assert one.story == batch.story


def test_what_is_not_finite_is_told() -> None:
    net = dr.Network("3/4/2", activation="exp", dtype="float64")
    net.theta[:] = 1e3
    found = explain(net, [1.0, 2.0, 3.0], 0)
    assert not np.isfinite(arrays(found.story)["1.a"]).any()
    assert not found.ok
    json.loads(json.dumps(found.story, allow_nan=False))


def test_large_arrays_take_half_the_space_where_float32_holds_them() -> None:
    exact, longer = np.arange(2000) / 8, np.arange(2000) / 7
    assert encoded(exact)["type"] == "float32"
    assert encoded(longer)["type"] == encoded(exact[:1000])["type"] == "float64"
    for values in (exact, longer, np.array([np.nan, np.inf, -0.0, 5e-324])):
        np.testing.assert_array_equal(decoded(encoded(values)), values)


class Twice(dr.Dense):
    """A user's own layer: no equations for its entries, but a story all the same."""


def test_a_user_s_own_layer_and_rule_are_told_by_their_numbers() -> None:
    class Half(dr.SGD):
        def rule(self, theta: Any, g: Any, state: Any, eta: Any, t: Any, decayed: Any) -> Any:
            return theta - 0.5 * eta * g, state

    net = dr.Network([Twice(4, "tanh"), dr.Dense(2, "softmax")], input_shape=(3,))
    story = explain(net, [1.0, 2.0, -1.0], 1, optimizer=Half()).story
    assert [layer["kind"] for layer in story["layers"]] == ["custom", "dense"]
    assert not story["optimizer"]["ours"]
    found = arrays(story)
    np.testing.assert_array_equal(found["1.W.new"], found["1.W"] - 0.5 * story["eta"] * found["1.dW"])


# The page


def test_the_page_asks_for_nothing_and_names_cannot_leave_their_place(tmp_path: Any) -> None:
    hostile = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{{style}}"]
    found = explain(dr.Network("2/3"), [1.0, 2.0], 0, classes=hostile)
    text = found.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 3
    assert "alert(1)</script>" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert re.search(r"default-src 'none'; script-src 'sha256-", html.unescape(text))
    inside = re.search(r'<script type="application/json" id="story">(.*?)</script>', text, re.DOTALL)
    assert inside is not None
    assert json.loads(inside[1]) == json.loads(json.dumps(found.story))
    assert json.loads(inside[1])["names"]["classes"] == hostile


def test_every_module_is_imported_by_another() -> None:
    code = modules()
    used = {name for text in code.values() for name in re.findall(r'from "deltarule/([\w/]+)"', text)}
    assert used | {"main"} == set(code)
    for name, text in code.items():
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|import\(", text), name


def test_a_notebook_shows_it_in_a_frame() -> None:
    found = explain(dr.Network("2/3"), [1.0, 2.0], 0)
    frame = found._repr_html_()
    assert frame.startswith("<iframe")
    inside = re.search(r'srcdoc="([^"]*)"', frame)
    assert inside is not None
    assert html.unescape(inside[1]) == found.to_html()
