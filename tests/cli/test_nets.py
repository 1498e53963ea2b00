"""The documents' systems by name on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def test_check_takes_names(run: Callable[[str], Any]) -> None:
    done = run("check ufldl_cnn --samples 1 --method complex")
    assert done.code == 0, done.err
    assert "conv(20,9" in done.out


def test_train_takes_names_and_keeps_the_scaling(run: Callable[[str], Any], tmp_path: Any) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", X=random.integers(0, 256, (60, 28, 28)).astype(np.uint8), y=np.arange(60) % 3)
    done = run("train d.npz --network lenet5 --epochs 2 --output runs/a --quiet")
    assert done.code == 0, done.err
    shown = run("info runs/a")
    assert "pixels as x/255, standardised" in shown.out
    assert "dense(3,initializer=fan_in_uniform,bias_initializer=fan_in_uniform)" in shown.out
    assert run("evaluate runs/a d.npz").code == 0


def test_a_system_that_scales_is_not_standardised(run: Callable[[str], Any]) -> None:
    done = run("train digits --network lenet5 --standardize --quiet")
    assert done.code != 0
    assert "lenet5 scales its own inputs; leave out --standardize" in done.err


def test_images_of_another_size_are_refused(run: Callable[[str], Any]) -> None:
    done = run("train digits --network lenet5_modern --quiet")
    assert done.code != 0
    assert "64" in done.err
    assert "784" in done.err


def test_the_last_short_batch_may_be_left_out(run: Callable[[str], Any]) -> None:
    assert run("train iris --network 4/3 --epochs 2 --batch-size 50 --drop-last --output runs/a --quiet").code == 0
    assert "drop last True" in run("info runs/a").out


def test_only_pixels_are_scaled(run: Callable[[str], Any], tmp_path: Any) -> None:
    np.savez(tmp_path / "d.npz", X=np.random.default_rng(0).uniform(0, 255, (30, 28, 28)), y=np.arange(30) % 3)
    done = run("train d.npz --network lenet5 --quiet")
    assert done.code != 0
    assert "scales pixels, and the data are other numbers" in done.err
