"""The native engine: the textbook's three verbs in C++, on lanes of samples. Its answers do not depend on threads.

A network is handed over once as a `Program`; θ, data and state go by reference in every call, and are never changed.
Sums over k run in one chain of fused multiply-adds, in the same order for a row alone and in a crowd, on one thread and
on many, with AVX2 and AVX-512. X may be uint8 (x/255), float32 or float64, memory-mapped too: it is read row by row.
"""

from __future__ import annotations

import dataclasses
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from deltarule import activations, costs, optimizers
from deltarule.architecture import Architecture
from deltarule.arrays import Shape
from deltarule.engines.contract import Outcome, Settings, Slice
from deltarule.errors import DataError, HyperparameterError
from deltarule.layers import RNN, Conv, Dense, Dropout, Layer, MaxPool, MeanPool, Subsample, flat_size
from deltarule.layers.maps import Pair, Windows
from deltarule.limits import number
from deltarule.optimizers import Optimizer, State
from deltarule.randomness import dropout_key, dropout_threshold

_native: Any
try:
    _native, _MISSING = import_module("deltarule._native"), ""
except ImportError as error:  # a pure-Python installation
    _native, _MISSING = None, str(error)

__all__ = [
    "at_most", "build", "check_environment", "check_threads", "cost_and_gradient", "generate", "installed",
    "most_threads", "objection", "outputs", "outputs_of_sequences", "resolve_threads", "train", "unavailable",
]  # fmt: skip

_FUNCTIONS = [  # in the order of native/program.hpp, as all tables here
    activations.Identity, activations.Sigmoid, activations.Tanh, activations.ScaledTanh, activations.ReLU,
    activations.LeakyReLU, activations.ELU, activations.Softplus, activations.Swish, activations.GELU, activations.Exp,
    activations.Softmax,
]  # fmt: skip
_COSTS = [
    costs.SquaredError, costs.BinaryCrossEntropy, costs.CrossEntropy, costs.Absolute, costs.Huber, costs.Quantile,
    costs.Poisson,
]  # fmt: skip
_LAYERS: list[type[Layer]] = [Dense, Dropout, RNN, Conv, MeanPool, MaxPool, Subsample]

MOST_FEATURES = 2**25  # of a layer
MOST_PADDED, MOST_KERNELS = 2**24, 2**28  # numbers of a convolution's input with its margins, and of its whole kernels
MOST_STEPS = 2**24  # of a sequence, in one gradient
STRETCH = 512  # steps of sequences that predictions take at a time
MOST_THREADS = 1024  # that may be asked for
WORK_FOR_A_THREAD = 1_500_000  # floating-point operations between two barriers that make a second thread worth it

# What it can do


def installed() -> bool:
    """Whether the extension was built."""
    return _native is not None


def unavailable() -> str:
    """Why no network can run here; empty if all is well."""
    if _native is None:
        return f"the extension deltarule._native is not installed ({_MISSING}); build tools: g++ ≥ 11 or clang ≥ 15"
    if not _native.isa():
        wanted = os.environ.get("DELTARULE_ISA")
        has = ", ".join(_native.isas()) or "neither AVX2 with FMA, nor AVX-512, nor NEON"
        return f"DELTARULE_ISA is {wanted!r}, this processor has {has}" if wanted else f"this processor has {has}"
    return ""


def check_environment() -> None:
    """$DELTARULE_ISA is a wish; one that cannot be granted is an error."""
    if _native is not None and not _native.isa() and os.environ.get("DELTARULE_ISA"):
        raise HyperparameterError(unavailable())


def build() -> tuple[str, tuple[str, ...], int, str]:
    """The instruction set in use, all those this processor has, the most threads by default, and the compiler."""
    if _native is None:
        return "", (), 1, ""
    return _native.isa(), tuple(_native.isas()), resolve_threads(None) or most_threads(), _native.compiler()


def objection(net: Architecture | None = None, optimizer: Optimizer | None = None) -> str:
    """Why this network, or this optimiser, cannot run here; empty if it can."""
    if reason := unavailable():
        return reason
    if optimizer is not None and type(optimizer) not in _RULES:
        return f"the optimiser {type(optimizer).__name__} is not one of deltarule's own"
    if net is None:
        return ""
    found = _objections.get(net)
    if found is None:
        found = _objections[net] = _foreign(net)
    return found


