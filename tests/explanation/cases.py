"""Networks of every kind, each with one row, and what explains them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import deltarule as dr

WORDS = "".join(sorted(set("hello world")))  # eight characters


def _random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


Case = Callable[[], tuple[dr.Network, Any, Any, dict[str, Any]]]

CASES: dict[str, Case] = {
    "dense": lambda: (
        dr.Network("4/5/3", activation="sigmoid"), [0.2, -0.4, 1.0, 0.5], 2, {"learning_rate": 0.5},
    ),
    "regression": lambda: (
        dr.Network("3/4/2", activation="tanh", output="identity"), [0.2, -0.4, 1.0], [0.3, -1.0],
        {"optimizer": "adam"},
    ),
    "jacobian": lambda: (
        dr.Network("3/4/4/2", activation="leaky relu", output="softmax", cost="squared error"), [0.2, -0.4, 1.0], 1,
        {"weight_decay": 0.1, "optimizer": "nesterov(0.9)"},
    ),
    "one output": lambda: (dr.Network("3/4/1", activation="gelu"), [0.2, -0.4, 1.0], 1, {}),
    "counts": lambda: (dr.Network("3/4/2", activation="swish", output="exp"), [0.2, -0.4, 1.0], [1, 3], {}),
    "dropout": lambda: (
        dr.Network("6/8/dropout(0.5)/3", activation="elu"), _random(6), 1, {"dropout": True, "weight_decay": 0.01},
    ),
    "large": lambda: (dr.Network("64/90/10"), np.abs(_random(64)), 3, {}),
    "conv": lambda: (
        dr.Network("2x7x6/conv(3,3,pad=1,stride=2,border=-0.5)/maxpool(2,1)/4/2", activation="tanh"),
        _random(2, 7, 6), 1, {"weight_decay": 0.02},
    ),
    "links": lambda: (
        dr.Network("2x8x8/conv(3,3,links=((1,0),(1,1),(0,1)))/subsample(2)/meanpool(2,1)/3", activation="tanh"),
        _random(2, 8, 8), 1, {},
    ),
    "maps out": lambda: (dr.Network("1x4x4/conv(2,3,pad=1,activation=identity)", output="identity"),
                         _random(1, 4, 4), _random(32, seed=1), {}),
    "maps of classes": lambda: (dr.Network("1x4x4/conv(2,3,sigmoid)"), _random(1, 4, 4), np.arange(8) % 2, {}),
    "rnn": lambda: (dr.Network("seq(4)/rnn(5)/3"), _random(20, 4), np.arange(20) % 3, {}),
    "rnn last": lambda: (
        dr.Network("seq(3)/rnn(4,initial_state=learned,last=True)/2"), _random(5, 3), 1, {"weight_decay": 0.01},
    ),
    "two rnn, sum": lambda: (dr.Network("seq(3)/rnn(4)/rnn(3,last=True)/2", time="sum"), _random(5, 3), 1, {}),
    "steps, sum": lambda: (dr.Network("seq(3)/rnn(4)/2", time="sum"), _random(5, 3), [0, 1, 1, 0, 1], {}),
    "text": lambda: (
        dr.Network("seq(8)/rnn(6)/8", vocabulary=WORDS), np.arange(10) % 8, (np.arange(10) + 1) % 8, {},
    ),
}  # fmt: skip
