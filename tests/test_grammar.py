"""The network grammar: there and back, sizes from the data, marks under the fault, and strings that mean harm."""

from __future__ import annotations

import re
import string
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deltarule import Dense, Dropout, Network, grammar
from deltarule.activations import (
    ACTIVATIONS,
    ELU,
    Activation,
    LeakyReLU,
    ReLU,
    ScaledTanh,
    Sigmoid,
    Softmax,
    Swish,
    Tanh,
)
from deltarule.architecture import Architecture
from deltarule.arrays import Shape
from deltarule.errors import DeltaruleError, GrammarError, HyperparameterError, UnknownNameError
from deltarule.initializers import HeNormal, Initializer, LeCunUniform, Orthogonal, Uniform, Zeros
from deltarule.layers import Layer

FINITE = st.floats(allow_nan=False, allow_infinity=False)
PLAIN: list[Activation] = [kind() for kind in ACTIVATIONS.values() if kind is not Softmax]
HIDDEN = st.one_of(st.sampled_from(PLAIN), FINITE.map(LeakyReLU), FINITE.map(ELU))
RULES: st.SearchStrategy[Initializer] = st.one_of(
    st.sampled_from([Zeros(), HeNormal(), LeCunUniform()]),
    st.floats(0, 9).map(Uniform),
    st.floats(-9, 9).map(Orthogonal),
)
UNITS = st.integers(1, 6)


def denses(activations: st.SearchStrategy[Activation], units: st.SearchStrategy[int]) -> st.SearchStrategy[Layer]:
    return st.builds(
        Dense,
        units,
        st.none() | activations,
        initializer=st.none() | RULES,
        bias_initializer=RULES,
        trainable=st.booleans(),
    )


DROPOUT = st.builds(Dropout, st.floats(0, 1, exclude_max=True), trainable=st.booleans())
LAYERS = st.builds(
    lambda hidden, last: (*hidden, last),
    st.lists(st.one_of(DROPOUT, denses(HIDDEN, UNITS)), max_size=4),
    st.one_of(DROPOUT, denses(HIDDEN, UNITS), denses(st.just(Softmax()), st.integers(2, 6))),
)
SHAPES: st.SearchStrategy[Shape] = st.one_of(
    st.tuples(UNITS), st.tuples(UNITS, UNITS, UNITS), st.tuples(st.none(), UNITS)
)


@given(LAYERS, SHAPES, HIDDEN)
@example((Dense(1),), (4,), ReLU())
@example((Dense(1, "relu"),), (4,), ReLU())
@example((Dense(2, "sigmoid"),), (4,), ReLU())
@example((Dense(2, initializer=Uniform(0.5), trainable=False), Dense(3)), (None, 4), Tanh())
@example((Dense(2, bias_initializer=Orthogonal(3.0)),), (1, 2, 3), Tanh())
def test_networks_are_spelled_and_read_back(layers: tuple[Layer, ...], shape: Shape, hidden: Activation) -> None:
    net = Network(layers, input_shape=shape, activation=hidden)
    for text in (str(net), net.spec, net.spec.upper(), net.spec.replace("/", "\t/ ").replace("(", " ( ")):
        again = Network(text)
        assert again.layers == net.layers
        assert again.shapes == net.shapes
        assert again.output.activation == net.output.activation
        assert again.spec == net.spec


def test_the_text_is_short() -> None:
    layers = [Dense(100), Dropout(0.5), Dense(50, LeakyReLU(0.2)), Dense(20, "tanh", Uniform(0.5), trainable=False)]
    net = Network([*layers, Dense(10, "softmax")], input_shape=(28, 28), activation="relu")
    assert net.spec == "1x28x28/100/dropout(0.5)/50:leaky_relu(0.2)/dense(20,tanh,uniform(0.5),trainable=False)/10"
    assert Network("8/32:relu/1:sigmoid").spec == "8/32/1"
    assert Network("8/32/1", activation="tanh", output="identity").spec == "8/32:tanh/1:identity"


