"""A callback that diagnoses the backward pass while a network trains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from numpy.typing import ArrayLike

from deltarule.diagnosis import Diagnosis
from deltarule.diagnosis.examine import diagnosed
from deltarule.diagnosis.measure import Rows, chosen
from deltarule.limits import whole
from deltarule.network import Samples
from deltarule.optimizers import Optimizer, check_decay
from deltarule.optimizers import optimizer as resolve_optimizer
from deltarule.training.callbacks import Callback, Run

__all__ = ["Diagnose"]

SHARE = 0.03  # of the time, where nobody says how often


_limit = Lock()  # held by whoever has set the limit: it is one for the whole process


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")  # it looks through all libraries that are loaded


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS computes on one thread; if another has set that already, this one leaves setting and restoring to him.

    threadpoolctl restores what it found, and in the thread that set it: were it set twice, the second would find and
    restore 1, and were the last to leave to restore for the first, nothing would happen.
    """
    if not _limit.acquire(blocking=False):
        yield
        return
    try:
        with _blas().limit(limits=1):
            yield
    finally:
        _limit.release()


class Diagnose(Callback):
    """Diagnoses the network after epochs; prints nothing, and changes nothing.

    X and t are prepared once, when training begins; at most 1,024 rows of them are looked at, and a hundred or two are
    enough. The way back is the textbook engine's, which on small networks takes as long as the native engine takes for
    many times the rows.

    Args:
        X, t, weight_decay, sample_weight, lengths, mask: as in `diagnose`.
        every: epochs from one diagnosis to the next; unless said, after the first epoch, the last that is done, and of
            those between as many as take no more than 3 % of the time. Where training ends early, the last diagnosis
            is made at its end: of the best weights where early stopping has put them back, and none after an error.
        optimizer: give the one that trains, and its first update at the run's present learning rate is compared with
            the weights (from a state of zeros, its own memory stays with it, and without clipping); without one no
            update is judged, and ∂C/∂W of the first layer is not computed: one that is not finite is not seen there.

    Attributes:
        found: (epoch, diagnosis), in order.

    >>> from deltarule import Network, train
    >>> X, t = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> watch = Diagnose(X, t, every=50)
    >>> history = train(Network("2/8/2", activation="tanh"), X, t, epochs=100, callbacks=[watch], verbose=False)
    >>> [(epoch, diagnosis.ok) for epoch, diagnosis in watch.found]
    [(50, True), (100, True)]
    """

    def __init__(
        self,
        X: Samples,
        t: ArrayLike,
        every: int | None = None,
        *,
        optimizer: Optimizer | str | None = None,
        weight_decay: float = 0.0,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> None:
        self.X, self.t, self.every = X, t, None if every is None else whole("every", every)
        self.optimizer = None if optimizer is None else resolve_optimizer(optimizer)
        self.weight_decay = check_decay(self.optimizer, weight_decay)
        self.sample_weight, self.lengths, self.mask = sample_weight, lengths, mask
        self.found: list[tuple[int, Diagnosis]] = []
        self._rows: Rows | None = None
        self._began = self._spent = self._took = 0.0  # seconds: when training began, for all diagnoses, for the last

    def on_begin(self, run: Run) -> None:
        self._rows = chosen(run.net, self.X, self.t, self.sample_weight, self.lengths, self.mask)
        self.found = []
        self._began, self._spent, self._took = time.perf_counter(), 0.0, 0.0

    def on_epoch(self, run: Run) -> None:
        if self.every is not None:
            wanted = run.epoch % self.every == 0
        else:
            paid = self._spent + self._took <= SHARE * (time.perf_counter() - self._began)
            wanted = paid or run.epoch == run.epochs
        if wanted:
            self._diagnose(run)

    def on_end(self, run: Run) -> None:
        last = self.found[-1][0] if self.found else 0
        if self.every is None and run.epoch > last and run.history.stopped:  # which says why, but of an error nothing
            self._diagnose(run)

    def _diagnose(self, run: Run) -> None:
        began = time.perf_counter()
        assert self._rows is not None
        with one_thread():  # its other threads would spin on where training computes
            found = diagnosed(run.net, self._rows, self.optimizer, run.learning_rate, self.weight_decay)
        self.found.append((run.epoch, found))
        self._took = time.perf_counter() - began
        self._spent += self._took
