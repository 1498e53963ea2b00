"""The network grammar: "784/100/10" ⇄ an input shape and layers.

    network = input "/" stage { "/" stage }
    input   = 784 | 28x28 | 1x28x28 | seq(65) | seq | *     * and seq take their size from the data
    stage   = size [ ":" activation ] | call                 a bare number is a dense layer; * in the last stage too

A call is read by names.py: conv(6,5,pad=2), dropout(0.5), dense(100,relu,trainable=False). 28x28 alone has one channel.
The text is parsed, never evaluated, and `spell` gives it back. It is one line; a table below it, as `print(net)` shows,
is passed over, so that what is printed can be read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from deltarule.activations import ACTIVATIONS, Activation
from deltarule.arrays import Shape
from deltarule.errors import DeltaruleError, GrammarError
from deltarule.layers import LAYERS, Dense, Layer, shape_text
from deltarule.layers.base import MOST_UNITS
from deltarule.names import Call, build, marked, parse_call

__all__ = ["Spec", "parse", "spell"]

LONGEST = 100_000  # characters: a network string from a file is untrusted

T = TypeVar("T")


class Spec(NamedTuple):
    """A parsed network: the input shape, and the layers with whatever they leave open."""

    input_shape: Shape
    layers: tuple[Layer, ...]


def parse(text: str, inputs: Shape | None = None, outputs: int | None = None) -> Spec:
    """Read a network; `inputs` and `outputs` stand for the * of its first and last stage.

    >>> parse("784/100/10").input_shape
    (784,)
    >>> [str(layer) for layer in parse("*/32:tanh/dropout(0.5)/*", inputs=(4,), outputs=3).layers]
    ['dense(32,tanh)', 'dropout(0.5)', 'dense(3)']

    Raises:
        GrammarError: the text does not parse; the position is marked.
    """
    line, _, below = (part.strip() for part in text.strip().partition("\n"))
    if len(line) > LONGEST:
        raise GrammarError(f"a network string has at most {LONGEST} characters, this one has {len(line)}")
    if below and below.split()[0] != "layer":
        raise _fail("a network is written on one line, and another follows", line, len(line))
    stages = _stages(line)
    if len(stages) < 2:
        raise _fail("a network has an input and at least one layer, such as 784/100/10", line, 0)
    input_shape = _input(line, *stages[0], inputs)
    layers = [
        _stage(line, *stage, outputs=outputs if k == len(stages) - 2 else None) for k, stage in enumerate(stages[1:])
    ]
    return Spec(input_shape, tuple(layers))


def _stages(line: str) -> list[tuple[str, int]]:
    """The stages and where each starts; a "/" within brackets separates nothing."""
    stages, depth, start = [], 0, 0
    for k, c in enumerate(line + "/"):
        depth += (c == "(") - (c == ")")
        if c == "/" and (depth <= 0 or k == len(line)):
            stages.append((line[start:k], start))
            start = k + 1
    return stages


def _fail(complaint: str, line: str, position: int) -> GrammarError:
    return GrammarError(marked(complaint, line, position))


def _size(line: str, digits: str, position: int) -> int:
    if len(digits) > 10 or not 1 <= int(digits) <= MOST_UNITS:
        raise _fail(f"a size lies between 1 and {MOST_UNITS}", line, position)
    return int(digits)


def _input(line: str, text: str, start: int, inputs: Shape | None) -> Shape:
    position, stage = start + len(text) - len(text.lstrip()), text.strip().lower()
    if stage in ("*", "seq"):
        if inputs is None:
            raise _fail(f"{stage} takes its size from the data, and no data are given here", line, position)
        if stage == "seq" and inputs[0] is not None:
            raise _fail(f"seq is for sequences, and these data are rows of {shape_text(inputs)}", line, position)
        return inputs
    if found := re.fullmatch(r"seq\s*\(\s*([0-9]+)\s*\)", stage):
        return (None, _size(line, found[1], position))
    if re.fullmatch(r"[0-9]+(x[0-9]+){0,2}", stage):
        sizes = tuple(_size(line, n, position) for n in stage.split("x"))
        return (1, *sizes) if len(sizes) == 2 else sizes
    raise _fail("the input is a size such as 784, 28x28, 3x32x32, seq(65) or *", line, position)


def _stage(line: str, text: str, start: int, outputs: int | None) -> Layer:
    position, stage = start + len(text) - len(text.lstrip()), text.strip()
    head, colon, tail = stage.partition(":") if "(" not in stage.partition(":")[0] else (stage, "", "")
    if re.fullmatch(r"[0-9]+|\*", head.strip()):
        if head.strip() == "*" and outputs is None:
            raise _fail("* stands for the outputs, in the last stage, where data are given", line, position)
        units = outputs if head.strip() == "*" else _size(line, head.strip(), position)
        return Dense(units or 1, _activation(line, tail, position + len(head) + 1) if colon else None)
    if colon or not re.match("[A-Za-z]", stage):
        raise _fail("a stage is a size (100, 100:relu) or a layer such as dropout(0.5)", line, position)
    call = parse_call(text, whole=line, offset=start)
    return _marked(line, position, lambda: build("layer", LAYERS, call))


def _activation(line: str, text: str, position: int) -> Activation:
    call: Call = parse_call(text, whole=line, offset=position)
    return _marked(line, call.position, lambda: build("activation", ACTIVATIONS, call))


def _marked(line: str, position: int, make: Callable[[], T]) -> T:
    """`make()`, and where it refuses, the same error with the place in the text."""
    try:
        return make()
    except DeltaruleError as error:
        raise type(error)(marked(str(error), line, position)) from None


def spell(input_shape: Shape, layers: Sequence[Layer], defaults: Sequence[Activation]) -> str:
    """The text that gives `layers` back; `defaults` are the activations that their places would give them."""
    return "/".join([shape_text(input_shape), *map(_spell_stage, layers, defaults)])


def _spell_stage(layer: Layer, default: Activation) -> str:
    if getattr(layer, "activation", None) == default:
        layer = replace(layer, activation=None)  # type: ignore[call-arg]
    if type(layer) is Dense and layer == Dense(layer.units, layer.activation):
        return str(layer.units) if layer.activation is None else f"{layer.units}:{layer.activation}"
    return str(layer)
