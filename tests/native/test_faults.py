"""What the extension itself is given: wrong sizes, types, rows and rules get an error, and nothing crashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native.cases import Array, digest, features, in_a_fork, python, targets

import deltarule as dr
from deltarule import Network, _native
from deltarule.engines import Settings, native
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.optimizers import optimizer

# Programs: (kind, n_in, n_out, f, its number, trainable, decays, W, b, threshold, scale, geometry, border, links,
# (U, h0, last)) of every layer; geometry: channels, height, width below, its own, the window's, strides, margins

NO_MEMORY = (0, -1, False)
DENSE = (0, 3, 2, 0, 0.0, True, True, 0, 6, 0, 1.0, [], 0.0, [], NO_MEMORY)
DROPOUT = (1, 3, 3, 0, 0.0, True, False, 0, 0, 2**31, 2.0, [], 0.0, [], NO_MEMORY)
CONV = (3, 3, 2, 0, 0.0, True, True, 0, 6, 0, 1.0, [1, 1, 3, 2, 1, 1, 1, 3, 1, 1, 0, 0], 0.0, [], NO_MEMORY)
RNN = (2, 3, 2, 2, 0.0, True, True, 0, 10, 0, 1.0, [], 0.0, [], (6, 12, False))
POOL = (4, 3, 3, 0, 0.0, True, False, 0, 0, 0, 1.0, [1, 1, 3, 1, 1, 3, 1, 1, 1, 1, 0, 0], 0.0, [], NO_MEMORY)


def program(*layers: Any, size: int = 8, canonical: bool = True, cost: int = 0, twice: bool = True,
    sequences: bool = False,
) -> Any:  # fmt: skip
    return _native.Program(list(layers), size, canonical, cost, 0.0, twice, sequences, False)


def changed(layer: tuple[Any, ...], **places: Any) -> tuple[Any, ...]:
    names = ["kind", "n_in", "n_out", "f", "parameter", "trainable", "decays", "W", "b", "threshold", "scale"]
    names += ["geometry", "border", "links", "recurrence"]
    return tuple(places.get(name, value) for name, value in zip(names, layer, strict=True))


def reshaped(layer: tuple[Any, ...], place: int, number: int) -> tuple[Any, ...]:
    """The layer with another number in its geometry."""
    return changed(layer, geometry=[number if k == place else n for k, n in enumerate(layer[11])])


def usual() -> dict[str, Any]:
    """The arguments of a step of SGD over five rows, all as they should be."""
    return {
        "theta": np.arange(8) / 8, "new_theta": np.zeros(8), "states": [], "new_states": [],
        "X": np.ones((5, 3)), "t": np.zeros((5, 2)), "weights": None, "order": np.arange(5), "ends": np.array([5]),
        "first_step": 1, "rule": 0, "constants": np.array([[0.1]]), "keys": np.zeros((1, 2), np.uint32),
        "decays": np.zeros(1), "clip_norm": np.inf, "clip_value": np.inf, "costs": np.zeros(1),
        "penalties": np.zeros(1), "keeps": np.zeros(0, np.int64), "kept": np.zeros((0, 8)), "threads": 1,
    }  # fmt: skip


def train(**other: Any) -> int:
    done: int = program(DENSE).train(**(usual() | other))
    return done


def gradient(run: Any = None, **other: Any) -> float:
    given = {k: v for k, v in usual().items() if k in ("theta", "X", "t", "weights", "threads")}
    C: float = (run or program(DENSE)).gradient(**({"gradient": np.zeros(8), "weight_decay": 0.0} | given | other))
    return C


def forward(run: Any = None, **other: Any) -> None:
    given = {k: v for k, v in usual().items() if k in ("theta", "X", "threads")}
    (run or program(DENSE)).forward(**({"z": np.zeros((5, 2)), "y": np.zeros((5, 2))} | given | other))


def steps(run: Any = None, **other: Any) -> int:
    """A step of SGD over two batches of two sequences of tokens, the second going on from the first."""
    given = {
        "theta": np.arange(30) / 30, "new_theta": np.zeros(30), "X": np.ones((4, 5), np.uint8),
        "t": np.zeros((4, 5), np.int64), "order": np.arange(4), "ends": np.array([2, 4]), **numbers(2),
        "constants": np.array([[0.1]] * 2), "keys": np.zeros((2, 2), np.uint32),
        "begins": np.array([1, 0], np.uint8), "carried": np.zeros((2, 2)), "kept": np.zeros((0, 30)),
    }  # fmt: skip
    done: int = (run or text()).train(**(usual() | given | other))
    return done


def text(**places: Any) -> Any:
    """Three tokens, two hidden units, three answers a step."""
    top = changed(DENSE, n_in=2, n_out=3, W=14, b=20, f=11)
    return program(changed(RNN, **places), top, size=30, cost=2, sequences=True)


def write(run: Any = None, **other: Any) -> int:
    given = {
        "theta": np.zeros(30), "prompt": np.array([2]), "temperature": 1.0, "uniform": np.full(4, 0.5),
        "tokens": np.zeros(4, np.int64), "state": None, "new_state": np.zeros((1, 2)),
    }  # fmt: skip
    done: int = (run or text()).generate(**(given | other))
    return done


def numbers(n: int) -> dict[str, Any]:
    """What there is of every batch."""
    return {name: np.zeros(n) for name in ("decays", "costs", "penalties")}


def two(ends: Any) -> int:
    return train(ends=np.array(ends), constants=np.ones((len(ends), 1)), **numbers(len(ends)))


def momentum(**other: Any) -> int:
    given = {"rule": 1, "constants": np.ones((1, 2)), "states": [np.zeros(8)], "new_states": [np.zeros(8)]}
    return train(**(given | other))


def frozen(a: Array) -> Array:
    a.flags.writeable = False
    return a


def used(*layers: Any, **named: Any) -> float:
    return gradient(program(*layers, **named))


REFUSED: dict[str, Callable[[], Any]] = {
    # sizes
    "short theta": lambda: train(theta=np.zeros(7)),
    "short new theta": lambda: train(new_theta=np.zeros(7)),
    "long new theta": lambda: train(new_theta=np.zeros(9)),
    "short gradient": lambda: gradient(gradient=np.zeros(7)),
    "short z": lambda: forward(z=np.zeros((4, 2))),
    "short y": lambda: forward(y=np.zeros(9)),
    "few features": lambda: train(X=np.ones((5, 2))),
    "no rows": lambda: train(X=np.ones((0, 3)), t=np.zeros((0, 2))),
    "no axes": lambda: forward(X=np.array(1.0)),
    "few targets": lambda: train(t=np.zeros((4, 2))),
    "few labels": lambda: gradient(t=np.zeros(4, np.int64)),
    "few weights": lambda: train(weights=np.ones(4)),
    "few costs": lambda: train(costs=np.zeros(0)),
    "many costs": lambda: train(costs=np.zeros(2)),
    "few decays": lambda: train(decays=np.zeros(0)),
    "few penalties": lambda: train(penalties=np.zeros(0)),
    "penalties read-only": lambda: train(penalties=frozen(np.zeros(1))),
    "a place for too few kept": lambda: train(keeps=np.array([1])),
    "kept read-only": lambda: train(keeps=np.array([1]), kept=frozen(np.zeros((1, 8)))),
    "kept before the first update": lambda: train(keeps=np.array([0]), kept=np.zeros((1, 8))),
    "kept behind the last update": lambda: train(keeps=np.array([2]), kept=np.zeros((1, 8))),
    "kept twice": lambda: train(keeps=np.array([1, 1]), kept=np.zeros((2, 8))),
    "few keys": lambda: train(keys=np.zeros((0, 2), np.uint32)),
    "narrow keys": lambda: train(keys=np.zeros((1, 1), np.uint32)),
    "few constants": lambda: train(constants=np.zeros((0, 1))),
    "wide constants": lambda: train(constants=np.zeros((1, 9))),
    "no constants": lambda: train(constants=np.zeros((1, 0))),
    # number types and layouts
    "theta of float32": lambda: train(theta=np.zeros(8, np.float32)),
    "targets of float32": lambda: train(t=np.zeros((5, 2), np.float32)),
    "weights of float32": lambda: train(weights=np.ones(5, np.float32)),
    "labels of int32": lambda: gradient(t=np.zeros(5, np.int32)),
    "X of float16": lambda: train(X=np.ones((5, 3), np.float16)),
    "X of int64": lambda: train(X=np.ones((5, 3), np.int64)),
    "X big-endian": lambda: train(X=np.ones((5, 3), ">f8")),
    "X Fortran": lambda: train(X=np.asfortranarray(np.ones((5, 3)))),
    "X strided": lambda: gradient(X=np.ones((5, 6))[:, ::2]),
    "X backwards": lambda: forward(X=np.ones((5, 3))[::-1]),
    "X a list": lambda: forward(X=[[1.0] * 3] * 5),
    "X None": lambda: forward(X=None),
    "order of int32": lambda: train(order=np.arange(5, dtype=np.int32)),
    "order of floats": lambda: train(order=np.arange(5.0)),
    "order strided": lambda: train(order=np.arange(10)[::2]),
    "ends of int32": lambda: train(ends=np.array([5], np.int32)),
    "keys of int64": lambda: train(keys=np.zeros((1, 2), np.int64)),
    "state strided": lambda: momentum(states=[np.zeros(16)[::2]]),
    "state of float32": lambda: momentum(states=[np.zeros(8, np.float32)]),
    # what is written must be the array itself, never a copy
    "new theta strided": lambda: train(new_theta=np.zeros(16)[::2]),
    "new theta read-only": lambda: train(new_theta=frozen(np.zeros(8))),
    "new theta of float32": lambda: train(new_theta=np.zeros(8, np.float32)),
    "new state strided": lambda: momentum(new_states=[np.zeros(16)[::2]]),
    "new state read-only": lambda: momentum(new_states=[frozen(np.zeros(8))]),
    "new state of float32": lambda: momentum(new_states=[np.zeros(8, np.float32)]),
    "gradient read-only": lambda: gradient(gradient=frozen(np.zeros(8))),
    "gradient strided": lambda: gradient(gradient=np.zeros(16)[::2]),
    "y read-only": lambda: forward(y=frozen(np.zeros((5, 2)))),
    "z Fortran": lambda: forward(z=np.zeros((5, 2), order="F")),
    "costs read-only": lambda: train(costs=frozen(np.zeros(1))),
    "costs of float32": lambda: train(costs=np.zeros(1, np.float32)),
    # rows and batches
    "row too large": lambda: train(order=np.array([0, 1, 2, 3, 5])),
    "row negative": lambda: train(order=np.array([0, 1, 2, 3, -1])),
    "row huge": lambda: train(order=np.array([0, 1, 2, 3, 2**62])),
    "row behind the ends": lambda: train(order=np.array([0, 1, 99]), ends=np.array([2])),
    "ends descending": lambda: two([3, 2]),
    "ends equal": lambda: two([3, 3]),
    "ends at 0": lambda: two([0, 3]),
    "ends negative": lambda: two([-1, 3]),
    "ends beyond the order": lambda: two([3, 6]),
    "ends huge": lambda: two([3, 2**62]),
    "no ends": lambda: two(np.zeros(0, np.int64)),
    # rules, states, threads
    "no such rule": lambda: train(rule=99),
    "rule negative": lambda: train(rule=-1),
    "rule without its state": lambda: momentum(states=[], new_states=[]),
    "one state of two": lambda: momentum(rule=6, constants=np.ones((1, 8))),
    "states that do not match": lambda: momentum(new_states=[]),
    "four states": lambda: momentum(states=[np.zeros(8)] * 4, new_states=[np.zeros(8)] * 4),
    "no threads, train": lambda: train(threads=0),
    "no threads, gradient": lambda: gradient(threads=0),
    "no threads, forward": lambda: forward(threads=0),
    "threads negative, train": lambda: train(threads=-1),
    "threads negative, forward": lambda: forward(threads=-3),
    # programs
    "no layers": lambda: used(),
    "layers that do not fit": lambda: used(DENSE, changed(DENSE, n_in=900_000), size=8),
    "W beyond theta": lambda: used(changed(DENSE, W=10**9)),
    "W a little beyond theta": lambda: used(changed(DENSE, W=3)),
    "W negative": lambda: used(changed(DENSE, W=-(10**9))),
    "b beyond theta": lambda: used(changed(DENSE, b=7)),
    "theta too small": lambda: program(DENSE, size=3),
    "no inputs": lambda: used(changed(DENSE, n_in=0)),
    "units negative": lambda: used(changed(DENSE, n_out=-2)),
    "no such layer": lambda: used(changed(DENSE, kind=7)),
    "no such activation": lambda: forward(program(changed(DENSE, f=77))),
    "no such cost": lambda: used(DENSE, canonical=False, cost=55),
    "dropout that changes its size": lambda: used(changed(DROPOUT, n_out=2), DENSE),
    "a convolution without a geometry": lambda: used(changed(CONV, geometry=[])),
    "a geometry too short": lambda: used(changed(CONV, geometry=[1] * 11)),
    **{f"a convolution's {k}th number {n}": lambda k=k, n=n: used(reshaped(CONV, k, n))
       for k in range(6) for n in (0, -1, 7, 2**25)},
    **{f"a convolution's {k}th number {n}": lambda k=k, n=n: used(reshaped(CONV, k, n))
       for k in range(6, 12) for n in (-1, 2**25, 2**31 - 1) if k not in (8, 9) or n != 2**25},
    **{f"a pool's {k}th number {n}": lambda k=k, n=n: used(reshaped(POOL, k, n), DENSE)
       for k in (0, 1, 2, 3, 4, 5, 6, 7, 10, 11) for n in (-1, 2, 4)},
    "a pool that moves too far": lambda: used(reshaped(POOL, 9, 2), DENSE),
    "links that do not fit": lambda: used(changed(CONV, links=[1])),
    # sequences
    "a recurrent layer without sequences": lambda: program(RNN, size=14),
    "U beyond theta": lambda: text(recurrence=(27, 12, False)),
    "U negative": lambda: text(recurrence=(-4, 12, False)),
    "h0 beyond theta": lambda: text(recurrence=(6, 29, False)),
    "maps of sequences": lambda: program(CONV, sequences=True),
    "a recurrent layer over the last step": lambda: program(
        changed(RNN, recurrence=(6, 12, True)), changed(RNN, n_in=2, recurrence=(6, -1, False)), size=14, sequences=True
    ),
    "rows for sequences": lambda: steps(X=np.ones(5, np.uint8)),
    "no steps": lambda: steps(X=np.ones((4, 0), np.uint8)),
    "a token beyond the vocabulary": lambda: steps(X=np.full((4, 5), 3, np.uint8)),
    "a negative token": lambda: steps(X=np.full((4, 5), -1)),
    "tokens of int32": lambda: steps(X=np.ones((4, 5), np.int32)),
    "vectors of another width": lambda: steps(X=np.ones((4, 5, 2))),
    "vectors of int64": lambda: steps(X=np.ones((4, 5, 3), np.int64)),
    "labels of rows for steps": lambda: steps(t=np.zeros(4, np.int64)),
    "weights of too few steps": lambda: steps(weights=np.ones((4, 4))),
    "a mask of too few steps": lambda: steps(time=np.ones((4, 4), np.uint8)),
    "a mask of floats": lambda: steps(time=np.ones((4, 5))),
    "begins without states": lambda: steps(carried=None),
    "begins for too few batches": lambda: steps(begins=np.ones(1, np.uint8)),
    "states of too few sequences": lambda: steps(carried=np.zeros((1, 2))),
    "states of another width": lambda: steps(carried=np.zeros((2, 3))),
    "states of float32": lambda: steps(carried=np.zeros((2, 2), np.float32)),
    "a batch that goes on with others": lambda: steps(ends=np.array([2, 3])),
    "windows of rows": lambda: train(begins=np.ones(1, np.uint8), carried=np.zeros((5, 2))),
    "no prompt": lambda: write(prompt=np.zeros(0, np.int64)),
    "a prompt of unknown tokens": lambda: write(prompt=np.array([3])),
    "a prompt of negative tokens": lambda: write(prompt=np.array([-1])),
    "a cold temperature": lambda: write(temperature=-1.0),
    "no temperature": lambda: write(temperature=np.nan),
    "room for too few tokens": lambda: write(tokens=np.zeros(3, np.int64)),
    "tokens that are read-only": lambda: write(tokens=frozen(np.zeros(4, np.int64))),
    "theta of another network": lambda: write(theta=np.zeros(29)),
    "a state of another network": lambda: write(state=np.zeros((1, 3))),
    "no place for the state": lambda: write(new_state=np.zeros((1, 1))),
    "text of a network that answers once": lambda: write(text(recurrence=(6, 12, True))),
    "links of a pool": lambda: used(changed(POOL, links=[1]), DENSE),
    "fewer links than weights": lambda: used(changed(CONV, links=[1, 1], W=4)),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_the_extension_refuses(case: str) -> None:
    """Every one in a process of its own: with ValueError or TypeError, and alive."""
    answer, signal = in_a_fork(REFUSED[case])
    assert signal == 0, f"killed by signal {-signal}"
    assert answer.startswith(("ValueError: ", "TypeError: ")), answer


def test_what_is_right_is_taken() -> None:
    """The cases above differ from these in one thing."""
    given = usual()
    assert program(DENSE).train(**given) == 1
    assert (given["new_theta"] != given["theta"]).any()
    assert momentum() == 1
    assert two([3, 5]) == 2
    assert np.isfinite(used(DROPOUT, DENSE))
    assert np.isfinite(used(CONV))
    assert np.isfinite(used(changed(CONV, links=[0, 1])))
    assert np.isfinite(used(POOL, DENSE))
    forward()
    gradient(t=np.zeros(5, np.int64), weights=np.ones(5))


def test_read_only_inputs_are_taken() -> None:
    given = {name: frozen(value.copy()) if isinstance(value, np.ndarray) else value for name, value in usual().items()}
    given |= {"new_theta": np.zeros(8)} | {name: np.zeros(1) for name in ("costs", "penalties")}
    given["kept"] = np.zeros((0, 8))
    assert program(DENSE).train(**given) == 1


def test_theta_may_be_its_own_successor() -> None:
    """θ and states are read before they are written."""
    expected, own = usual(), usual()
    program(DENSE).train(**expected)
    own["new_theta"] = own["theta"]
    program(DENSE).train(**own)
    np.testing.assert_array_equal(own["theta"], expected["new_theta"])


def test_an_instruction_set_that_is_none_makes_no_program() -> None:
    """DELTARULE_ISA=nonsense: the Python face says why; the extension itself refuses too."""
    code = "from deltarule import _native\n"
    for call in (f"Program([{DENSE}], 8, True, 0, 0., True, False, False)", "evaluate('exp', x, x)"):
        tried = (
            f"import numpy as np; x = np.zeros(3)\ntry: _native.{call}\nexcept (ValueError, RuntimeError): print('no')"
        )
        done = python(code + tried, DELTARULE_ISA="nonsense")
        assert (done.returncode, done.stdout) == (0, "no\n"), call


# The Python face


def small() -> tuple[Network, Array, Array]:
    net = Network("4/6/3")
    return net, features(net, 10), targets(net, 10, labels=True)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two", True, 2**31, 2**70])
def test_threads_are_a_number_of_threads(threads: Any) -> None:
    net, X, t = small()
    with pytest.raises(HyperparameterError, match="threads"):
        dr.train(net, X, t, threads=threads, verbose=False)


def test_more_threads_than_there_is_work() -> None:
    """A hundred threads for ten rows: the same bits, and nobody is left behind."""
    found = []
    for threads in (1, 100):
        net, X, t = small()
        dr.train(net, X, t, threads=threads, epochs=2, verbose=False, engine="native")
        found.append((digest(net.theta), digest(*native.outputs(net, net.theta, X, threads=threads))))
    assert found[0] == found[1]


@pytest.mark.parametrize("state", [
    {"velocity": np.zeros(45)}, {"velocity": np.zeros(44, np.float32)}, {"velocity": np.zeros(90, np.float32)[::2]},
    {"velocity": np.zeros(45, ">f4")}, {},
])  # fmt: skip
def test_a_state_of_another_network_is_refused(state: dict[str, Array]) -> None:
    net, X, t = small()
    assert net.size == 51
    rule = optimizer("momentum")
    part = native.Slice(np.arange(10), np.array([10]), np.array([0.1]), [rule], 1)
    with pytest.raises((ValueError, TypeError, KeyError)):
        native.train(net, net.theta, state, X, t, None, part, Settings(0))


def test_theta_of_another_network_is_refused() -> None:
    net, X, t = small()
    for theta in (np.zeros(50), np.zeros((51, 1)), np.zeros(0)):
        with pytest.raises(ShapeError):
            net.cost_and_gradient(X, t, theta=theta)
