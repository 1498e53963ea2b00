"""A network: an architecture, its θ, and the verbs a user calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from deltarule import engines, files, inputs, octave, scores
from deltarule.activations import Activation, Sigmoid, Softmax
from deltarule.architecture import Architecture
from deltarule.arrays import Shape
from deltarule.costs import Cost
from deltarule.data.preprocessing import Preprocessing
from deltarule.data.table import Table
from deltarule.data.text import Vocabulary
from deltarule.errors import DataError, FileFormatError, HyperparameterError, ShapeError, UnknownNameError
from deltarule.layers import Layer, flat_size
from deltarule.limits import number
from deltarule.randomness import draw_seed, generator

__all__ = ["Network", "Samples"]

Samples: TypeAlias = ArrayLike | Table | Mapping[str, Any]
"""What may stand for X: an array, and for a network with preprocessing a table of columns (a DataFrame too)."""


AT_A_TIME = 1 << 22  # numbers that are copied out of others to be evaluated
LANES = 32  # sequences, at least, that are evaluated together: two threads have sixteen each


class Network(Architecture):
    """A feed-forward network with its parameters θ.

    z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾, a⁽ˡ⁾ = f(z⁽ˡ⁾) for dense layers; other layers say theirs.

    Args:
        spec: the grammar's text ("784/100/10"), or layers in order; a network among them stands for its layers and
            brings its weights (a model built before, as pre-processing).
        activation: of hidden layers that name none; relu unless said.
        output: of the last layer if it names none; softmax, or sigmoid for one unit.
        cost: the canonical cost of the output unless said.
        input_shape: the shape of one sample, for a network built from layers.
        dtype: "float32" or "float64".
        seed: of the initial weights; None draws one, and `seed` keeps it.
        multilabel: whether several sigmoid outputs are separate yes/no answers instead of classes.
        time: how the steps of a sequence weigh in the cost, "mean" (unless said) or "sum" (see `Architecture`).
        vocabulary: of a network over text: its characters in order; then X may be a text. Both are those of the network
            that begins the layers, unless said.

    >>> net = Network("784/100/10", activation="sigmoid")
    >>> net.size
    79510
    >>> net.parameters()["1.W"].shape
    (100, 784)
    """

    def __init__(
        self,
        spec: str | Sequence[Layer | Network],
        *,
        activation: Activation | str | None = None,
        output: Activation | str | None = None,
        cost: Cost | str | None = None,
        input_shape: Shape | int | None = None,
        dtype: DTypeLike = "float32",
        seed: int | None = 0,
        multilabel: bool = False,
        preprocessing: Preprocessing | None = None,
        time: str | None = None,
        vocabulary: Vocabulary | str | None = None,
    ) -> None:
        built_before: dict[int, Network] = {}  # the stages before it → a network among the layers
        if not isinstance(spec, str):
            spec, built_before, input_shape = _flatten(spec, input_shape)
        if (first := built_before.get(0)) is not None:
            time, vocabulary = time or first.time, vocabulary or first.vocabulary
        super().__init__(
            spec, activation=activation, output=output, cost=cost, input_shape=input_shape, time=time or "mean"
        )
        self._furnish(dtype, seed, multilabel, preprocessing, vocabulary)
        self._theta = self._initial()
        for stage, before in built_before.items():
            for slot, old in zip((s for s in self.slots if s.stage > stage), before.slots):
                if slot.shape != old.shape:
                    raise ShapeError(f"stage {slot.stage} takes {slot.shape}, the network built before has {old.shape}")
                self._theta[slot.start : slot.stop] = before.theta[old.start : old.stop]

    def _furnish(
        self, dtype: DTypeLike, seed: int | None, multilabel: bool, preprocessing: Preprocessing | None,
        vocabulary: Vocabulary | str | None = None,
    ) -> None:  # fmt: skip
        """All that a network has beside its architecture and θ."""
        self.dtype = _dtype(dtype)
        if multilabel and not (isinstance(self.output.activation, Sigmoid) and self.n_outputs > 1):
            raise HyperparameterError("multilabel=True needs two or more sigmoid outputs")
        self.multilabel = multilabel
        if preprocessing is not None:
            if not isinstance(preprocessing, Preprocessing):
                raise HyperparameterError(f"preprocessing is a Preprocessing, not {preprocessing!r}")
            _check_fit(self, preprocessing)
        self.preprocessing = preprocessing
        self.vocabulary = vocabulary
        self.seed = draw_seed(seed)

    @classmethod
    def stored(
        cls, architecture: Architecture, theta: Mapping[str, NDArray[Any]], *, dtype: str, seed: int,
        multilabel: bool, preprocessing: Preprocessing | None, vocabulary: str | None = None,
    ) -> Network:  # fmt: skip
        """A network with the parameters of a model file, drawing none."""
        made = cls.__new__(cls)
        made.__dict__.update(architecture.__dict__)
        made._furnish(dtype, seed, multilabel, preprocessing, vocabulary)
        made._theta = np.empty(made.size, made.dtype)
        for key, view in made.parameters().items():
            view[...] = theta[key]
        return made

    def _initial(self) -> NDArray[Any]:
        """θ as the initialisers draw it."""
        large = f"{self.spec}: the initial weights are beyond {self.dtype}; draw smaller ones"
        try:
            if self.size * self.dtype.itemsize > sys.maxsize:
                raise MemoryError
            theta = np.zeros(self.size, self.dtype)
            for stage, (layer, shape, p) in enumerate(zip(self.layers, self.shapes, self.split(theta)), 1):
                for name, values in layer.initial(shape, generator(self.seed, "init", stage)).items():
                    with np.errstate(over="ignore"):
                        p[name][...] = values
        except MemoryError:
            gib = f"{self.size * self.dtype.itemsize / 2**30:,.0f} GiB"
            raise HyperparameterError(
                f"{self.size:,} parameters of {self.dtype} take {gib}, more than there is"
            ) from None
        except OverflowError:
            raise HyperparameterError(large) from None
        if not np.isfinite(theta).all():
            raise HyperparameterError(large)
        return theta

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The characters of a network over text; set it by them, or by their text in order."""
        return self._vocabulary

    @vocabulary.setter
    def vocabulary(self, characters: Vocabulary | str | None) -> None:
        found = Vocabulary(characters) if isinstance(characters, str) else characters
        if not isinstance(found, Vocabulary | None):
            raise HyperparameterError(f"a vocabulary is its characters, one text, not {characters!r:.60}")
        if found is not None and self.input_shape != (None, len(found)):
            raise ShapeError(f"a vocabulary of {len(found)} goes with seq({len(found)}), not {self.spec}")
        self._vocabulary = found

    # θ

    @property
    def theta(self) -> NDArray[Any]:
        """All parameters in one flat vector; writing into it sets the weights."""
        return self._theta

    @theta.setter
    def theta(self, values: ArrayLike) -> None:
        self.roll(values)

    def parameters(self) -> dict[str, NDArray[Any]]:
        """Every parameter as a view of θ: {"1.W": …, "1.b": …}; keys count every stage from 1."""
        return {s.key: self._theta[s.start : s.stop].reshape(s.shape) for s in self.slots}

    def unroll(self, form: str = "theta") -> NDArray[Any]:
        """A copy of θ as one vector; `form="octave"` gives [Theta1(:); Theta2(:); …] (see octave.py)."""
        return octave.unroll(self, self._theta) if _is_octave(form) else self._theta.copy()

    def roll(self, vector: ArrayLike, form: str = "theta") -> Network:
        """Set θ from one vector, the inverse of `unroll`; returns the network.

        >>> net = Network("2/1")
        >>> net.roll([1.0, 2.0, 3.0], form="octave").parameters()["1.W"]
        array([[2., 3.]], dtype=float32)
        """
        given = inputs.numbers(vector, "the vector")
        if given.shape != (self.size,) and given.shape != (self.size, 1):
            raise ShapeError(f"θ has {self.size} entries, the vector has the shape {given.shape}")
        values = inputs.converted(given.reshape(-1), "the vector", self.dtype)
        self._theta[...] = octave.roll(self, values) if _is_octave(form) else values
        return self

    # Parts and copies

    def __getitem__(self, stages: slice) -> Network:
        """`net[:k]`, a network of the first k stages that shares their weights."""
        if not isinstance(stages, slice) or stages.start not in (None, 0) or stages.step not in (None, 1):
            raise HyperparameterError("a part of a network starts at its input: net[:k]; its layers are net.layers")
        stop = len(self.layers) if stages.stop is None else stages.stop
        layers = self.layers[:stop] if isinstance(stop, int) else ()
        if not layers:
            raise HyperparameterError(f"net[:k] takes 1 ≤ k ≤ {len(self.layers)}")
        if len(layers) == len(self.layers):
            return self._with(layers, self.output.cost, self._theta)
        return self._with(layers, None, self._theta)

    __iter__ = None  # or `for … in net` would try net[0]

    def frozen(self) -> Network:
        """The same network with every layer frozen; it shares the weights."""
        return self._with([replace(layer, trainable=False) for layer in self.layers], self.output.cost, self._theta)

    def copy(self) -> Network:
        """A network with weights of its own."""
        return self._with(self.layers, self.output.cost, self._theta.copy())

    def astype(self, dtype: DTypeLike) -> Network:
        """The same network in another precision, with weights of its own."""
        made = self._with(self.layers, self.output.cost, self._theta.astype(_dtype(dtype)))
        made.dtype = _dtype(dtype)
        return made

    def _with(self, layers: Sequence[Layer], cost: Cost | None, theta: NDArray[Any]) -> Network:
        """A network of these layers that stands on θ (its beginning, where the layers are fewer)."""
        made = Network.__new__(Network)
        Architecture.__init__(made, layers, input_shape=self.input_shape, cost=cost, time=self.time)
        complete = len(layers) == len(self.layers)
        made.dtype, made.seed, made.multilabel = self.dtype, self.seed, self.multilabel and complete
        made.preprocessing, made._vocabulary = self.preprocessing, self._vocabulary
        if made.preprocessing is not None and not complete:  # what a part answers is no class and has no unit
            zeros = np.zeros(made.n_outputs)
            made.preprocessing = replace(
                made.preprocessing, task="regression", classes=None, target_mean=zeros, target_scale=zeros + 1
            )
        made._theta = theta[: made.size]
        return made

    # Data in

    def _rows(
        self, X: Samples, dtype: DTypeLike | None = None, lengths: ArrayLike | None = None, mask: Any = None
    ) -> tuple[NDArray[Any], bool]:
        """(X as a batch in the form that engines take, or of the dtype given; whether it was one sample)."""
        if isinstance(X, str):
            X = self.encode(X)
        if dtype is None and self.preprocessing is None:
            ready = inputs.ready_rows(self, X, self.dtype)
            if ready is not None:
                return ready, ready is not X
        raw = inputs.numbers(X if self.preprocessing is None else self.preprocessing.inputs(X), "X")
        if lengths is not None or mask is not None:
            raw = inputs.without_padding(self, raw, lengths, mask)
        rows = inputs.sample_rows(self, raw, self.dtype if dtype is None else dtype, as_it_is=dtype is None)
        return rows, inputs.is_one_sample(self, raw)

    def prepare(
        self,
        X: Samples,
        t: ArrayLike,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
        dtype: DTypeLike | None = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """(X, t, weights) checked and in the form that engines take; `preprocessing` is applied where there is one.

        With a dtype all are of that type; without one X stays uint8, float32 or float64 if it is. Weights are `(m,)`,
        or `(m, T)` where lengths, a mask or the weights given tell the steps of sequences apart.
        """
        rows, one = self._rows(X, dtype, lengths, mask)
        t = self.encode(t) if isinstance(t, str) else t
        dtype = self.dtype if dtype is None else dtype
        steps = rows.shape[1] if self.input_shape[0] is None else None
        w = inputs.sample_weights(sample_weight, len(rows), dtype, steps=steps)
        w = inputs.step_weights(self, rows, w, lengths, mask, dtype)
        alone = one and np.ndim(t) < 2 and np.shape(t) != (1,)  # the target of one sample, a label or a row
        raw = t if self.preprocessing is None else self.preprocessing.targets([t] if alone else t)
        targets = inputs.target_rows(self, raw, rows, dtype, multilabel=self.multilabel, weights=w)
        return rows, targets, self.weigh(targets, w, class_weight, dtype)

    def weigh(
        self, targets: NDArray[Any], weights: NDArray[Any] | None, class_weight: Any, dtype: DTypeLike | None = None
    ) -> NDArray[Any] | None:
        """The weights of rows whose prepared targets are given: their own, prepared, times those of their classes."""
        dtype = self.dtype if dtype is None else dtype
        if isinstance(class_weight, Mapping) and self.preprocessing is not None and class_weight:  # it names labels
            indices = self.preprocessing.targets(list(class_weight)).tolist()
            class_weight = dict(zip(indices, class_weight.values()))
        by_class = inputs.class_weights(self, targets, class_weight, dtype)
        if weights is None or by_class is None:
            return by_class if weights is None else weights
        return inputs.times_class_weights(weights, by_class, dtype)

    def encode(self, text: str) -> NDArray[np.unsignedinteger]:
        """The tokens of a text, by the network's vocabulary."""
        if self.vocabulary is None:
            raise DataError(f"{self.spec} has no vocabulary, and takes no text; Network(…, vocabulary=…) gives it one")
        return self.vocabulary.encode(text)

    # Forward

    def forward(
        self,
        X: Samples,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        state: ArrayLike | None = None,
        return_state: bool = False,
    ) -> Any:
        """ŷ = a⁽ᴸ⁾ for a batch `(m, …)` → `(m, K)`, or for one sample → `(K,)`; maps stay maps. Dropout is off.

        Args:
            lengths, mask: of sequences, `(m,)` or `(m, T)`: which steps there are; at the others the state stays.
            state: of a recurrent network, `(m, n_state)`: where it stands before the first step.
            return_state: give (ŷ, state behind the last step), for whoever goes on from there.
        """
        y, one, after = self._answers(X, lengths, mask, state)
        y = self._as_maps(y)
        y = y[0] if one else y
        return (y, self._after(after)) if return_state else y

    def _answers(
        self,
        X: Samples,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        state: ArrayLike | None = None,
    ) -> tuple[NDArray[Any], bool, NDArray[Any] | None]:
        """(ŷ as rows `(m, K)`, whether X was one sample, the state behind the last step)."""
        rows, one = self._rows(X, None, lengths, mask)
        if self.input_shape[0] is None:
            h = inputs.states(self, state, len(rows))
            _, y, after = self._steps(rows, inputs.steps_there(self, rows, lengths, mask), h)
            return y, one, after
        if any(given is not None for given in (lengths, mask, state)):
            raise ShapeError(f"lengths, mask and state are for sequences, and {self.spec} takes none")
        return self._outputs(rows)[1], one, None

    def _after(self, state: NDArray[Any] | None) -> NDArray[Any]:
        """The state, where there is a memory that has one."""
        if state is None or not self.n_state:
            raise HyperparameterError(f"{self.spec} has no recurrent layer, and so no state")
        return state

    def _as_maps(self, y: NDArray[Any]) -> NDArray[Any]:
        """Rows in the shape that the last layer gives."""
        return y if len(self.shapes[-1]) < 3 else y.reshape(len(y), *self.shapes[-1])

    def _outputs(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """(z⁽ᴸ⁾, ŷ) of every row."""
        both: tuple[NDArray[Any], NDArray[Any]] = engines.choose("auto", self).outputs(self, self._theta, rows)
        return both

    def _steps(
        self, rows: NDArray[Any], time: NDArray[np.bool_] | None, state: NDArray[Any] | None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """(z⁽ᴸ⁾, ŷ, the state behind the last step) of every sequence, or of all their steps."""
        found: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
        found = engines.choose("auto", self).outputs_of_sequences(self, self._theta, rows, time, state)
        return found

    @property
    def is_classifier(self) -> bool:
        """Whether `predict` answers with classes: softmax and sigmoid outputs do."""
        return isinstance(self.output.activation, Softmax | Sigmoid)

    def predict(self, X: Samples, *, lengths: ArrayLike | None = None, mask: ArrayLike | None = None) -> NDArray[Any]:
        """Classes `(m,)` of a classifier (argmax; ŷ ≥ ½ for one output), else the outputs `(m,)` or `(m, K)`.

        With `multilabel=True` one yes/no for each output, `(m, K)`. Of sequences that are answered at every step all
        have a T behind m; lengths and mask are as in `forward`.
        """
        y, one, _ = self._answers(X, lengths, mask)
        answers = self._decide(y)
        return answers[0] if one else answers

    def _decide(self, y: NDArray[Any]) -> NDArray[Any]:
        """What rows of outputs mean."""
        if not self.is_classifier:
            y = y[..., 0] if self.n_outputs == 1 else self._as_maps(y)
            return y if self.preprocessing is None else self.preprocessing.predictions(y)
        if self.multilabel:
            return (y >= 0.5).astype(np.int64)
        labels = (y[..., 0] >= 0.5).astype(np.int64) if self.n_outputs == 1 else y.argmax(axis=-1)
        pre = self.preprocessing
        return labels if pre is None or pre.classes is None else pre.labels(labels)

    def predict_proba(
        self, X: Samples, *, lengths: ArrayLike | None = None, mask: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Class probabilities `(m, K)`; for one sigmoid output `(m, 2)`, of class 0 and class 1."""
        if not self.is_classifier:
            raise HyperparameterError(
                f"output '{self.output.activation}' gives no probabilities; use predict or forward"
            )
        y, one, _ = self._answers(X, lengths, mask)
        y = np.concatenate([1 - y, y], axis=-1) if self.n_outputs == 1 else y
        return y[0] if one else y

    def evaluate(
        self,
        X: Samples,
        t: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> dict[str, float]:
        """The mean cost (without decay) and the accuracy, or for regression rmse and R², over rows or their steps."""
        return self.evaluate_rows(*self.prepare(X, t, sample_weight, lengths=lengths, mask=mask))

    @np.errstate(over="ignore", invalid="ignore")  # scores of a network that left the finite numbers say so themselves
    def evaluate_rows(
        self, rows: NDArray[Any], targets: NDArray[Any], w: NDArray[Any] | None, which: NDArray[np.int64] | None = None
    ) -> dict[str, float]:
        """`evaluate` for what `prepare` returned, or only some of its rows, a few at a time."""
        every_output = self.multilabel or self.n_outputs == 1
        tally = scores.Tally(self, every_output, self.preprocessing.predictions if self.preprocessing else np.asarray)
        for z, y, part in self._parts(rows, None if w is None or w.ndim == 1 else w >= 0, which):
            own = None if w is None else w[part[: w.ndim]]
            if own is not None and own.shape != y.shape[:-1]:  # a weight a sequence, or of steps that one answer ends
                own = own.max(axis=1) if own.ndim == y.ndim else np.repeat(own, y.shape[1])
            tally.add(z, y, targets[part[: y.ndim - 1]], own)
        if self.time == "mean" or self.shapes[-1][0] is not None:
            return tally.scores()
        weights = np.ones(len(rows)) if w is None else np.maximum(w.max(axis=1) if w.ndim == 2 else w, 0)
        return tally.scores(sequences=float((weights if which is None else weights[which]).sum()))

    def _parts(
        self, rows: NDArray[Any], time: NDArray[np.bool_] | None, which: NDArray[np.int64] | None
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any], tuple[Any, ...]]]:
        """(z⁽ᴸ⁾, ŷ, where they belong): some rows at a time where others are left out, long sequences in stretches."""
        if self.input_shape[0] is not None and which is None:
            yield *self._outputs(rows), (slice(None),)
            return
        which = np.arange(len(rows)) if which is None else which
        of_steps, T = self.shapes[-1][0] is None, rows.shape[1] if self.input_shape[0] is None else 1
        size = T * self.n_outputs if of_steps else flat_size(rows.shape[1:])
        n = max(LANES if of_steps else 1, AT_A_TIME // size)
        stretch = max(1, AT_A_TIME // (n * self.n_outputs)) if of_steps else T
        for part in (which[k : k + n] for k in range(0, len(which), n)):
            if self.input_shape[0] is not None:
                yield *self._outputs(rows[part]), (part,)
                continue
            state = None
            for steps in (slice(k, k + stretch) for k in range(0, T, stretch)):
                counts = None if time is None else time[part, steps]
                z, y, state = self._steps(np.ascontiguousarray(rows[part, steps]), counts, state)
                yield z, y, (part, steps)

    # Gradients

    def cost_and_gradient(
        self,
        X: Samples,
        t: ArrayLike,
        *,
        weight_decay: float = 0.0,
        sample_weight: ArrayLike | None = None,
        theta: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        state: ArrayLike | None = None,
        return_state: bool = False,
    ) -> Any:
        """C and ∂C/∂θ, flat like θ and in its dtype, with dropout off; C = Σ wᵢ C⁽ⁱ⁾ / Σ wᵢ + (λ/2) Σ W².

        Args:
            X, t: a batch and its targets.
            weight_decay: λ.
            sample_weight: w `(m,)`, or of the steps of sequences `(m, T)`.
            theta: another θ than the network's own.
            lengths, mask, state: of sequences, as in `forward`; no gradient passes through an incoming state.
            return_state: give (C, ∂C/∂θ, state behind the last step).

        >>> C, grad = Network("2/2", dtype="float64").cost_and_gradient([[0.0, 0.0]], [1])
        >>> round(C, 6), grad[-2:]
        (0.693147, array([ 0.5, -0.5]))
        """
        given: dict[str, Any] = {"lengths": lengths, "mask": mask, "state": state}
        J = self.cost_function(X, t, weight_decay=weight_decay, sample_weight=sample_weight, **given)
        C, g = J(self._theta if theta is None else theta)
        g = g.astype(self.dtype, copy=False)
        if not return_state:
            return C, g
        other = self if theta is None else self._with(self.layers, self.output.cost, inputs.vector(self, theta))
        return C, g, other.forward(X, **given, return_state=True)[1]

    def cost_function(
        self,
        X: Samples,
        t: ArrayLike,
        *,
        weight_decay: float = 0.0,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        state: ArrayLike | None = None,
    ) -> Callable[[ArrayLike], tuple[float, NDArray[Any]]]:
        """J: θ → (C, ∂C/∂θ) over fixed data, for any minimiser: `scipy.optimize.minimize(J, net.theta, jac=True)`.

        It computes in the network's dtype and returns float64.
        """
        rows, targets, w = self.prepare(X, t, sample_weight, class_weight, lengths=lengths, mask=mask)
        weight_decay = number("weight_decay", weight_decay, least=0)
        engine, h = engines.choose("auto", self), inputs.states(self, state, len(rows))
        given = {} if h is None else {"state": h}

        def J(at: ArrayLike) -> tuple[float, NDArray[Any]]:
            theta = inputs.vector(self, at)
            with np.errstate(all="ignore"):
                C, g = engine.cost_and_gradient(
                    self, theta, rows, targets, weight_decay=weight_decay, sample_weight=w, **given
                )
            return float(C), g.astype(np.float64)

        return J

    # Text and files

    def __repr__(self) -> str:
        return f"Network('{self.spec}', cost='{self.output.cost}', dtype='{self.dtype}')"

    def save(self, path: str | Path) -> None:
        """Write the network, with its preprocessing, as a safetensors file; see `load`."""
        if not np.isfinite(self._theta).all():
            where = int(np.argmin(np.isfinite(self._theta)))
            raise DataError(f"{self.name_of(where)} is {self._theta[where]}; a model file holds finite weights only")
        extra = {} if self.preprocessing is None else self.preprocessing.arrays()
        content = self.content()
        files.write(path, self.parameters() | {f"preprocessing.{k}": a for k, a in extra.items()}, content)

    def content(self) -> dict[str, Any]:
        """What a model file says beside its arrays; a FileFormatError where none could give this network back."""
        from importlib.metadata import version

        try:
            again = Architecture(self.spec, cost=str(self.output.cost), time=self.time)
        except UnknownNameError as error:
            raise FileFormatError(f"a model file names only what deltarule has: {error}") from None
        if (again.layers, again.output) != (self.layers, self.output):
            raise FileFormatError(f"a model file would not give {self.spec} back: it names only what deltarule has")
        return {
            "version": version("deltarule"),
            "network": self.spec,
            "cost": str(self.output.cost),
            "dtype": str(self.dtype),
            "multilabel": self.multilabel,
            "seed": self.seed,
            "preprocessing": None if self.preprocessing is None else self.preprocessing.to_json(),
            **({"time": self.time} if self.time != "mean" else {}),
            **({} if self.vocabulary is None else {"vocabulary": self.vocabulary.characters}),
        }


def _is_octave(form: str) -> bool:
    if form not in ("theta", "octave"):
        raise HyperparameterError(f"form is 'theta' or 'octave', not {form!r}")
    return form == "octave"


def _dtype(dtype: DTypeLike) -> np.dtype[Any]:
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", getattr(dtype, "__name__", ""))
    if dtype is not float and name not in ("float32", "float64"):
        raise HyperparameterError(f"dtype is 'float32' or 'float64', not {dtype!r}")
    return np.dtype("float64" if dtype is float else name)


def _check_fit(net: Network, pre: Preprocessing) -> None:
    """The network reads what the preprocessing gives, and answers what it takes back."""
    inputs_fit = pre.n_inputs == flat_size(net.input_shape) and net.input_shape[0] is not None
    binary = pre.classes is not None and pre.n_outputs == 2 and net.n_outputs == 1
    if not inputs_fit or not (pre.n_outputs == net.n_outputs or binary):
        raise ShapeError(
            f"the preprocessing gives {pre.n_inputs} inputs and takes {pre.n_outputs} outputs, the network {net.spec} "
            f"has {flat_size(net.input_shape)} and {net.n_outputs}"
        )


def _flatten(
    parts: Sequence[Layer | Network], input_shape: Shape | int | None
) -> tuple[list[Layer], dict[int, Network], Shape | int | None]:
    """Layers with every network among them spelled out: (layers, {stages before it: network}, input shape)."""
    if not isinstance(parts, Sequence):
        raise HyperparameterError(
            f"a network is made of a text such as '784/100/10' or a list of layers, not {parts!r}"
        )
    layers: list[Layer] = []
    networks: dict[int, Network] = {}
    for part in parts:
        if isinstance(part, Network):
            if not layers and input_shape not in (
                None,
                part.input_shape,
                *part.input_shape[: len(part.input_shape) == 1],
            ):
                raise ShapeError(f"input_shape is {input_shape}, the network that begins takes {part.input_shape}")
            if not layers:
                input_shape = part.input_shape
            if part.preprocessing is not None:
                raise HyperparameterError(
                    f"the network {part.spec} among the layers has preprocessing for targets of its own; set its "
                    "preprocessing to None, and give X as preprocessing.inputs(X) makes it"
                )
            networks[len(layers)] = part
            layers += part.layers
        else:
            layers.append(part)
    return layers, networks, input_shape
