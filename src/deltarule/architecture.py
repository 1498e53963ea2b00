"""The architecture of a network: its layers, the shapes between them, and where each parameter lies in θ.

θ is one flat vector: layer by layer, within a layer in the order of `parameter_shapes` (W first), each array row-major.
Everything here is fixed once built; the values of θ belong to whoever asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import grammar
from deltarule.activations import Activation, Sigmoid, Softmax, activation
from deltarule.arrays import Array, Shape, namespace
from deltarule.costs import BinaryCrossEntropy, Cost, CrossEntropy, Poisson, SquaredError
from deltarule.costs import cost as resolve_cost
from deltarule.errors import DeltaruleError, HyperparameterError, ShapeError
from deltarule.layers import Dense, Gradients, Layer, Parameters, shape_text
from deltarule.layers.base import MOST_UNITS
from deltarule.outputs import Output, canonical_cost, output

__all__ = ["Architecture", "Slot"]


class Slot(NamedTuple):
    """Where one parameter array lies in θ: θ[start:stop] reshaped; stages count from 1."""

    stage: int
    name: str
    start: int
    stop: int
    shape: tuple[int, ...]

    @property
    def key(self) -> str:
        """Its name among all parameters, such as "1.W"."""
        return f"{self.stage}.{self.name}"


class Architecture:
    """Layers that fit each other, with the output's activation and cost.

    Args:
        spec: the grammar's text, or the layers in order.
        input_shape: the shape of one sample; a text carries its own.
        activation: of hidden layers that name none; relu unless said.
        output: the last layer's activation if it names none; softmax, or sigmoid for one unit.
        cost: the output's canonical cost unless said.
        time: how a sequence's steps weigh: "mean", Σ w_it C_it / Σ w_it, or "sum", Σ w_it C_it / Σ wᵢ.
    """

    def __init__(
        self,
        spec: str | Sequence[Layer],
        *,
        input_shape: Shape | int | None = None,
        activation: Activation | str | None = None,
        output: Activation | str | None = None,
        cost: Cost | str | None = None,
        time: str = "mean",
    ) -> None:
        if time not in ("mean", "sum"):
            raise HyperparameterError(f"time is 'mean' or 'sum', not {time!r}")
        self.time = time
        if isinstance(spec, str):
            parsed = grammar.parse(spec)
            if input_shape is not None and _shape(input_shape) != parsed.input_shape:
                raise ShapeError(
                    f"the text has inputs {shape_text(parsed.input_shape)}, input_shape says {input_shape}"
                )
            self.input_shape, layers = parsed
        else:
            layers = tuple(spec)
            if input_shape is None:
                raise ShapeError(
                    "a network built from layers needs input_shape=, the shape of one sample, such as (784,)"
                )
            self.input_shape = _shape(input_shape)
        for k, layer in enumerate(layers, 1):
            if not isinstance(layer, Layer):
                raise HyperparameterError(f"stage {k} is {layer!r}, not a layer such as Dense(100, 'relu')")
        if not layers:
            raise HyperparameterError("a network has at least one layer")
        defaults = _default_activations(layers, activation, output)
        self.layers = tuple(layer.resolved(default) for layer, default in zip(layers, defaults))
        if output is not None and self.layers[-1].f != defaults[-1]:
            raise HyperparameterError(
                f"output is '{defaults[-1]}', but the last layer, {self.layers[-1]}, answers by '{self.layers[-1].f}'; "
                "say it once"
            )
        self.shapes = self._fit()
        self.output = _output(self.layers[-1], self.shapes[-1], cost)
        self.n_state = sum(layer.state_size for layer in self.layers)
        self.spec = grammar.spell(self.input_shape, self.layers, _default_activations(self.layers, None, None))

    def _fit(self) -> tuple[Shape, ...]:
        """The shapes of a⁽⁰⁾ … a⁽ᴸ⁾."""
        shapes = [self.input_shape]
        for k, layer in enumerate(self.layers, 1):
            if k < len(self.layers) and isinstance(layer.f, Softmax):
                raise HyperparameterError(f"layer {k} ({layer}): softmax belongs in the last layer")
            try:
                shapes.append(layer.output_shape(shapes[-1]))
            except DeltaruleError as error:
                raise type(error)(f"layer {k} ({layer}): {error}") from None
        return tuple(shapes)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Where every parameter array lies in θ."""
        slots, at = [], 0
        for stage, (layer, shape) in enumerate(zip(self.layers, self.shapes), 1):
            for name, size in layer.parameter_shapes(shape).items():
                slots.append(Slot(stage, name, at, at + math.prod(size), size))
                at = slots[-1].stop
        return tuple(slots)

    @property
    def size(self) -> int:
        """The number of parameters: the length of θ."""
        return self.slots[-1].stop if self.slots else 0

    @cached_property
    def n_outputs(self) -> int:
        """K, the number of outputs of one sample (or of one time step)."""
        return math.prod(n for n in self.shapes[-1] if n is not None)

    def __str__(self) -> str:
        """The grammar's text, and below it a table: layer, output shape, parameters, total."""
        rows = [("", "layer", "output", "parameters"), ("0", "input", shape_text(self.input_shape), "")]
        for stage, (layer, shape) in enumerate(zip(self.layers, self.shapes[1:]), 1):
            count = sum(s.stop - s.start for s in self.slots if s.stage == stage)
            note = "" if layer.trainable else " (frozen)"
            rows.append((str(stage), str(layer), shape_text(shape), f"{count:,}{note}" if count else "–"))
        rows.append(("", f"cost: {self.output.cost}", "total", f"{self.size:,}"))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([self.spec, *lines])

    def split(self, theta: Array) -> list[Parameters]:
        """θ as the parameters of each layer, in θ's own array library (views, where it has them)."""
        xp = namespace(theta)
        parts: list[Parameters] = [{} for _ in self.layers]
        for s in self.slots:
            parts[s.stage - 1][s.name] = xp.reshape(theta[s.start : s.stop], s.shape)
        return parts

    def join(self, parts: Sequence[Gradients], like: Array) -> Array:
        """The inverse of `split`: one flat vector with the device and library of `like`."""
        xp = namespace(like)
        flat = [xp.reshape(parts[s.stage - 1][s.name], (-1,)) for s in self.slots]
        return xp.concat(flat) if flat else xp.zeros_like(like)

    def split_state(self, state: Array | None) -> list[Array | None]:
        """The state `(m, n_state)` of all sequences as that of each layer; None where there is none."""
        parts: list[Array | None] = [None] * len(self.layers)
        at = 0
        for k, layer in enumerate(self.layers):
            if state is not None and layer.state_size:
                parts[k] = state[:, at : at + layer.state_size]
            at += layer.state_size
        return parts

    @cached_property
    def decayed(self) -> NDArray[np.bool_]:
        """Which entries of θ weight decay reaches: W, not b."""
        return self._mark(lambda slot, layer: slot.name in layer.decays)

    @cached_property
    def trainable(self) -> NDArray[np.bool_]:
        """Which entries of θ training may change."""
        return self._mark(lambda _, layer: layer.trainable)

    def _mark(self, wanted: Any) -> NDArray[np.bool_]:
        marks = np.zeros(self.size, dtype=bool)
        for s in self.slots:
            marks[s.start : s.stop] = wanted(s, self.layers[s.stage - 1])
        return marks

    def check_trainable(self) -> None:
        """Refuse a network that has nothing to train."""
        if not self.trainable.any():
            raise HyperparameterError(f"{self.spec} has nothing to train: no parameters, or every layer is frozen")

    def name_of(self, index: int) -> str:
        """The name of one entry of θ, such as "1.W[3, 17]"."""
        slot = next(s for s in self.slots if s.start <= index < s.stop)
        place = np.unravel_index(index - slot.start, slot.shape)
        return f"{slot.key}[{', '.join(map(str, place))}]"


