"""`diagnose`: the health of a network's backward pass, layer by layer."""

from __future__ import annotations

from numpy.typing import ArrayLike

from deltarule.diagnosis.health import Diagnosis, LayerHealth
from deltarule.diagnosis.measure import Measured, Rows, chosen, measured
from deltarule.diagnosis.verdicts import ENOUGH, Said, judged
from deltarule.errors import HyperparameterError
from deltarule.limits import number
from deltarule.network import Network, Samples
from deltarule.optimizers import Optimizer, check_decay
from deltarule.optimizers import optimizer as resolve_optimizer
from deltarule.schedules import Progress

__all__ = ["diagnose", "diagnosed"]


def diagnose(
    net: Network,
    X: Samples,
    t: ArrayLike,
    *,
    optimizer: Optimizer | str | None = "sgd",
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
    sample_weight: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    mask: ArrayLike | None = None,
) -> Diagnosis:
    """How δ comes back through every layer: whether it vanishes or explodes, what blocks it, and what an update does.

        mean |δ| = Σᵢ wᵢ Σⱼ |δᵢⱼ| / (n Σᵢ wᵢ),   ‖δ‖ = Σᵢ wᵢ ‖δᵢ‖ / Σᵢ wᵢ,   ratio = ‖δ⁽ˡ⁾‖ / ‖δ⁽ˡ⁺¹⁾‖

    Of the rows that weigh something, at most 1,024 are looked at, evenly spread (of large networks fewer, so that no
    more than 2²⁴ net values stand at once); dropout is off. The thresholds of the verdicts, with reasons and sources,
    are those of docs/mathematics.md.

    Args:
        net: any network; it is not changed.
        X, t: one sample or a batch `(m, …)`, as `trace` takes them. Dead units are told from a hundred rows on.
        optimizer: whose first update, from a state of zeros and without clipping, is compared with the weights; None
            leaves that out, and ∂C/∂W of the first layer with it: one that is not finite there is not seen.
        learning_rate: η of that update; the optimiser's own rate unless said.
        weight_decay: λ of (λ/2) Σ W² in C (AdamW has a decoupled one of its own instead).
        sample_weight, lengths, mask: as in `cost_and_gradient`.

    Returns:
        A `Diagnosis`: `.ok`, `.findings`, `.layers`, `.to_dict()`; `print` it for a table.

    Raises:
        ShapeError, DataError: X or t does not fit the network.
        HyperparameterError: a setting is outside its range, or weights would decay twice.

    Sources: Hochreiter, IJUFKS 6 (1998); Glorot and Bengio, AISTATS 9 (2010); Pascanu et al., ICML 28 (2013).

    >>> X, t = np.random.default_rng(0).normal(size=(200, 8)), np.arange(200) % 3
    >>> deep = Network("8" + "/20:sigmoid" * 12 + "/3")
    >>> found = diagnose(deep, X, t)
    >>> found.ok, found.findings[0].verdict, found.layers[-1].verdict
    (False, 'vanishing', 'healthy')
    >>> print(diagnose(Network("8/20/3"), X, t).sentence)
    the backward pass is healthy (on 200 rows)
    """
    if not isinstance(net, Network):
        raise HyperparameterError(f"diagnose takes a network first, not {net!r:.60}")
    rule = None if optimizer is None else resolve_optimizer(optimizer)
    rate = None if learning_rate is None else float(number("learning_rate", learning_rate, above=0))
    weight_decay = check_decay(rule, weight_decay)
    return diagnosed(net, chosen(net, X, t, sample_weight, lengths, mask), rule, rate, weight_decay)


def diagnosed(
    net: Network, rows: Rows, optimizer: Optimizer | None, learning_rate: float | None, weight_decay: float
) -> Diagnosis:
    """The diagnosis on rows that are prepared and chosen, for whoever asks again and again."""
    rule = None if optimizer is None else optimizer.at(Progress(0, 1, 1))
    rate = learning_rate if learning_rate is not None else 0.0 if rule is None else rule.own_rate
    found = measured(net, rows, rule, rate, weight_decay)
    return Diagnosis(tuple(map(_health, found.layers, judged(found))), found.rows, found.given)


def _health(own: Measured, said: Said) -> LayerHealth:
    return LayerHealth(
        own.stage, str(own.layer), own.mean_delta, own.length, own.ratio,
        own.idle if own.looks >= ENOUGH else None, own.saturated, own.update_ratio, own.through_time, *said,
    )  # fmt: skip