def test_a_size_that_data_give() -> None:
    for first in ("*", "seq", " SEQ "):
        assert grammar.parse(f"{first}/rnn(4)/*", (None, 7), 7).input_shape == (None, 7)
    for shape, said in ((None, "seq takes its size from the data"), ((3,), "these data are rows of 3")):
        with pytest.raises(GrammarError, match=said):
            grammar.parse("seq/4", shape)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("784/10", (784,)),
        ("28x28/10", (1, 28, 28)),
        ("1x28x28/10", (1, 28, 28)),
        ("3x32x16/10", (3, 32, 16)),
        ("seq(65)/10", (None, 65)),
        (" seq ( 65 ) / 10 ", (None, 65)),
        ("1000000000/10", (10**9,)),
    ],
)
def test_input_shapes(text: str, shape: Shape) -> None:
    spec = grammar.parse(text)
    assert spec == (shape, (Dense(10),))
    assert Architecture(text).input_shape == Architecture(text, input_shape=shape).input_shape == shape


def test_stages() -> None:
    text = "4/5/5:tanh/ 5 : Leaky-ReLU( 0.2 ) /dense(units=5, activation=swish)/dropout(rate=1e-1)"
    assert grammar.parse(text + "/dropout(0,trainable=false)/3").layers == (
        Dense(5),
        Dense(5, Tanh()),
        Dense(5, LeakyReLU(0.2)),
        Dense(5, Swish()),
        Dropout(0.1),
        Dropout(0, trainable=False),
        Dense(3),
    )
    assert grammar.parse("4/dense(3,scaled tanh,orthogonal(2),zeros)").layers == (
        Dense(3, ScaledTanh(), Orthogonal(2.0), Zeros()),
    )


def test_a_star_takes_its_size_from_the_data() -> None:
    for inputs in ((4,), (1, 28, 28), (None, 65)):
        assert grammar.parse("*/32/*", inputs=inputs, outputs=3) == (inputs, (Dense(32), Dense(3)))
    assert grammar.parse(" * / * : sigmoid ", inputs=(4,), outputs=2).layers == (Dense(2, Sigmoid()),)
    with pytest.raises(GrammarError, match=r"\* stands for the outputs, in the last stage"):
        grammar.parse("4/*/3", outputs=3)
    assert grammar.parse("4/32/3", inputs=(5,), outputs=9) == ((4,), (Dense(32), Dense(3)))


def marked_column(error: DeltaruleError) -> tuple[str, int]:
    """(the line shown, the column of the mark)."""
    *_, line, mark = str(error).split("\n")
    assert re.fullmatch(" {4} *\\^", mark)
    return line[4:], len(mark) - 5