_objections: WeakKeyDictionary[Architecture, str] = WeakKeyDictionary()  # asked at every prediction


def _foreign(net: Architecture) -> str:
    """What of the network there is no kernel for; empty if there is nothing."""
    for stage, layer in enumerate(net.layers, 1):
        if type(layer) not in _LAYERS:
            return f"layer {stage} ({layer}) is not one of deltarule's own"
        if type(layer.f) not in _FUNCTIONS:
            return f"the activation of layer {stage}, {type(layer.f).__name__}, is not one of deltarule's own"
    if type(net.output.cost) not in _COSTS:
        return f"the cost {type(net.output.cost).__name__} is not one of deltarule's own"
    for stage, (layer, below) in enumerate(zip(net.layers, net.shapes), 1):
        if isinstance(layer, Conv) and (reason := _too_large(layer, below)):
            return f"layer {stage} ({layer}): {reason}"
        if isinstance(layer, RNN) and flat_size(below) + layer.hidden > MOST_FEATURES:
            return f"layer {stage} ({layer}): more than {MOST_FEATURES:,} inputs and units"
    if net.n_state > MOST_FEATURES or max(flat_size(shape) for shape in net.shapes) > MOST_FEATURES:
        return f"a layer has more than {MOST_FEATURES:,} units"
    return ""


def _too_large(layer: Conv, below: Shape) -> str:
    """Why a convolution does not fit the kernels' memory; empty if it does."""
    channels, height, width = (n or 0 for n in below)
    before, after = layer.margins((height, width))
    padded = channels * (height + before[0] + after[0]) * (width + before[1] + after[1])
    if padded > MOST_PADDED:
        return f"the maps below have {padded:,} numbers, margins included, and at most {MOST_PADDED:,} are taken"
    kernels = layer.maps * channels * math.prod(layer.windows((height, width)).size)
    return f"more than {MOST_KERNELS:,} weights, absent links included" if kernels > MOST_KERNELS else ""


# Programs


class _Program:
    """A network as the extension knows it, in one dtype, and how fast each verb has been."""

    def __init__(self, net: Architecture, dtype: np.dtype[Any]) -> None:
        self.run, self.pace = _compile(net, dtype), {verb: _Pace() for verb in (outputs, cost_and_gradient, train)}


_programs: WeakKeyDictionary[Architecture, dict[np.dtype[Any], _Program]] = WeakKeyDictionary()


def _program(net: Architecture, dtype: np.dtype[Any]) -> _Program:
    made = _programs.get(net)
    if made is None:
        made = _programs[net] = {}
    if dtype not in made:
        made[dtype] = _Program(net, dtype)
    return made[dtype]


def _compile(net: Architecture, dtype: np.dtype[Any]) -> Any:
    starts = {(s.stage, s.name): s.start for s in net.slots}
    layers = []
    for stage, layer in enumerate(net.layers, 1):
        below, own = net.shapes[stage - 1 : stage + 1]
        rate = layer.rate if isinstance(layer, Dropout) else 0.0
        weights = "omega" if isinstance(layer, Subsample) else "W"
        layers.append((
            _LAYERS.index(type(layer)), flat_size(below), flat_size(own),
            _FUNCTIONS.index(type(layer.f)), _parameter(layer.f), layer.trainable, weights in layer.decays,
            starts.get((stage, weights), 0), starts.get((stage, "b"), 0),
            dropout_threshold(rate), float(dtype.type(1) / dtype.type(1 - rate)),
            _geometry(layer, below, own), layer.border if isinstance(layer, Conv) else 0.0, _links(layer, below),
            (starts.get((stage, "U"), 0), starts.get((stage, "h0"), -1), isinstance(layer, RNN) and layer.last),
        ))  # fmt: skip
    cost = net.output.cost
    return _native.Program(
        layers, net.size, net.output.canonical, _COSTS.index(type(cost)), _parameter(cost), dtype == np.float64,
        net.input_shape[0] is None, net.time == "sum",
    )  # fmt: skip


