"""The textbook engine: backpropagation as the equations say it, in any array library.

    forward     a⁽⁰⁾ = x;  z⁽ˡ⁾, a⁽ˡ⁾ = layer l of a⁽ˡ⁻¹⁾
    output      C = Σᵢ wᵢ C⁽ⁱ⁾ / Σᵢ wᵢ + (λ/2) Σ W²,  δ⁽ᴸ⁾ = wᵢ ∂C⁽ⁱ⁾/∂z⁽ᴸ⁾, one row a sample, not averaged
    backward    for l = L … 1:  ∂C/∂a⁽ˡ⁻¹⁾, ∂C/∂p⁽ˡ⁾ from δ⁽ˡ⁾;  δ⁽ˡ⁻¹⁾ = f′(z⁽ˡ⁻¹⁾) ⊙ ∂C/∂a⁽ˡ⁻¹⁾

Every function is pure in θ and returns θ's array type. It follows the array API standard, so that the same lines run on
NumPy, PyTorch, CuPy and under `jax.jit`, in float32, float64 and, for the complex step, complex128. It is the oracle
against which every other engine is held: complete, and slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.architecture import Architecture
from deltarule.arrays import Array, namespace, real_part
from deltarule.engines.contract import Outcome, Settings, Slice
from deltarule.layers import Context, Dropout, Gradients, flat_size
from deltarule.optimizers import Optimizer, State
from deltarule.randomness import dropout_mask

__all__ = [
    "Evaluation", "Masks", "Pass", "backpropagate", "clip", "cost_and_gradient", "dropout_masks", "evaluate", "forward",
    "generate", "objection", "outgoing_state", "outputs", "outputs_of_sequences", "steps_of", "train",
]  # fmt: skip

NUMBERS_AT_ONCE = 2**22  # of the largest layer, where the outputs of a whole data set are wanted

Masks = Mapping[int, Array]
"""For each dropout stage (counted from 1) its mask over the batch, already scaled by 1/(1 − rate)."""


class Pass(NamedTuple):
    """One pass forward and back: everything backpropagation computes, per layer."""

    cost: Array  # C, with decay
    costs: Array  # C⁽ⁱ⁾ of every sample, or of its steps
    t: Array  # targets as rows like ŷ
    caches: list[Any]  # z⁽ˡ⁾, a⁽ˡ⁾ of layer l at index l − 1
    deltas: list[Array]  # δ⁽ˡ⁾, (m, …), per sample, not averaged
    gradients: list[Gradients]  # ∂C/∂p⁽ˡ⁾, averaged, with decay
    input_gradient: Array | None  # ∂C/∂x, (m, …), averaged as C is; None where the way back ends with δ⁽¹⁾
    das: list[Array | None]  # ∂C/∂a⁽ˡ⁾ at index l, as δ; the last is None where δ⁽ᴸ⁾ comes from the logits


class Evaluation(NamedTuple):
    """A pass forward, its cost, and what the way back starts from."""

    cost: Array  # C, with decay
    costs: Array  # C⁽ⁱ⁾
    caches: list[Any]
    t: Array  # targets as rows like ŷ
    w: Array  # wᵢ
    total: Array  # Σ wᵢ


def objection(net: Architecture | None = None, optimizer: Optimizer | None = None) -> str:
    """Why this network, or this optimiser, cannot run here: it always can."""
    return ""


def forward(
    net: Architecture,
    theta: Array,
    X: Array,
    masks: Masks | None = None,
    *,
    time: Array | None = None,
    state: Array | None = None,
) -> list[Any]:
    """The caches of all layers; the network's output ŷ is `forward(…)[-1].a`.

    Of sequences, `time` `(m, T)` says which steps count, `state` `(m, n_state)` is that before the first.
    """
    a, caches = _inputs(net, theta, X), []
    states = net.split_state(None if state is None else _like(theta, state))
    time = None if time is None else namespace(theta).asarray(time)
    for stage, (layer, p) in enumerate(zip(net.layers, net.split(theta)), 1):
        mask = None if masks is None else masks.get(stage)
        if mask is not None:
            mask = namespace(a).reshape(_like(theta, mask), a.shape)
        caches.append(layer.forward(p, a, Context(mask, time, states[stage - 1])))
        a = caches[-1].a
    return caches


@np.errstate(over="ignore", invalid="ignore")  # an exp output may reach inf; it is returned as it is
def outputs(net: Architecture, theta: NDArray[Any], X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(z⁽ᴸ⁾, ŷ) of every row of X, `(m, K)` each, a stretch of rows at a time."""
    n = max(1, NUMBERS_AT_ONCE // max(flat_size(shape) for shape in net.shapes))
    last = [_last(forward(net, theta, X[at : at + n])) for at in range(0, len(X), n)]
    z, y = (np.concatenate(part) for part in zip(*last))
    return z, y


@np.errstate(over="ignore", invalid="ignore")
def outputs_of_sequences(
    net: Architecture,
    theta: NDArray[Any],
    X: NDArray[Any],
    time: NDArray[np.bool_] | None = None,
    state: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(z⁽ᴸ⁾, ŷ, state) of every sequence; `time` says which steps count, `state` is that before the first."""
    n = max(1, NUMBERS_AT_ONCE // (X.shape[1] * max(flat_size(shape) for shape in net.shapes)))
    found = []
    for at in range(0, len(X), n):
        part = slice(at, at + n)
        caches = forward(
            net, theta, X[part], time=None if time is None else time[part], state=None if state is None else state[part]
        )
        found.append((*_last(caches), outgoing_state(net, caches)))
    z, y, state = (np.concatenate(part) for part in zip(*found))
    return z, y, state


def generate(
    net: Architecture,
    theta: NDArray[Any],
    prompt: NDArray[np.int64],
    uniform: NDArray[np.float64],
    temperature: float,
    state: NDArray[Any] | None = None,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """(a token for each of the numbers, drawn one after the other behind the prompt; the state behind the last).

    p_k ∝ e^{z_k / temperature}; the next token is the first k with p₀ + … + p_k > u, at temperature 0 the likeliest.
    """
    tokens, step = list[int](), prompt
    for u in uniform.tolist():
        z, _, state = outputs_of_sequences(net, theta, step[None], state=state)
        logits = z[0, -1]
        if temperature > 0:
            chances = np.cumsum(np.exp((logits - logits.max()) / logits.dtype.type(temperature)), dtype=np.float64)
            tokens.append(min(int(np.searchsorted(chances, u * chances[-1], side="right")), len(logits) - 1))
        else:
            tokens.append(int(logits.argmax()))
        step = np.array(tokens[-1:])
    state = np.zeros((1, net.n_state), theta.dtype) if state is None else state
    return np.array(tokens, np.int64), state


def evaluate(
    net: Architecture,
    theta: Array,
    X: Array,
    t: Array,
    *,
    weight_decay: float = 0.0,
    sample_weight: Array | None = None,
    masks: Masks | None = None,
    state: Array | None = None,
) -> Evaluation:
    """The pass forward and the cost of a batch X `(m, …)` with targets t: integers `(m,)` or rows `(m, K)`.

    Of sequences that are answered at every step targets are `(m, T)` or `(m, T, K)`. Weights `(m, T)` are those of
    steps, negative where there is none: it is passed over, and the state stays.
    """
    xp = namespace(theta)
    w = None if sample_weight is None else _like(theta, sample_weight)
    caches = forward(net, theta, X, masks, time=None if w is None or w.ndim == 1 else w >= 0, state=state)
    z, y = _last(caches)
    t = _target_rows(theta, t, y)
    costs = net.output.value(z, y, t)  # C⁽ⁱ⁾
    w, total = _weights(net, w, costs)
    total = xp.where(total == 0, xp.ones_like(total), total)  # a batch without weight has no gradient
    cost = xp.sum(w * costs) / total
    if weight_decay:
        for layer, p in zip(net.layers, net.split(theta)):
            for name in layer.decays & set(p):
                cost = cost + 0.5 * weight_decay * xp.sum(p[name] * p[name])
    return Evaluation(cost, costs, caches, t, w, total)


def backpropagate(
    net: Architecture,
    theta: Array,
    X: Array,
    t: Array,
    *,
    weight_decay: float = 0.0,
    sample_weight: Array | None = None,
    masks: Masks | None = None,
    state: Array | None = None,
    first: bool = True,
) -> Pass:
    """One pass forward and back over a batch.

    `first` says whether the first layer's own backward is wanted, ∂C/∂W⁽¹⁾ and ∂C/∂x; without it the way back ends
    with δ⁽¹⁾.
    """
    xp = namespace(theta)
    cost, costs, caches, t, w, total = evaluate(
        net, theta, X, t, weight_decay=weight_decay, sample_weight=sample_weight, masks=masks, state=state
    )
    p, (z, y) = net.split(theta), _last(caches)
    w = xp.expand_dims(w, axis=-1)
    da: Array | None = None
    if net.output.canonical:
        delta = _as_maps(w * net.output.delta(z, y, t), caches)  # δ⁽ᴸ⁾ = ŷ − t
    else:
        da = _as_maps(w * net.output.cost.derivative(y, t), caches)
        delta = net.layers[-1].delta(p[-1], da, caches[-1])

    deltas, gradients, das = [delta], list[Gradients](), [da]
    for k in reversed(range(0 if first else 1, len(net.layers))):  # layers[k] is layer k + 1 of the documents
        da, g = net.layers[k].backward(p[k], delta, caches[k])
        das.insert(0, da)
        decay = {name: weight_decay * p[k][name] for name in net.layers[k].decays & set(g)} if weight_decay else {}
        gradients.insert(0, {name: g[name] / total + decay.get(name, 0) for name in g})
        if k > 0:
            delta = net.layers[k - 1].delta(p[k - 1], da, caches[k - 1])
            deltas.insert(0, delta)
    if not first:
        gradients, das = [{}, *gradients], [None, *das]
    return Pass(cost, costs, t, caches, deltas, gradients, da / total if first else None, das)


def cost_and_gradient(
    net: Architecture,
    theta: Array,
    X: Array,
    t: Array,
    *,
    weight_decay: float = 0.0,
    sample_weight: Array | None = None,
    masks: Masks | None = None,
    state: Array | None = None,
) -> tuple[Array, Array]:
    """C and ∂C/∂θ, the latter flat like θ; entries of frozen layers are 0."""
    done = backpropagate(
        net, theta, X, t, weight_decay=weight_decay, sample_weight=sample_weight, masks=masks, state=state
    )
    return done.cost, _flat(net, theta, done)


def _flat(net: Architecture, theta: Array, done: Pass) -> Array:
    """∂C/∂θ, flat; 0 for frozen layers."""
    zeros_like = namespace(theta).zeros_like
    parts = [
        part if layer.trainable else {name: zeros_like(g) for name, g in part.items()}
        for layer, part in zip(net.layers, done.gradients)
    ]
    return net.join(parts, theta)


def dropout_masks(
    net: Architecture, seed: int, step: int, rows: NDArray[Any], dtype: Any, time: int = 1
) -> dict[int, NDArray[Any]]:
    """The masks of update `step` (counted from 1) for the data set's `rows`, scaled so that the mean stays.

    The steps of a sequence, `time` of them, have masks of their own, one behind the other.
    """
    masks = {}
    for stage, (layer, own) in enumerate(zip(net.layers, net.shapes), 1):
        if isinstance(layer, Dropout):
            n = flat_size(own) * (time if own[0] is None else 1)
            stays = dropout_mask(seed, step, stage, rows, n, layer.rate)
            masks[stage] = stays.astype(dtype) / np.dtype(dtype).type(1 - layer.rate)
    return masks


def steps_of(net: Architecture, X: NDArray[Any]) -> int:
    """T where X holds sequences, else 1."""
    return int(X.shape[1]) if net.input_shape[0] is None else 1


def train(
    net: Architecture,
    theta: NDArray[Any],
    state: State,
    X: NDArray[Any],
    t: NDArray[Any],
    sample_weight: NDArray[Any] | None,
    part: Slice,
    settings: Settings,
    carried: NDArray[Any] | None = None,
) -> Outcome:
    """Run the updates of a slice: θ, state ← optimiser(θ, ∂C/∂θ of the next mini-batch, state).

    Where sequences go on from batch to batch, `carried` is their state before the first.
    """
    costs: list[float] = []
    penalties: list[float] = []
    kept: list[NDArray[Any]] = []
    for k, (rows, rate, optimizer) in enumerate(zip(part.batches, part.rates.tolist(), part.optimizers)):
        step = part.first_step + k
        masks = dropout_masks(net, settings.seed, step, rows, theta.dtype, steps_of(net, X))
        w = None if sample_weight is None else sample_weight[rows]
        carried = None if part.begins is None or part.begins[k] else carried
        decay = settings.weight_decay if part.decays is None else float(part.decays[k])
        with np.errstate(all="ignore"):  # what leaves the finite numbers is found below, and named
            done = backpropagate(
                net, theta, X[rows], t[rows], weight_decay=decay, sample_weight=w, masks=masks, state=carried,
            )  # fmt: skip
            C, g = done.cost, clip(_flat(net, theta, done), settings.clip_norm, settings.clip_value)
            updated, new_state = optimizer.update(theta, g, state, rate, step, net.decayed)
            if not net.trainable.all():
                updated = np.where(net.trainable, updated, theta)
            if not (np.isfinite(C) and _all_finite(g) and _all_finite(updated)):
                return Outcome(
                    theta, state, np.array(costs), np.array(penalties), step, carried, np.reshape(kept, (-1, net.size))
                )
            penalties.append(decay / 2 * float(np.sum(np.square(theta[net.decayed]))) if decay else 0.0)
        costs.append(float(C))
        theta, state = updated, new_state
        if part.keeps is not None and k + 1 in part.keeps:
            kept.append(theta)
        carried = None if part.begins is None else outgoing_state(net, done.caches)
    return Outcome(theta, state, np.array(costs), np.array(penalties), None, carried, np.reshape(kept, (-1, net.size)))


def clip(g: Array, norm: float | None, value: float | None) -> Array:
    """g with every entry within ±value, then, if ‖g‖ exceeds norm, scaled to that norm."""
    xp = namespace(g)
    if value is not None:
        g = xp.clip(g, -value, value)
    if norm is not None:
        largest = xp.max(xp.abs(g))
        largest = xp.where(largest > 0, largest, xp.ones_like(largest))
        length = largest * xp.sqrt(xp.sum((g / largest) * (g / largest)))  # no square overflows
        g = xp.where(length > norm, g * (norm / xp.where(length > norm, length, xp.ones_like(length))), g)
    return g


def _last(caches: list[Any]) -> tuple[Array, Array]:
    """z⁽ᴸ⁾ and ŷ as rows `(m, K)`; maps are read channel by channel, row by row."""
    z, y = caches[-1].z, caches[-1].a
    if z.ndim == 4:
        flat = namespace(z).reshape
        z, y = flat(z, (z.shape[0], -1)), flat(y, (y.shape[0], -1))
    return z, y


def _as_maps(rows: Array, caches: list[Any]) -> Array:
    """Rows in the shape that the last layer gives."""
    return namespace(rows).reshape(rows, caches[-1].z.shape)


def _all_finite(x: NDArray[Any]) -> bool:
    return bool(np.isfinite(x @ x) or np.isfinite(x).all())  # x·x is one fast pass; it may overflow where x does not


def _like(theta: Array, x: Array) -> Array:
    """x in θ's array library and real precision; what is complex stays complex (a complex step in x)."""
    xp = namespace(theta)
    x = xp.asarray(x)
    return x if xp.isdtype(x.dtype, "complex floating") else xp.astype(x, real_part(theta).dtype)


def outgoing_state(net: Architecture, caches: list[Any]) -> Array:
    """The state `(m, n_state)` behind the last step, that of all recurrent layers side by side."""
    states = [cache.state for layer, cache in zip(net.layers, caches) if layer.state_size]
    a = caches[-1].a
    return namespace(a).concat(states, axis=1) if states else namespace(a).zeros((a.shape[0], 0), dtype=a.dtype)


def _weights(net: Architecture, given: Array | None, costs: Array) -> tuple[Array, Array]:
    """The weight of every cost, and what their sum is divided by: Σ w_it, or, where steps add up, Σ wᵢ."""
    xp = namespace(costs)
    ones = xp.ones_like(real_part(costs))  # (m,), or (m, T) where every step is answered
    if given is None:
        return ones, xp.sum(ones if net.time == "mean" or ones.ndim == 1 else ones[:, 0])
    given = xp.where(given > 0, given, xp.zeros_like(given))  # a step that is none counts as little as one of weight 0
    rows = given if given.ndim == 1 else xp.max(given, axis=1)
    w = rows if ones.ndim == 1 else ones * (given if given.ndim == 2 else xp.expand_dims(given, axis=-1))
    return w, xp.sum(w if net.time == "mean" else rows)


def _inputs(net: Architecture, theta: Array, X: Array) -> Array:
    """X as `_like` gives it; uint8 means x/255. Tokens, whole numbers `(m, T)` for a sequence, stay what they are."""
    xp = namespace(theta)
    X = xp.asarray(X)
    if net.input_shape[0] is None and X.ndim == 2:
        if net.layers[0].takes_tokens:
            return X
        places = xp.arange(net.input_shape[1], dtype=xp.int64)
        X = xp.expand_dims(xp.astype(X, xp.int64), axis=-1) == places
    return xp.astype(X, real_part(theta).dtype) / 255 if X.dtype == xp.uint8 else _like(theta, X)


def _target_rows(theta: Array, t: Array, y: Array) -> Array:
    """t as rows like ŷ: integers (m,) become one-hot where there are several outputs."""
    xp = namespace(theta)
    if t.ndim < y.ndim and y.shape[-1] > 1:
        labels = xp.asarray(t)
        t = xp.expand_dims(labels, axis=-1) == xp.arange(y.shape[-1], dtype=labels.dtype)
    return xp.reshape(_like(theta, t), y.shape)