MALFORMED = [  # the mark stands where ↓ stood
    "↓", "↓784", "↓/10", "↓a/10", "↓0/10", "↓*/10", "↓28x28x28x28/10", "↓28x/10", "↓seq(0)/3", "↓seq(5,5)/3", "↓-4/3",
    "↓4.0/3", "↓٣/10", "↓10000000000/3", "↓4:relu/3", "784/↓/10", "784/↓", "784/↓x100:relu/10".replace("x100", ":"),
    "784/↓0", "784/↓1000000001", "784/↓100x/10", "784/↓-5/10", "784/↓1e3/10", "784/↓١٠", "784/↓(10)/10", "784/↓*/10",
    "784/100/↓*", "784/100:↓/10", "784/100:relu↓:tanh/10", "784/100:↓5/10", "784/↓relu:100/10", "784/dropout(0.5↓",
    "784/dropout(0.5)↓)/10", "784/dropout(↓/10)", "784/dropout(0.5↓:relu)/10", "784/dropout(0.5↓;1)", "784/↓dropout(2)",
    "784/↓dropout(0.1,0.2)", "784/↓dropout(x)", "784/↓dropout(0.5,units=3)", "784/↓dropout(0.5,rate=0.5)",
    "784/↓dropout(units=3,units=3)", "784/↓dropout", "784/↓dense(0)", "784/↓dense(1e3)", "784/↓dense(1000000001)",
    "784/dense(↓1e400)", "784/↓dense(10,rely)", "784/↓dense(10,relu(1))", "784/↓dense(10,trainable=2)",
    "784/↓dense(10,relu,5)", "784/↓dens(10)/10", "784/↓softmax/10", "784/100:↓rely/10",
    "784/100: ↓leaky_relu(slop=1)/9", "784 / 100 / ↓x()", "784/100/__↓import__".replace("__↓", "↓__"), "784/↓100;10",
    "784\t/\u3000↓{}/5", "784/100↓\n/10",
    "784/10/↓" + "9" * 200, "784/" * 100 + "↓x/10", "784/" + "10/" * 500 + "10:↓rely" + "/10" * 500,
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_the_fault_is_marked(text: str) -> None:
    where, text = text.index("↓"), text.replace("↓", "")
    with pytest.raises(DeltaruleError) as caught:
        grammar.parse(f"  {text}" if text else "")
    line, column = marked_column(caught.value)
    whole = text.partition("\n")[0]
    assert len(line) <= 102
    if len(whole) <= 60:
        assert (line, column) == ("".join(c if c.isprintable() else " " for c in whole), where)
    else:  # a part of it is shown
        assert whole[where : where + 5].startswith(line[column : column + 5].rstrip("…"))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("784/dropuot(0.5)/10", "there is no layer 'dropuot'; did you mean 'dropout'?"),
        ("784/100:rely/10", "there is no activation 'rely'; did you mean 'relu'?"),
        ("784/100:leakyrely/10", "did you mean 'leaky relu'?"),
        ("784/dense(10,initialiser=zeros)", "did you mean 'initializer'?"),
        ("784/dense(10,initializer=he_norml)", "initialiser 'he norml'; did you mean 'he normal'?"),
    ],
)
def test_unknown_names_get_a_suggestion(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        Network(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("784", "a network has an input and at least one layer, such as 784/100/10"),
        ("784/100\n/10", "one line"),
        ("784/0", "a size lies between 1 and 1000000000"),
        ("784/dropout(1)", "dropout: rate must be a finite number, at least 0 and below 1, not 1"),
        ("1/" * 60_000 + "1", "at most 100000 characters, this one has 120001"),
        ("784/f(" + "f(" * 9, "more than 8 brackets inside each other"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(GrammarError if "dropout" not in text else HyperparameterError) as caught:
        grammar.parse(text)
    assert message in str(caught.value)


PIECES = st.sampled_from(
    ["/", "/", "10", "*", "x", ":", "(", ")", ",", "=", "seq(", "dense(", "dropout(", "relu", "softmax", "0.5", "1e9",
     "trainable", "none", "True", "\n", " ", "999999999", "-", "__import__('os')", "\x00", "é", "𝟙"]
)  # fmt: skip


@settings(deadline=None)
@given(
    st.one_of(st.text(max_size=40), st.text(string.printable, max_size=40), st.lists(PIECES, max_size=14).map("".join))
)
@example("1000000000/1000000000")
@example("9999999999x9999999999/1")
@example("9" * 5000 + "/4")
@example("4/" + "(" * 5000)
@example("4/" + ")" * 5000)
@example("4/dense(" + "9" * 5000 + ")")
@example("4/dense(" * 2000)
@example("4/" + "dropout(0)/" * 6000 + "1")
@example("4/dense(10, relu" + ", " * 5000)
@example("4/" + " " * 50_000)
@example("4/3:" + "a " * 4000)
def test_hostile_strings_do_no_harm(text: str) -> None:
    """Read as a network or refused by name; the architecture of giants allocates nothing."""
    try:
        net = Architecture(text)
    except DeltaruleError:
        return
    assert Architecture(net.spec).layers == net.layers
    assert net.size >= 0


def test_sizes_are_not_allocated() -> None:
    tracemalloc.start()
    try:
        assert Architecture("1000000000x1000000000x1000000000/1000000000").size == 10**9 * (10**27 + 1)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