def _geometry(layer: Layer, below: Shape, own: Shape) -> list[int]:
    """The numbers of a layer of maps, in the order of native/program.hpp; none for others."""
    if len(below) != 3 or isinstance(layer, Dense):
        return []
    image = cast(Pair, below[1:])
    if isinstance(layer, Dropout):
        windows, margins = Windows((1, 1), (1, 1), image), (0, 0)
    else:
        windows = layer.windows(image)  # type: ignore[attr-defined]
        margins = layer.margins(image)[0] if isinstance(layer, Conv) else (0, 0)
    return [n or 0 for n in (*below, *own, *windows.size, *windows.stride, *margins)]


def _links(layer: Layer, below: Shape) -> list[int]:
    """1 where a map is linked to a channel, row by row; nothing where all are."""
    table = layer.table(below[0] or 0) if isinstance(layer, Conv) else None
    return [] if table is None else (table.numbers < table.total).astype(int).tolist()


def _parameter(value: activations.Activation | costs.Cost) -> float:
    """The one number that some activations and costs have."""
    return next((float(getattr(value, f.name)) for f in dataclasses.fields(value)), 0.0)


# Threads


class _Calls:
    """How many calls of this process are at work, so that callers side by side share the processors."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """None at work."""
        self.now, self.lock = 0, threading.Lock()

    @contextmanager
    def one_more(self) -> Iterator[int]:
        """Within, this call counts; the value is how many there are."""
        with self.lock:
            self.now += 1
            now = self.now
        try:
            yield now
        finally:
            with self.lock:
                self.now -= 1


_calls = _Calls()
if hasattr(os, "register_at_fork"):  # a child's calls begin anew; a lock that was held is held no more
    os.register_at_fork(after_in_child=_calls.begin)


def resolve_threads(threads: int | None) -> int | None:
    """The number asked for: the argument, or $DELTARULE_NUM_THREADS; or None."""
    if threads is not None:
        return threads
    text = os.environ.get("DELTARULE_NUM_THREADS", "").strip()
    return check_threads("DELTARULE_NUM_THREADS", int(text) if text.isdecimal() else text) if text else None


def most_threads() -> int:
    """The processors, or as few as $OMP_NUM_THREADS allows (joblib sets it in its workers; "4,2" is for others).

    Within `at_most`, no more than there.
    """
    text = os.environ.get("OMP_NUM_THREADS", "").strip()
    allowed = int(text) if text.isdecimal() and len(text) < 6 else 0
    processors: int = _native.processors()
    return min(processors, allowed or processors, getattr(_bound, "threads", processors))


_bound = threading.local()


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Within, calls of this Python thread that name no number of threads take this many at most."""
    before, _bound.threads = getattr(_bound, "threads", MOST_THREADS), threads
    try:
        yield
    finally:
        _bound.threads = before


def check_threads(what: str, threads: Any) -> int:
    """It as a number that can be asked for."""
    found: int = number(what, threads, least=1, most=MOST_THREADS, integral=True)
    return found


class _Pace:
    """Which number of threads is the fastest for one kind of call, by the clock. It never changes what comes out."""

    LOOKS = 3  # calls that a number of threads is judged by: the middle one of its last
    LOOK_AGAIN = 24  # calls until the other is tried again: a neighbour may have come or gone
    SHORTEST = 1e-2  # seconds; shorter calls tell more of their beginning than of their pace

    def __init__(self) -> None:
        self.seconds: dict[int, deque[float]] = {}  # for a unit of work, by number of threads
        self.calls = 0

    def threads(self, most: int) -> int:
        """`most`, or 1 where that has been faster; each has its turns first."""
        if most == 1:
            return 1
        many, one = (self.seconds.get(n, deque()) for n in (most, 1))
        if min(len(many), len(one)) < self.LOOKS:
            return most if len(many) <= len(one) else 1
        self.calls += 1
        best, other = (most, 1) if median(many) <= median(one) else (1, most)
        return other if self.calls % self.LOOK_AGAIN == 0 else best

    def took(self, threads: int, seconds: float, work: float) -> None:
        """Remember how long a call took."""
        if seconds >= self.SHORTEST:
            self.seconds.setdefault(threads, deque(maxlen=self.LOOKS)).append(seconds / max(work, 1))


