"""Names and calls: there and back, suggestions, marks under the fault, and strings that mean harm."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deltarule.activations import ACTIVATIONS, ELU, Activation, LeakyReLU, ReLU, ScaledTanh, activation
from deltarule.costs import COSTS, BinaryCrossEntropy, Huber, Quantile, cost
from deltarule.errors import DeltaruleError, GrammarError, HyperparameterError, UnknownNameError
from deltarule.initializers import INITIALIZERS, Orthogonal, Uniform, initializer
from deltarule.names import Call, Named, canonical, find, marked, parse_call, resolve, spell, table

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TABLES: list[tuple[Callable[[Any], Named], Any]] = [
    (activation, ACTIVATIONS),
    (cost, COSTS),
    (initializer, INITIALIZERS),
]
WITH_PARAMETERS = st.one_of(
    FINITE.map(LeakyReLU),
    FINITE.map(ELU),
    st.floats(0, exclude_min=True, allow_infinity=False).map(Huber),
    st.floats(0, 1, exclude_min=True, exclude_max=True).map(Quantile),
    st.floats(0, allow_infinity=False).map(Uniform),
    FINITE.map(Orthogonal),
)


@dataclasses.dataclass(frozen=True)
class Everything(Named):
    """A value with every kind of field that a call can spell."""

    name = "every thing"
    first: Any
    second: Any = 0.5
    third: Any = None
    aside: Any = dataclasses.field(default=True, kw_only=True)


SIMPLE = st.one_of(st.integers(-(10**300), 10**300), FINITE, st.booleans(), st.none())
VALUES = st.recursive(SIMPLE, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)


@pytest.mark.parametrize(("made", "types"), TABLES, ids=["activation", "cost", "initializer"])
def test_every_name_gives_its_value_in_every_spelling(made: Callable[[Any], Named], types: Any) -> None:
    for name, kind in types.items():
        value = kind()
        assert made(value) is value
        assert str(value) == spell(value) == name.replace(" ", "_")
        words = name.split()
        title = [w.title() for w in words]
        for spelling in (
            name,
            "_".join(words),
            "-".join(words),
            name.upper(),
            "".join(title),
            " _-".join(title),
            f"  {name}\n",
        ):
            assert made(spelling) == made(f"{spelling}()") == value, spelling


@given(WITH_PARAMETERS)
def test_values_are_spelled_and_read_back(value: Named) -> None:
    made = next(made for made, types in TABLES if type(value) in types.values())
    assert made(str(value)) == value
    assert made(str(value).replace("_", "-").replace("(", " ( ").upper()) == value


@given(VALUES, VALUES, VALUES, VALUES)
def test_every_kind_of_field_is_spelled_and_read_back(first: Any, second: Any, third: Any, aside: Any) -> None:
    value = Everything(first, second, third, aside=aside)
    again = resolve("thing", table(Everything), str(value))
    assert again == value
    assert str(again) == str(value)


def test_spelling_leaves_out_what_is_default() -> None:
    assert str(Everything(1)) == "every_thing(1)"
    assert str(Everything(1, aside=False)) == "every_thing(1,aside=False)"
    assert str(Everything(1, third=2)) == "every_thing(1,third=2)"
    assert str(Everything((1, ()), np.float64(0.25), np.int64(3))) == "every_thing((1,()),0.25,3)"
    assert str(Everything(LeakyReLU(0.2), "relu")) == "every_thing(leaky_relu(0.2),relu)"


def test_numpy_numbers_become_python_numbers() -> None:
    for number in (np.float64(0.25), np.float32(0.25)):
        value = LeakyReLU(number)  # type: ignore[arg-type]
        assert (str(value), type(value.slope)) == ("leaky_relu(0.25)", float)
    for number in (10**400, 10**5000, np.float64(np.inf)):
        with pytest.raises(HyperparameterError, match="must be a finite number, not "):
            LeakyReLU(number)


def test_nested_calls_reach_their_owner_as_text() -> None:
    value = resolve("thing", table(Everything), "every thing(Leaky-ReLU(0.2, a = (relu, 1)), scaled tanh, aside=none)")
    assert value == Everything("leaky_relu(0.2,a=(relu,1))", "scaled_tanh", aside=None)


def test_calls_are_parsed() -> None:
    text = "  Step-Decay ( 5e-1 ,(1,-2,), True, None, every=+.5, b_c = f(x) )\n"
    call = parse_call(text)
    assert call.name == "step decay"
    assert call.args == (0.5, (1, -2), True, None)
    inner = Call("x", (), {}, text.index("x)"))
    assert call.kwargs == {"every": 0.5, "b_c": Call("f", (inner,), {}, text.index("f("))}
    assert call.position == text.index("Step")
    assert parse_call("relu", whole="784/relu", offset=4).position == 4
    assert [type(x) for x in parse_call("a(1, 1., 1e2, -0)").args] == [int, float, float, int]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("rely", "there is no activation 'rely'; did you mean 'relu'?"),
        ("tahn", "did you mean 'tanh'?"),
        ("soft_maxx(1)", "did you mean 'softmax'?"),
        ("zzz", "there is no activation 'zzz' (known: identity, sigmoid, tanh,"),
        (
            "leaky_relu(slop=1)",
            "there is no argument 'slop' of activation 'leaky relu'; did you mean 'slope'? (known: slope)",
        ),
        ("relu(slope=1)", "there is no argument 'slope' of activation 'relu' (known: none)"),
    ],
)
def test_unknown_names_get_a_suggestion(given_: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        activation(given_)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("relu(1)", "activation 'relu' takes no arguments, not 1"),
        ("leaky_relu(1,2,3)", "activation 'leaky relu' takes at most 1 arguments, not 3"),
        ("leaky_relu(1,slope=2)", "activation 'leaky relu' is given 'slope' twice"),
        ("leaky_relu(slope=1,slo_pe=2)", "activation 'leaky relu' is given 'slope' twice"),
        ("leaky_relu(relu)", "leaky relu: slope must be a finite number, not 'relu'"),
        ("leaky_relu(True)", "leaky relu: slope must be a finite number, not True"),
        ("leaky_relu(None)", "leaky relu: slope must be a finite number, not None"),
        ("leaky_relu(slope=(1,2))", "leaky relu: slope must be a finite number, not (1, 2)"),
    ],
)
def test_wrong_arguments_are_refused(given_: str, message: str) -> None:
    with pytest.raises(HyperparameterError) as caught:
        activation(given_)
    assert str(caught.value) == message


def test_missing_arguments_are_named() -> None:
    with pytest.raises(
        HyperparameterError, match=r"^thing 'every thing': missing 1 required positional argument: 'first'$"
    ):
        resolve("thing", table(Everything), "every_thing(aside=1)")


# The mark ^ of the second line stands under the character where reading stopped.
MALFORMED = [
    ("", "^", "expected a name or a number"),
    ("   ", "   ^", "expected a name or a number"),
    ("5", "^", "expected a name"),
    ("  5", "  ^", "expected a name"),
    ("True", "^", "expected a name"),
    ("(1)", "^", "expected a name"),
    ("12relu", "^", "expected a name"),
    ("relu(", "     ^", "expected a name or a number"),
    ("relu)", "    ^", "expected nothing more"),
    ("relu relu(1) 2", "             ^", "expected nothing more"),
    ("relu(1))", "       ^", "expected nothing more"),
    ("relu(1", "      ^", "expected ',' or ')'"),
    ("relu(1 2)", "       ^", "expected ',' or ')'"),
    ("relu(12ab)", "       ^", "expected ',' or ')'"),
    ("relu(1_000)", "      ^", "expected ',' or ')'"),
    ("relu(,)", "     ^", "expected a name or a number"),
    ("relu(1,,2)", "       ^", "expected a name or a number"),
    ("relu(a=)", "       ^", "expected a name or a number"),
    ("relu(=1)", "     ^", "expected a name or a number"),
    ("relu(1=2)", "      ^", "expected ',' or ')'"),
    ("relu(a=b=1)", "        ^", "expected ',' or ')'"),
    ("relu(-nan)", "     ^", "expected a name or a number"),
    ("relu('a')", "     ^", "expected a name or a number"),
    ("relu(1;2)", "      ^", "expected ',' or ')'"),
    ("relu(1e999)", "     ^", "this number is too large"),
    ("relu(2, -1e999)", "        ^", "this number is too large"),
    ("relu(a=1,2)", "^", "arguments by name come once each, after the others"),
    ("f(relu(a=1,a=2))", "  ^", "arguments by name come once each, after the others"),
    ("relu((a=1))", "     ^", "a tuple holds values only"),
    ("relu(\t\n?)", "       ^", "expected a name or a number"),
    ("relu(\u0663)", "     ^", "expected a name or a number"),
    ("rélu", " ^", "expected nothing more"),
    ("relu\0", "    ^", "expected nothing more"),
    ("f(f(f(f(f(f(f(f(f(1)))))))))", "                  ^", "more than 8 brackets inside each other"),
]


@pytest.mark.parametrize(("text", "mark", "complaint"), MALFORMED, ids=[repr(text) for text, _, _ in MALFORMED])
def test_malformed_calls_are_marked_under_the_fault(text: str, mark: str, complaint: str) -> None:
    for before, after in (("", ""), ("784/", "/10")):
        with pytest.raises(GrammarError) as caught:
            parse_call(text, whole=before + text + after, offset=len(before))
        first, shown, pointer = str(caught.value).split("\n")
        assert first == f"{complaint} here:" or first == f"{complaint}:"
        assert shown == "    " + "".join(c if c.isprintable() else " " for c in before + text + after)
        assert pointer == "    " + " " * len(before) + mark


@given(st.one_of(st.text(min_size=1), st.text(min_size=150, max_size=400)), st.data())
def test_the_mark_stands_under_its_character_in_long_text_too(text: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(text) - 1))
    first, shown, pointer = marked("here", text, position).split("\n")
    assert first == "here:"
    assert pointer.strip() == "^"
    assert shown[len(pointer) - 1] == (text[position] if text[position].isprintable() else " ")
    assert len(shown) <= 4 + 102


def test_brackets_may_be_eight_deep() -> None:
    call = parse_call("f(" * 8 + "1" + ")" * 8)
    for _ in range(7):
        (call,) = call.args
    assert call.args == (1,)


def test_a_call_has_at_most_100000_characters() -> None:
    assert parse_call("a" * 100_000).name == "a" * 100_000
    with pytest.raises(GrammarError, match=r"^more than 100000 characters:\n    …a+\n +\^$"):
        parse_call("a" * 100_001)


HOSTILE = {
    "open brackets": "relu(" * 2_000,
    "bare brackets": "(" * 100_000,
    "closed brackets": "relu" + "()" * 50_000,
    "a long name": "a" * 100_000,
    "a long name below the limit": "a" * 9_999,
    "a long number": "relu(" + "1" * 5_000 + ")",
    "a very long number": "relu(" + "1" * 100_000 + ")",
    "a long number and a letter": "leaky_relu(" + "1" * 9_000 + "a)",
    "a long fraction": "leaky_relu(0." + "0" * 9_000 + "a)",
    "a long exponent": "leaky_relu(1e" + "9" * 9_000 + ")",
    "a number of 400 digits": "leaky_relu(" + "9" * 400 + ")",
    "blanks": "relu" + " " * 9_000 + "?",
    "blanks and hyphens": "relu" + " -" * 4_900 + "1",
    "many blanks": " " * 100_000,
    "commas": "leaky_relu(" + "," * 9_000,
    "many arguments": "leaky_relu(" + "1," * 4_000 + "1)",
    "many names": "leaky_relu(" + ",".join(f"a{k}=1" for k in range(1_000)) + ")",
    "nulls": "\0" * 1_000,
    "a surrogate": "relu\ud800",
    "right to left": "\u202erelu",
    "code": "__import__('os').system('true')",
    "an attribute": "relu.__class__",
    "not a number": "leaky_relu(nan)",
    "infinity": "leaky_relu(-inf)",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_strings_get_a_short_error_of_ours(text: str) -> None:
    for made, _ in TABLES:
        with pytest.raises(DeltaruleError) as caught:
            made(text)
        assert len(str(caught.value)) < 100_000


def read_or_refuse(text: str) -> None:
    for made, _ in TABLES:
        try:
            value = made(text)
        except DeltaruleError:
            continue
        assert made(str(value)) == value
        assert all(np.isfinite(x) for x in vars(value).values())


@settings(max_examples=300)
@given(st.text())
@example("relu(\x1c)")
def test_any_text_is_read_or_refused(text: str) -> None:
    read_or_refuse(text)


WORDS = ["relu", "leaky_relu", "uniform", "huber", "quantile", "slope", "epsilon", "elu", "true", "None", "nan", "inf"]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from([*WORDS, *"(),=()(),= _-+.eE019\n\0é", "1e999", "0.5"]), max_size=20).map("".join))
def test_any_text_of_the_grammars_characters_is_read_or_refused(text: str) -> None:
    read_or_refuse(text)


@given(st.text(string.ascii_letters + " _-", max_size=12))
def test_canonical_names_stay_canonical(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)
    assert canonical(name.upper()) == canonical(name.lower())


def test_find_takes_names_without_their_spaces() -> None:
    assert find("cost", "CrossEntropy", COSTS) == "cross entropy"
    assert activation("scaledtanh") == ScaledTanh()
    assert cost("binary_crossentropy") == BinaryCrossEntropy()


@pytest.mark.parametrize("other", [None, 3, 0.5, ReLU, Huber(), Uniform(), object(), ("relu",), b"relu"], ids=repr)
def test_what_is_neither_a_name_nor_a_value_of_the_kind_is_refused(other: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"^activation: expected a name or a value such as Identity\(\), not "):
        activation(other)


def test_values_of_a_users_own_class_pass() -> None:
    class Own(Activation):
        name = "own"

    own = Own()
    assert activation(own) is own
