"""JAX: whole epochs in one compiled call, `lax.scan` over the mini-batches, θ and the state donated.

Dense networks come with weights (out, in) and (in, out), and their gradient by `value_and_grad` and by hand; images in
three orders, convolved by XLA and as a product with all patches, pooled in two ways. Sequences are scanned within a
step, with their gradient through time by `grad` and by hand. Rows are gathered inside the step
or up front, the loop is unrolled or not, vectors are as XLA likes them (256 bits) or of 512, on one thread and on all.
The order is drawn by NumPy, which is faster than JAX's on a CPU. The cost of every mini-batch is kept.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.bench.cases import Case, flops
from deltarule.bench.jax_layers import (
    CONVOLUTIONS,
    DENSE_LAYOUTS,
    POOLINGS,
    RECURRENCES,
    Part,
    build,
    in_order,
    logits,
)
from deltarule.bench.peer import Formulation, Peer, Prediction, Training, blas_threads
from deltarule.bench.problem import Problem
from deltarule.optimizers import Adam, Momentum, Optimizer

__all__ = ["JAX"]

WORK_A_CALL = 1e9  # operations, at least: short epochs are joined, so that the start of a call does not count
LOOPS = (  # how rows are gathered, how many steps a turn of the loop holds, XLA's vector width if not its own
    ("step", 1, ""),
    ("step", 4, ""),
    ("step", 4, "512"),
    ("epoch", 1, ""),
)
LOOPS_OF_SEQUENCES = (("step", 1, ""), ("step", 1, "512"))  # the loop through time is the one that may be unrolled
TIMES, LONG = (1, 5), 100  # time steps a turn; sequences that are longer only lose by more than one
LOOPS_OF_IMAGES = {  # a step takes milliseconds, and unrolling it minutes to compile
    "lax.conv": (("step", 1, ""),),
    "patches": (("step", 1, ""), ("step", 1, "512")),
}


def _gradient(parts: Sequence[Part], layout: str, by_hand: bool) -> Callable[[Any, Any, Any], Any]:
    """(θ, x, t) → C and ∂C/∂θ; by hand for dense layers."""
    import jax
    import jax.numpy as jnp

    def cost(theta: Any, x: Any, t: Any) -> Any:
        logp = jax.nn.log_softmax(logits(parts, theta, x))
        return -jnp.sum(logp * jax.nn.one_hot(t.T.ravel(), logp.shape[1])) / len(logp)  # step by step, of sequences

    def cost_and_gradient(theta: Any, x: Any, t: Any) -> Any:
        a = [x]
        for part, p in zip(parts, theta):
            a.append(part.f(part.z(p, a[-1])))
        logp = jax.nn.log_softmax(a[-1])
        onehot = jax.nn.one_hot(t, logp.shape[1])
        delta = (jnp.exp(logp) - onehot) / len(x)
        g: list[Any] = []
        for k in reversed(range(len(theta))):
            g.insert(0, (a[k].T @ delta if layout == "W (in,out)" else delta.T @ a[k], delta.sum(0)))
            W = theta[k][0]
            if k > 0:
                delta = parts[k - 1].delta(a[k], delta @ W.T if layout == "W (in,out)" else delta @ W)
        return -jnp.sum(logp * onehot) / len(x), g

    return cost_and_gradient if by_hand else jax.value_and_grad(cost)


def _update(rule: Optimizer, eta: float) -> tuple[int, Callable[[Any, Any, Any, Any], Any]]:
    """How many arrays the state has beside each parameter, and (p, g, state, step) → (p, state) of one parameter."""
    import jax.numpy as jnp

    if isinstance(rule, Adam):
        beta1, beta2 = rule.beta1, rule.beta2

        def adam(p: Any, g: Any, state: Any, step: Any) -> Any:
            m = beta1 * state[0] + (1 - beta1) * g
            s = beta2 * state[1] + (1 - beta2) * g * g
            c1, c2 = (-jnp.expm1(step * math.log(beta)) for beta in (beta1, beta2))  # 1 − βᵗ, to float32's last bit
            return p - eta / c1 * m / (jnp.sqrt(s / c2) + rule.epsilon), (m, s)

        return 2, adam
    if isinstance(rule, Momentum):
        mu = rule.momentum

        def momentum(p: Any, g: Any, state: Any, step: Any) -> Any:
            v = mu * state[0] + eta * g
            return p - v, (v,)

        return 1, momentum
    return 0, lambda p, g, state, step: (p - eta * g, state)


def _compiled(parts: Sequence[Part], options: Any, update: Callable[..., Any]) -> Callable[..., Any]:
    """(θ, state, X, t, order) → (θ, state, costs), compiled; `order` holds the rows of one mini-batch a line."""
    import jax

    gradient = _gradient(parts, options["layout"], options["gradient"] == "by hand")
    up_front = options["gather"] == "epoch"

    def stretch(theta: Any, state: Any, X: Any, t: Any, order: Any) -> Any:
        def step(carry: Any, batch: Any) -> Any:
            theta, (n, arrays) = carry
            x, labels = batch if up_front else (X[batch], t[batch])
            cost, g = gradient(theta, x, labels)
            done = [[update(*one, n) for one in zip(*layer)] for layer in zip(theta, g, arrays)]
            theta = [tuple(p for p, _ in layer) for layer in done]
            return (theta, (n + 1, [tuple(s for _, s in layer) for layer in done])), cost

        batches = (X[order], t[order]) if up_front else order
        (theta, state), costs = jax.lax.scan(step, (theta, state), batches, unroll=options["unroll"])
        return theta, state, costs

    compiled: Callable[..., Any] = jax.jit(stretch, donate_argnums=(0, 1))
    return compiled


@functools.lru_cache(maxsize=2)
def _resident(problem: Problem, layout: str) -> tuple[Any, Any]:
    """X in the order of a layout, and t, on the device, once for all formulations."""
    import jax

    X = in_order(problem.X, problem.stages[0], {"layout": layout})
    return jax.device_put(X), jax.device_put(problem.t.astype(np.int32))


class _Training(Training):
    def __init__(self, problem: Problem, formulation: Formulation) -> None:
        case = problem.case
        super().__init__(problem, math.ceil(WORK_A_CALL / (flops(case) * case.steps * case.batch * case.length)))
        self.X, self.t = _resident(problem, formulation.options["layout"])
        self.parts = build(problem.stages, formulation.options)
        self.arrays, update = _update(problem.optimizer, problem.case.learning_rate)
        self.call = _compiled(self.parts, formulation.options, update)
        self.random = np.random.default_rng(0)

    def reset(self) -> None:
        import jax.numpy as jnp

        self.theta = [tuple(map(jnp.array, part.p)) for part in self.parts]
        zeros = [tuple(tuple(jnp.zeros_like(p) for _ in range(self.arrays)) for p in layer) for layer in self.theta]
        self.state = (jnp.ones(()), zeros)

    def train(self, epochs: int, order: NDArray[np.int64] | None = None) -> NDArray[Any]:
        costs = []
        for _ in range(epochs // self.epochs_a_repeat):
            orders = (self.random.permutation(len(self.problem.X)) if order is None else order
                      for _ in range(self.epochs_a_repeat))  # fmt: skip
            rows = np.concatenate([rows[: self.used] for rows in orders]).astype(np.int32)
            batches = rows.reshape(-1, self.problem.case.batch)
            self.theta, self.state, found = self.call(self.theta, self.state, self.X, self.t, batches)
            costs.append(found)
        return np.concatenate([np.asarray(found) for found in costs])  # waits for the end


def _prediction(problem: Problem, formulation: Formulation) -> Prediction:
    import jax
    import jax.numpy as jnp

    parts = build(problem.stages, formulation.options)
    theta = [tuple(map(jnp.array, part.p)) for part in parts]
    call = jax.jit(lambda theta, x: jax.nn.softmax(logits(parts, theta, x)))
    row = problem.X[0] if formulation.options["shape"] == "(n,)" else problem.X[:1]
    x = jax.device_put(row) if formulation.options["row"] == "device" else row
    return Prediction(lambda: call(theta, x).block_until_ready())


def _build(problem: Problem, formulation: Formulation) -> Training | Prediction:
    return (_Training if problem.case.kind == "train" else _prediction)(problem, formulation)


def _formulations(case: Case, threads: Sequence[int]) -> list[Formulation]:
    if case.kind == "predict":
        return [
            Formulation(f"jit, row {shape} from {row}, {layout}", n, {"row": row, "shape": shape, "layout": layout})
            for shape, row, layout, n in product(("(n,)", "(1, n)"), ("NumPy", "device"), DENSE_LAYOUTS, threads)
        ]
    ways: list[tuple[str, dict[str, Any], Sequence[tuple[str, int, str]]]] = [
        (f"{gradient}, {layout}", {"gradient": gradient, "layout": layout}, LOOPS)
        for gradient, layout in product(("grad", "by hand"), DENSE_LAYOUTS)
    ]
    if case.images:
        ways = [
            (f"{conv} {layout}, {pooling}", {"gradient": "grad", "conv": conv, "layout": layout, "pooling": pooling},
             LOOPS_OF_IMAGES[conv])
            for (conv, layout), pooling in product(CONVOLUTIONS, POOLINGS)
        ]  # fmt: skip
    if case.sequences:
        times = TIMES if case.length < LONG else TIMES[:1]
        ways = [
            (f"{recurrence} through time, {layout}" + f", {time} time steps a turn" * (time > 1),
             {"gradient": "grad", "recurrence": recurrence, "layout": layout, "time": time}, LOOPS_OF_SEQUENCES)
            for recurrence, layout, time in product(RECURRENCES, DENSE_LAYOUTS, times)
        ]  # fmt: skip
    return [
        Formulation(
            f"scan, {way}, rows gathered each {gather}"
            + f", unrolled {unroll}" * (unroll > 1) + f", {width} bits" * bool(width), n,
            {**options, "gather": gather, "unroll": unroll, "width": width},
        )
        for way, options, loops in ways
        for (gather, unroll, width), n in product(loops, threads)
    ]  # fmt: skip


def _environment(formulation: Formulation) -> dict[str, str]:
    """One thread is asked for in three ways; more than one is what XLA takes by itself, up to that number."""
    flags, width = [], formulation.options.get("width")
    if formulation.threads == 1:
        flags += ["--xla_cpu_multi_thread_eigen=false", "intra_op_parallelism_threads=1"]
    if width:
        flags.append(f"--xla_cpu_prefer_vector_width={width}")
    said = {"JAX_PLATFORMS": "cpu", "NPROC": str(formulation.threads), "XLA_FLAGS": " ".join(flags)}
    return said | blas_threads(formulation)


JAX = Peer("jax", "JAX jit + scan", _formulations, _build, ("jax",), "pip install 'deltarule[peers]'",
           environment=_environment)  # fmt: skip