@contextmanager
def _team(pace: _Pace, asked: int | None, work: float, barriers: float) -> Iterator[int]:
    """Within, a call of so many operations runs on as many threads as asked, or as many as make it faster.

    Callers side by side share the processors; between two barriers there must be enough to do.
    """
    fixed = resolve_threads(asked)
    if asked is None and fixed is not None:  # the environment's wish, within `at_most`
        fixed = min(fixed, getattr(_bound, "threads", fixed))
    with _calls.one_more() as callers:
        threads = fixed
        if threads is None:
            worth = int(work / barriers / WORK_FOR_A_THREAD) + 1
            threads = pace.threads(max(1, min(most_threads() // callers, worth)) if worth > 1 else 1)
        began = perf_counter()
        yield threads
        if not fixed:
            pace.took(threads, perf_counter() - began, work)


# The verbs


def outputs(net: Architecture, theta: NDArray[Any], X: NDArray[Any], threads: int | None = None) -> Any:
    """(z⁽ᴸ⁾, ŷ) of every row of X, `(m, K)` each, in θ's dtype; dropout is off."""
    shape, dtype = (len(X), net.n_outputs), theta.dtype
    z, y, program = np.empty(shape, dtype), np.empty(shape, dtype), _program(net, dtype)
    if len(X) == 1:  # microseconds: nothing more is done than must be
        program.run.forward(theta, X, z, y, 1)
        return z, y
    with _team(program.pace[outputs], threads, 2.0 * program.run.products * len(X), 1) as team:
        program.run.forward(theta, X, z, y, team)
    return z, y


def cost_and_gradient(
    net: Architecture,
    theta: NDArray[Any],
    X: NDArray[Any],
    t: NDArray[Any],
    *,
    weight_decay: float = 0.0,
    sample_weight: NDArray[Any] | None = None,
    threads: int | None = None,
    state: NDArray[Any] | None = None,
) -> tuple[float, NDArray[Any]]:
    """C and ∂C/∂θ over all rows, dropout off; the latter flat like θ, 0 in frozen layers."""
    g, program, work = np.zeros_like(theta), _program(net, theta.dtype), len(X) * _steps(net, X)
    w, time = _weights(net, sample_weight)
    with _team(program.pace[cost_and_gradient], threads, 6.0 * program.run.products * work, 1) as team:
        C = program.run.gradient(theta, X, t, w, weight_decay, g, team, time, _state(theta, state))
    return C, g


# Sequences


def outputs_of_sequences(
    net: Architecture,
    theta: NDArray[Any],
    X: NDArray[Any],
    time: NDArray[np.bool_] | None = None,
    state: NDArray[Any] | None = None,
    threads: int | None = None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(z⁽ᴸ⁾, ŷ, state) of every sequence; `time` says which steps count, `state` is that before the first.

    Of a recurrent layer at the top no z is kept: its h stands there.
    """
    m, T = X.shape[:2]
    if T > STRETCH:  # the state goes on from stretch to stretch, and memory does not grow with T
        whole: Any = np.empty((2, m, T, net.n_outputs), theta.dtype) if net.shapes[-1][0] is None else None
        for at in range(0, T, STRETCH):
            part = slice(at, at + STRETCH)
            counts = None if time is None else time[:, part]
            *both, state = outputs_of_sequences(net, theta, np.ascontiguousarray(X[:, part]), counts, state, threads)
            if whole is not None:
                whole[:, :, part] = both
        z, y = both if whole is None else whole
        return z, y, cast(NDArray[Any], state)
    shape, program = (m, *((T,) if net.shapes[-1][0] is None else ()), net.n_outputs), _program(net, theta.dtype)
    z, y, after = np.empty(shape, theta.dtype), np.empty(shape, theta.dtype), np.empty((m, net.n_state), theta.dtype)
    counts = None if time is None else np.ascontiguousarray(time, np.uint8)
    with _team(program.pace[outputs], threads, 2.0 * program.run.products * m * T, 1) as team:
        program.run.forward(theta, X, z, y, team, counts, _state(theta, state), after)
    return z, y, after


def generate(
    net: Architecture,
    theta: NDArray[Any],
    prompt: NDArray[np.int64],
    uniform: NDArray[np.float64],
    temperature: float,
    state: NDArray[Any] | None = None,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """(a token for each of the numbers, drawn one after the other behind the prompt; the state behind the last)."""
    tokens, after = np.empty(len(uniform), np.int64), np.empty((1, net.n_state), theta.dtype)
    run = _program(net, theta.dtype).run
    run.generate(theta, prompt, temperature, uniform, tokens, _state(theta, state), after)
    return tokens, after


def _steps(net: Architecture, X: NDArray[Any]) -> int:
    """T where X holds sequences, else 1."""
    if net.input_shape[0] is not None:
        return 1
    if X.shape[1] > MOST_STEPS:
        raise DataError(
            f"sequences of {X.shape[1]:,} steps, and the gradient takes at most {MOST_STEPS:,} at a time: "
            "train(truncate=…) goes by windows of them"
        )
    return int(X.shape[1])


def _state(theta: NDArray[Any], state: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if state is None else np.ascontiguousarray(state, theta.dtype)


def _weights(net: Architecture, w: NDArray[Any] | None) -> tuple[NDArray[Any] | None, NDArray[np.uint8] | None]:
    """(weights of rows, or of steps that are answered; which steps there are) from weights `(m,)` or `(m, T)`."""
    if w is None or w.ndim == 1:
        return w, None
    counts, w = (w >= 0).astype(np.uint8), np.maximum(w, 0)
    return (np.ascontiguousarray(w) if net.shapes[-1][0] is None else w.max(axis=1)), None if counts.all() else counts


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
    """Run the updates of a slice: θ, state ← optimiser(θ, ∂C/∂θ of the next mini-batch, state)."""
    optimizer = part.optimizers[0]
    rule, constants = _RULES[type(optimizer)]
    values, rest = constants(part, state)
    new_theta = np.empty_like(theta)
    new_state = {name: np.empty_like(state[name]) for name in optimizer.remembers} | rest
    costs, penalties = np.empty((2, len(part.ends)))
    keeps = np.zeros(0, np.int64) if part.keeps is None else part.keeps
    kept = np.empty((len(keeps), net.size), theta.dtype)
    decays = np.full(len(part.ends), settings.weight_decay) if part.decays is None else part.decays
    keys = np.zeros((len(net.layers), 2), np.uint32)
    for stage, layer in enumerate(net.layers, 1):
        if isinstance(layer, Dropout):
            keys[stage - 1] = dropout_key(settings.seed, stage)
    program, updates = _program(net, theta.dtype), len(part.ends)
    work = 6.0 * program.run.products * int(part.ends[-1]) * _steps(net, X) + 20.0 * net.size * updates
    w, time = _weights(net, sample_weight)
    begins, states = _going_on(net, part, carried, theta.dtype)
    with _team(program.pace[train], settings.threads, work, updates) as team:
        done = program.run.train(
            theta, new_theta, [state[name] for name in optimizer.remembers],
            [new_state[name] for name in optimizer.remembers], X, t, w, part.order, part.ends,
            part.first_step, rule, values, keys, decays,
            np.inf if settings.clip_norm is None else settings.clip_norm,
            np.inf if settings.clip_value is None else settings.clip_value, costs, penalties, keeps, kept,
            team, time, begins, states,
        )  # fmt: skip
    if done == updates:
        rows = int(part.ends[-1] - (part.ends[-2] if updates > 1 else 0))
        carried = None if states is None else states[:rows]
        return Outcome(new_theta, new_state, costs, penalties, None, carried, kept)
    diverged = part.first_step + done
    if done == 0:
        begins_anew = part.begins is None or part.begins[0]
        return Outcome(theta, state, costs[:0], costs[:0], diverged, None if begins_anew else carried, kept[:0])
    first = None if part.begins is None else part.begins[:done]
    before = Slice(
        part.order, part.ends[:done], part.rates[:done], part.optimizers[:done], part.first_step, first, decays[:done],
        keeps[keeps <= done],
    )  # fmt: skip
    outcome = train(net, theta, state, X, t, sample_weight, before, settings, carried)  # up to there
    begins_anew = part.begins is None or part.begins[done]
    return outcome._replace(diverged=diverged, carried=None if begins_anew else outcome.carried)


def _going_on(
    net: Architecture, part: Slice, carried: NDArray[Any] | None, dtype: np.dtype[Any]
) -> tuple[NDArray[np.uint8] | None, NDArray[Any] | None]:
    """(which batches of sequences begin anew, the memory of their states with that of the batch before)."""
    if part.begins is None:
        return None, None
    rows = int(np.diff(part.ends, prepend=0).max())
    states = np.zeros((max(rows, 0 if carried is None else len(carried)), net.n_state), dtype)
    if carried is not None:
        states[: len(carried)] = carried
    return part.begins.astype(np.uint8), states


# The constants of each update, by optimiser (see optimizers.hpp), and what of the state is no array like θ

Constants = tuple[NDArray[np.float64], State]


def _table(part: Slice, *columns: Any) -> NDArray[np.float64]:
    """Numbers and vectors as the columns of one row a step."""
    found = np.empty((len(part.rates), len(columns)))
    for k, column in enumerate(columns):
        found[:, k] = column
    return found


def _powers(part: Slice, base: float, exponent: float = 1.0, later: int = 0) -> NDArray[np.float64]:
    """Base^(exponent k) for every step k, or a later one, each by itself: NumPy's power differs between machines."""
    first = part.first_step + later
    return np.array([base ** (exponent * k) for k in range(first, first + len(part.rates))])


def _epsilon(part: Slice, state: State) -> Any:
    """ε of all updates or of each, but no denormal number: it would count as 0, and 0/0 is in every row's padding."""
    o: Any = part.optimizers[0]
    tiny = max(float(np.finfo(value.dtype).tiny) for value in state.values())
    if not getattr(o, "epsilon_hat", False):
        return max(float(o.epsilon), tiny)
    return np.maximum(o.epsilon / np.sqrt(1 - _powers(part, o.beta2)), tiny)


def _sgd(part: Slice, state: State) -> Constants:
    return _table(part, part.rates), {}


def _momentum(part: Slice, state: State) -> Constants:
    return _table(part, part.rates, [o.momentum for o in part.optimizers]), {}  # type: ignore[attr-defined]


def _adagrad(part: Slice, state: State) -> Constants:
    return _table(part, part.rates, _epsilon(part, state)), {}


def _decaying(part: Slice, state: State) -> Constants:
    o: Any = part.optimizers[0]
    return _table(part, part.rates, o.decay, 1 - o.decay, _epsilon(part, state)), {}


def _moments(part: Slice, state: State, first: Any, last: Any = 0.0) -> NDArray[np.float64]:
    o: Any = part.optimizers[0]
    correction = 1 / (1 - _powers(part, o.beta2))
    return _table(part, first, o.beta1, 1 - o.beta1, o.beta2, 1 - o.beta2, correction, _epsilon(part, state), last)


def _adam(part: Slice, state: State) -> Constants:
    o: Any = part.optimizers[0]
    return _moments(part, state, part.rates / (1 - _powers(part, o.beta1))), {}


def _adamw(part: Slice, state: State) -> Constants:
    o: Any = part.optimizers[0]
    return _moments(part, state, part.rates / (1 - _powers(part, o.beta1)), part.rates * o.weight_decay), {}


def _nadam(part: Slice, state: State) -> Constants:
    o: Any = part.optimizers[0]
    mu, mu_next = (o.beta1 * (1 - 0.5 * _powers(part, 0.96, o.momentum_decay, later)) for later in (0, 1))
    p, products = state["product"], np.empty(len(mu))
    for k in range(len(mu)):
        p = p * float(mu[k])
        products[k] = p[0]
    mean, last = mu_next / (1 - products * mu_next), (1 - mu) / (1 - products)
    return _moments(part, state, part.rates * mean, part.rates * last), {"product": p}


def _rprop(part: Slice, state: State) -> Constants:
    o: Any = part.optimizers[0]
    return _table(part, part.rates, o.decrease, o.increase, o.minimum, o.maximum), {}


_RULES: dict[type[Optimizer], tuple[int, Callable[[Slice, State], Constants]]] = {
    optimizers.SGD: (0, _sgd),
    optimizers.Momentum: (1, _momentum),
    optimizers.Nesterov: (2, _momentum),
    optimizers.AdaGrad: (3, _adagrad),
    optimizers.AdaDelta: (4, _decaying),
    optimizers.RMSProp: (5, _decaying),
    optimizers.Adam: (6, _adam),
    optimizers.AdamW: (7, _adamw),
    optimizers.AMSGrad: (8, _adam),
    optimizers.Nadam: (9, _nadam),
    optimizers.RProp: (10, _rprop),
}
