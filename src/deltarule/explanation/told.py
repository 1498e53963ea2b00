"""What an explanation tells, as JSON can hold it: see story.py for its arrays and steps.py for its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deltarule.architecture import Architecture
from deltarule.derivation.draft import drawn
from deltarule.derivation.sample import ours
from deltarule.diagnosis import diagnose
from deltarule.engines import textbook
from deltarule.errors import HyperparameterError, ShapeError
from deltarule.explanation.checks import checked
from deltarule.explanation.steps import Steps
from deltarule.explanation.story import arrays_of, constants_of, encoded, layers_of, parameters_after
from deltarule.layers import flat_size
from deltarule.network import Network
from deltarule.optimizers import Optimizer
from deltarule.trace import Trace

__all__ = ["named", "told"]

LONGEST_NAME = 200  # signs


def told(
    net: Network, tr: Trace, rule: Optimizer, eta: float, weight_decay: float, *, seed: int,
    health: tuple[Any, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    """The whole story but for names: of a trace in float64 of the network's one row."""
    steps = Steps(tr, rule, eta, weight_decay, net.preprocessing)
    masks = {layer.stage: layer.mask.reshape(1, -1) for layer in tr if layer.mask is not None}
    settings: dict[str, Any] = {"weight_decay": weight_decay, "masks": masks}
    arrays, after = arrays_of(tr), parameters_after(tr, rule, eta)
    if not ours(rule):  # the page does not know how to compute it
        arrays |= {f"{s.key}.new": after[s.start : s.stop].reshape(s.shape) for s in tr.net.slots}
    with np.errstate(all="ignore"):
        again = textbook.evaluate(tr.net, after, tr.done.caches[0].a_prev, tr.done.t, **settings)
    arrays["C_after"] = np.asarray(again.cost)
    checks, differences = checked(tr, seed, settings)
    arrays |= differences
    output = tr.net.output
    measured = (tr.net, tr.done.caches[0].a_prev, tr.done.t) if health is None else (net, *_pair(health))
    diagnosis = diagnose(*measured, optimizer=rule, learning_rate=eta, weight_decay=weight_decay)
    return {
        "network": _spelled(net), "layers": layers_of(tr), "divisor": steps.divisor,
        "T": int(tr.x.shape[0]) if net.input_shape[0] is None else None, "every": steps.every,
        "output": {
            "activation": output.activation.name, "cost": output.cost.name, "canonical": output.canonical,
            "constants": constants_of(output.cost), "ours": ours(output.cost) and ours(output.activation),
        },
        "decay": weight_decay, "eta": eta,
        "optimizer": {"name": rule.name, "text": str(rule), "constants": constants_of(rule), "ours": ours(rule)},
        "steps": steps.all(), "checks": checks, "health": diagnosis.to_dict(),
        "arrays": {name: encoded(a) for name, a in arrays.items()},
    }  # fmt: skip


def _pair(health: Any) -> tuple[Any, Any]:
    if not isinstance(health, tuple | list) or len(health) != 2:
        raise HyperparameterError("health is the rows to measure on, with their targets: health=(X, t)")
    return health[0], health[1]


def _spelled(net: Network) -> str:
    """The network's spelling, without how its weights were drawn."""
    layers = [drawn(layer) for layer in net.layers]
    return Architecture(layers, input_shape=net.input_shape, cost=net.output.cost).spec


def named(
    net: Network, tr: Trace, classes: Sequence[Any] | None, columns: Sequence[Any] | None
) -> dict[str, list[str] | None]:
    """Names of outputs, inputs and characters, where there are any."""
    pre = net.preprocessing
    for names in (classes, columns):
        if isinstance(names, str):
            raise HyperparameterError(f"names come as a list, ['no', 'yes'], and not as one text, {names!r:.60}")
    if classes is None and pre is not None and pre.classes is not None:
        classes = [c if isinstance(c, str) else f"class {c}" for c in pre.classes]
    maps = tr.y.ndim == 3
    if classes is None and net.is_classifier and net.n_outputs > 1 and net.vocabulary is None and not maps:
        classes = [f"class {k}" for k in range(net.n_outputs)]  # as `predict` answers
    if columns is None and pre is not None and pre.columns is not None:
        columns = [f"{c.name} = {level}" if c.levels else c.name for c in pre.columns for level in c.levels or ("",)]
    vocabulary = None if net.vocabulary is None else list(net.vocabulary.characters)
    outputs, inputs = net.n_outputs, flat_size(net.input_shape)
    fits = len(classes) == outputs or (outputs == 1 and len(classes) == 2) if classes is not None else True
    if not fits:
        raise ShapeError(f"{net.spec} has {outputs} outputs, and there are {len(classes or ())} names of classes")
    if columns is not None and len(columns) != inputs:
        raise ShapeError(f"{net.spec} has {inputs} inputs, and there are {len(columns)} names of columns")
    found = {"classes": classes, "columns": columns, "vocabulary": vocabulary}
    return {name: None if kept is None else [str(n)[:LONGEST_NAME] for n in kept] for name, kept in found.items()}
