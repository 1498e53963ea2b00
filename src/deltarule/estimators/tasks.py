"""scikit-learn's callbacks: a fit is a task, and so is each of its epochs (or of the minimiser's iterations)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Task", "Tasks"]


class Task:
    """One epoch or iteration; callbacks may want it to be the last."""

    stops = False


class Tasks:
    """The epochs of one fit, as its callbacks see them; true if there are any callbacks.

    Args:
        mlp: the estimator, with the callbacks that were set.
        data: X, y and the weights, as the user gave them; None where callbacks have no part (`partial_fit`).
    """

    def __init__(self, mlp: Any, data: tuple[Any, Any, Any] | None) -> None:
        self.mlp = mlp
        self.wanted = data is not None and bool(getattr(mlp, "_skl_callbacks", ()))
        if data is None:
            return
        X, y, weights = data
        self.given = {"X": X, "y": y, "metadata": None if weights is None else {"sample_weight": weights}}
        self.context = mlp._init_callback_context(max_subtasks=mlp.max_iter)
        self.context.call_on_fit_task_begin(estimator=mlp, **self.given)

    def __bool__(self) -> bool:
        return self.wanted

    @contextmanager
    def one(self, name: str) -> Iterator[Task]:
        """What happens within is a task of this name."""
        task = Task()
        if not self.wanted:
            yield task
            return
        context = self.context.subcontext(task_name=name)
        context.call_on_fit_task_begin(estimator=self.mlp, **self.given)
        yield task
        task.stops = context.call_on_fit_task_end(
            estimator=self.mlp, **self.given, reconstruction_attributes=self._network
        )

    def end(self) -> None:
        """The fit is over."""
        if hasattr(self, "context"):
            self.context.call_on_fit_task_end(estimator=self.mlp, **self.given, reconstruction_attributes={})

    def _network(self) -> dict[str, Any]:
        """What another estimator needs to predict as this one does now."""
        return {"coefs_": [c.copy() for c in self.mlp.coefs_], "intercepts_": [b.copy() for b in self.mlp.intercepts_]}
