"""A fitted estimator as a safetensors file: parameters and attributes as JSON, numbers as arrays.

Reading executes nothing.

{"deltarule estimator": JSON text, "sha256": of that text and of every array}
arrays "coefs.0", "intercepts.0", …, "best", "state.velocity", …, "loss_curve_", …
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.neural_network._stochastic_optimizers import BaseOptimizer
from sklearn.preprocessing import LabelBinarizer

from deltarule import files
from deltarule.errors import FileFormatError
from deltarule.estimators import descent
from deltarule.estimators.parameters import Best

__all__ = ["load", "save"]

T = TypeVar("T")

ATTRIBUTES = (  # where an estimator has them
    "n_features_in_", "n_iter_", "t_", "n_outputs_", "n_layers_", "out_activation_", "loss_", "best_loss_",
    "best_validation_score_", "_no_improvement_count", "_steps", "_seed",
)  # fmt: skip
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,), "version": (str,), "class": (str,), "parameters": (dict,), "attributes": (dict,),
    "curves": (list,), "names": (list, type(None)), "labels": (dict, type(None)), "best": (list,),
    "rate": (float, int, type(None)),
}  # fmt: skip


def save(mlp: Any, path: str | Path) -> None:
    """Write a fitted estimator."""
    import deltarule

    parameters = {name: _encoded(value, f"{name}=") for name, value in mlp.get_params(deep=False).items()}
    attributes = {name: _encoded(getattr(mlp, name), name) for name in ATTRIBUTES if hasattr(mlp, name)}
    arrays = {f"coefs.{k}": c for k, c in enumerate(mlp.coefs_)}
    arrays |= {f"intercepts.{k}": b for k, b in enumerate(mlp.intercepts_)}
    arrays |= {f"state.{name}": a for name, a in getattr(mlp, "_state", {}).items()} | {"best": mlp._best.theta}
    curves = [name for name in CURVES if getattr(mlp, name, None) is not None]
    arrays |= {name: np.array(getattr(mlp, name), np.float64) for name in curves}
    names = getattr(mlp, "feature_names_in_", None)
    metadata = {
        "version": deltarule.__version__, "class": type(mlp).__name__, "parameters": parameters,
        "attributes": attributes, "curves": curves, "names": None if names is None else names.tolist(),
        "labels": _labels(mlp) if is_classifier(mlp) else None, "best": [_encoded(v, "best") for v in mlp._best[:2]],
        "rate": _encoded(mlp._optimizer.learning_rate, "rate") if hasattr(mlp, "_optimizer") else None,
    }  # fmt: skip
    files.write(path, arrays, metadata, files.ESTIMATOR)


def _labels(mlp: Any) -> dict[str, Any]:
    kind = mlp._label_binarizer.y_type_
    return {"kind": kind, "dtype": mlp.classes_.dtype.str, "values": _encoded(mlp.classes_.tolist(), "classes_")}


def load(cls: type[T], path: str | Path) -> T:
    """The estimator of class `cls` in a file.

    Raises:
        FileFormatError: the file is absent, corrupt, foreign, of a newer format, or holds another class.
    """
    arrays, found = files.read(path, files.ESTIMATOR)
    meta = files.fields(f"{path}: metadata", found, FIELDS)
    if meta["class"] != cls.__name__:
        raise FileFormatError(f"{path}: holds an {meta['class']}, not an {cls.__name__}; {meta['class']}.load reads it")
    try:
        mlp: T = _estimator(cls, meta, arrays)
        return mlp
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise FileFormatError(f"{path}: not what an {cls.__name__} is made of ({error})") from None


def _estimator(cls: Any, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Any:
    mlp = cls(**{name: _decoded(value) for name, value in meta["parameters"].items()})
    mlp._validate_params()
    for name, value in meta["attributes"].items():
        if name not in ATTRIBUTES:
            raise ValueError(f"there is no attribute {name}")
        setattr(mlp, name, _decoded(value))
    n = sum(name.startswith("coefs.") for name in arrays)
    mlp.coefs_, mlp.intercepts_ = ([arrays[f"{what}.{k}"] for k in range(n)] for what in ("coefs", "intercepts"))
    _check_shapes(mlp, arrays)
    for name in CURVES:
        setattr(mlp, name, arrays[name].tolist() if name in meta["curves"] else None)
    if mlp.solver == "lbfgs":
        del mlp.loss_curve_, mlp.validation_scores_
    if meta["names"] is not None:
        mlp.feature_names_in_ = np.array(meta["names"], object)
        if len(mlp.feature_names_in_) != mlp.n_features_in_:
            raise ValueError("a name for every feature")
    if is_classifier(mlp):
        _set_labels(mlp, meta["labels"])
    own = mlp._own()
    value, epoch = map(_decoded, meta["best"])
    mlp._best = Best(float(value), int(epoch), arrays["best"])
    state = {name.removeprefix("state."): a for name, a in arrays.items() if name.startswith("state.")}
    if meta["rate"] is not None:
        _set_descent(mlp, own, state, _decoded(meta["rate"]))
    if arrays["best"].shape != own.theta.shape or arrays["best"].dtype != own.theta.dtype:
        raise ValueError("the best weights are those of another network")
    return mlp


def _check_shapes(mlp: Any, arrays: dict[str, NDArray[Any]]) -> None:
    shapes, n = [c.shape for c in mlp.coefs_], len(mlp.coefs_)
    dtype = mlp.coefs_[0].dtype
    sizes = [mlp.n_features_in_, *(shape[1] for shape in shapes)]
    fits = shapes == list(pairwise(sizes)) and sizes[-1] == mlp.n_outputs_ and mlp.n_layers_ == n + 1
    fits = fits and [b.shape for b in mlp.intercepts_] == [(size,) for size in sizes[1:]]
    every = [*mlp.coefs_, *mlp.intercepts_]
    if not fits or dtype not in (np.float32, np.float64) or any(a.dtype != dtype for a in every):
        raise ValueError("the coefficients do not fit each other")
    if not all(np.isfinite(a).all() for a in every):
        raise ValueError("a coefficient is not finite")


def _set_labels(mlp: Any, labels: dict[str, Any]) -> None:
    classes = np.array(_decoded(labels["values"]), np.dtype(labels["dtype"]))
    binarizer = LabelBinarizer()
    if labels["kind"] == "multilabel-indicator":
        binarizer.fit(np.eye(len(classes), dtype=int))
    else:
        binarizer.fit(classes)
    if binarizer.y_type_ != labels["kind"] or not np.array_equal(binarizer.classes_, classes):
        raise ValueError(f"labels of kind {labels['kind']!r} are not {classes}")
    if mlp.n_outputs_ != (1 if labels["kind"] == "binary" else len(classes)):
        raise ValueError(f"{mlp.n_outputs_} outputs for {len(classes)} classes")
    mlp._label_binarizer, mlp.classes_ = binarizer, binarizer.classes_


def _set_descent(mlp: Any, own: Any, state: dict[str, NDArray[Any]], rate: Any) -> None:
    mlp._random_state = np.random.RandomState(0)  # what is drawn now is replaced below
    seed, steps = mlp._seed, mlp._steps
    descent.begin(mlp, own)
    wanted = {name: (a.shape, a.dtype) for name, a in mlp._state.items()}
    if {name: (a.shape, a.dtype) for name, a in state.items()} != wanted:
        raise ValueError(f"solver {mlp.solver!r} remembers other numbers than the file has")
    mlp._state, mlp._seed, mlp._steps = state, int(seed), int(steps)
    optimizer: BaseOptimizer = mlp._optimizer
    optimizer.learning_rate = float(rate)


# values as JSON can hold them


def _encoded(value: Any, where: str) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list | np.ndarray):
        items = [_encoded(item, where) for item in (value.tolist() if isinstance(value, np.ndarray) else value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {"dict": [[_encoded(k, where), _encoded(v, where)] for k, v in value.items()]}
    if isinstance(value, np.random.RandomState):
        name, key, *rest = value.get_state(legacy=True)
        return {"random": [name, np.asarray(key).tolist(), *rest]}
    raise ValueError(
        f"{where}{value!r} cannot be written to a file that executes nothing when read, which holds numbers, text, "
        "lists and dicts; set_params to one of those before you save"
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(_decoded(content))
    if kind == "dict":
        return {_decoded(k): _decoded(v) for k, v in content}
    if kind == "random":
        random = np.random.RandomState(0)
        random.set_state((content[0], np.array(content[1], np.uint32), *content[2:]))
        return random
    raise ValueError(f"there is no kind of value {kind!r}")