def _shape(value: Shape | int) -> Shape:
    shape = tuple(value) if isinstance(value, Iterable) else (value,)
    time = shape[:1] if shape and shape[0] is None else ()
    sizes = shape[len(time) :]
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) and 1 <= n <= MOST_UNITS for n in sizes)
    if not whole or len(sizes) not in ((1,) if time else (1, 2, 3)):
        raise ShapeError(
            f"an input shape is (n,), (height, width), (channels, height, width) or (None, n), not {value!r}"
        )
    one_channel = (1,) if len(sizes) == 2 else ()  # 28x28 alone has one channel
    return (*time, *one_channel, *(int(n) for n in sizes if n))


def _default_activations(
    layers: Sequence[Layer], hidden: Activation | str | None, last: Activation | str | None
) -> list[Activation]:
    """The activation that each place gives to a layer which names none.

    relu (tanh in recurrent layers), and softmax or sigmoid at the end, unless the end is recurrent.
    """
    *below, top = layers
    one_unit = isinstance(top, Dense) and top.units == 1
    end = top.usual if top.state_size else Sigmoid() if one_unit else Softmax()
    found = [layer.usual if hidden is None else activation(hidden) for layer in below]
    return [*found, end if last is None else activation(last)]


def _output(last: Layer, shape: Shape, cost: Cost | str | None) -> Output:
    if isinstance(last.f, Softmax) and shape[-1] == 1:
        raise HyperparameterError("softmax of one unit is always 1; use sigmoid for one unit, or two units")
    if last.state_size:  # δ⁽ᴸ⁾ comes back through time, and not from the logits of one step
        chosen = SquaredError() if cost is None else resolve_cost(cost)
        if type(chosen) in (BinaryCrossEntropy, CrossEntropy, Poisson):
            raise HyperparameterError(f"cost '{chosen.name}' takes an output layer above the {last}; add a dense layer")
        return output(last.f, chosen)
    return output(last.f, canonical_cost(last.f) if cost is None else resolve_cost(cost))
