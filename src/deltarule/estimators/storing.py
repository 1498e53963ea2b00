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
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.preprocessing import LabelBinarizer

from deltarule import files
from deltarule.errors import FileFormatError
from deltarule.estimators import descent
from deltarule.estimators.parameters import Best, Parameters
from deltarule.optimizers import SGD, Adam, Momentum, Nesterov, optimizer

__all__ = ["load", "save"]

T = TypeVar("T")

WHOLE, REAL = (int,), (int, float, dict)  # a dict stands for inf and NaN
JSON = (type(None), bool, int, float, str, list, dict)
ATTRIBUTES: dict[str, tuple[type, ...]] = {
    "n_features_in_": WHOLE, "n_iter_": WHOLE, "t_": WHOLE, "n_outputs_": WHOLE, "n_layers_": WHOLE,
    "out_activation_": (str,), "loss_": REAL,
}  # fmt: skip
DESCENT: dict[str, tuple[type, ...]] = {"_steps": WHOLE, "_seed": WHOLE}
EPOCHS: dict[str, tuple[type, ...]] = {  # of a network that was trained by epochs
    "_no_improvement_count": WHOLE, "best_loss_": (*REAL, type(None)), "best_validation_score_": (*REAL, type(None)),
}  # fmt: skip
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
FIELDS: dict[str, tuple[type, ...]] = {
    "format": (int,), "version": (str,), "class": (str,), "parameters": (dict,), "attributes": (dict,),
    "curves": (list,), "names": (list, type(None)), "labels": (dict, type(None)), "best": (list,),
    "descent": (dict, type(None)),
}  # fmt: skip
STEERING: dict[type[Any], dict[str, tuple[type, ...]]] = {  # of scikit-learn's optimisers, which say how η goes on
    SGDOptimizer: {"learning_rate_init": REAL, "learning_rate": REAL, "lr_schedule": (str,), "power_t": REAL},
    AdamOptimizer: {"learning_rate_init": REAL, "learning_rate": REAL},
}  # fmt: skip
LONGEST_LABEL = 10_000  # characters


def save(mlp: Any, path: str | Path) -> None:
    """Write a fitted estimator."""
    import deltarule

    own = mlp._network()
    goes_on = descent.goes_on(mlp, own)
    named = ATTRIBUTES | (EPOCHS if hasattr(mlp, "_no_improvement_count") else {}) | (DESCENT if goes_on else {})
    parameters = {name: _encoded(value, f"{name}=") for name, value in mlp.get_params(deep=False).items()}
    attributes = {name: _encoded(getattr(mlp, name), name) for name in named}
    coefs, intercepts = own.views(own.theta_of(mlp.coefs_, mlp.intercepts_))
    arrays = {f"coefs.{k}": c for k, c in enumerate(coefs)} | {f"intercepts.{k}": b for k, b in enumerate(intercepts)}
    best = mlp._best if mlp._best.theta.size == own.net.size else mlp._best._replace(theta=own.theta)
    arrays["best"] = best.theta.astype(own.theta.dtype, copy=False)
    if goes_on:
        arrays |= {f"state.{name}": a for name, a in mlp._state.items()}
    curves = [name for name in CURVES if getattr(mlp, name, None) is not None]
    arrays |= {name: np.array(getattr(mlp, name), np.float64) for name in curves}
    names = getattr(mlp, "feature_names_in_", None)
    metadata = {
        "version": deltarule.__version__, "class": type(mlp).__name__, "parameters": parameters,
        "attributes": attributes, "curves": curves, "names": None if names is None else names.tolist(),
        "labels": _labels(mlp) if is_classifier(mlp) else None, "best": [_encoded(v, "best") for v in best[:2]],
        "descent": _descent(mlp) if goes_on else None,
    }  # fmt: skip
    files.write(path, arrays, metadata, files.ESTIMATOR)


def _descent(mlp: Any) -> dict[str, Any]:
    """The rule, and how scikit-learn steers η."""
    steering = {name: _encoded(getattr(mlp._optimizer, name), name) for name in STEERING[type(mlp._optimizer)]}
    return {"rule": str(mlp._rule), **steering}


def _labels(mlp: Any) -> dict[str, Any]:
    kind = mlp._label_binarizer.y_type_
    values = _encoded(mlp.classes_.tolist(), "a label, ")
    sparse = bool(mlp._label_binarizer.sparse_input_)
    return {"kind": kind, "dtype": mlp.classes_.dtype.str, "values": values, "sparse": sparse}


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
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise FileFormatError(f"{path}: not what an {cls.__name__} is made of ({error})") from None


def _estimator(cls: Any, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Any:
    parameters = files.fields("parameters", meta["parameters"], dict.fromkeys(cls().get_params(), JSON))
    mlp = cls(**{name: _decoded(value) for name, value in parameters.items()})
    mlp._validate_params()
    epochs = "_no_improvement_count" in meta["attributes"]
    named = ATTRIBUTES | (EPOCHS if epochs else {}) | (DESCENT if meta["descent"] is not None else {})
    for name, value in files.fields("attributes", meta["attributes"], named).items():
        setattr(mlp, name, _decoded(value))
        if named[name] == WHOLE and value < 0:
            raise ValueError(f"{name} is {value}")
    arrays = dict(arrays)
    n = mlp.n_layers_ - 1
    mlp.coefs_, mlp.intercepts_ = ([arrays.pop(f"{what}.{k}") for k in range(n)] for what in ("coefs", "intercepts"))
    _check_shapes(mlp)
    if is_classifier(mlp):
        _set_labels(mlp, meta["labels"])
    if mlp.out_activation_ != mlp._output_activation():
        raise ValueError(f"out_activation_ is {mlp.out_activation_!r}, and should be {mlp._output_activation()!r}")
    if meta["names"] is not None:
        if len(meta["names"]) != mlp.n_features_in_ or not all(isinstance(name, str) for name in meta["names"]):
            raise ValueError("a name for every feature")
        mlp.feature_names_in_ = np.array(meta["names"], object)
    _set_curves(mlp, meta, arrays)
    own = mlp._own()
    value, epoch = map(_decoded, meta["best"])
    mlp._best = Best(float(value), int(epoch), _like_theta(own, arrays.pop("best")))
    if meta["descent"] is not None:
        _set_descent(mlp, own, meta["descent"], arrays)
    if arrays:
        raise ValueError(f"there is no array {next(iter(arrays))!r}")
    return mlp


def _check_shapes(mlp: Any) -> None:
    sizes, dtype = [mlp.n_features_in_, *(c.shape[-1] for c in mlp.coefs_)], mlp.coefs_[0].dtype
    fits = [c.shape for c in mlp.coefs_] == list(pairwise(sizes)) and sizes[-1] == mlp.n_outputs_
    fits = fits and [b.shape for b in mlp.intercepts_] == [(size,) for size in sizes[1:]]
    every = [*mlp.coefs_, *mlp.intercepts_]
    if not fits or dtype not in (np.float32, np.float64) or any(a.dtype != dtype for a in every):
        raise ValueError("the coefficients do not fit each other")
    if not all(np.isfinite(a).all() for a in every):
        raise ValueError("a coefficient is not finite")


def _like_theta(own: Parameters, a: NDArray[Any]) -> NDArray[Any]:
    if a.shape != own.theta.shape or a.dtype != own.theta.dtype or not np.isfinite(a).all():
        raise ValueError("an array is not of θ's shape and type, or not finite")
    return a


def _set_labels(mlp: Any, labels: dict[str, Any]) -> None:
    files.fields("labels", labels, {"kind": (str,), "dtype": (str,), "values": (list,), "sparse": (bool,)})
    dtype, values = np.dtype(labels["dtype"]), _decoded(labels["values"])
    if dtype.kind not in "biufUO" or dtype.itemsize > 4 * LONGEST_LABEL:
        raise ValueError(f"labels of type {labels['dtype']!r:.40}")
    classes = np.array(values, dtype)
    many = labels["kind"].startswith("multilabel")
    binarizer = LabelBinarizer().fit(np.eye(len(classes), dtype=int) if many else classes)
    if binarizer.y_type_ != labels["kind"] or not np.array_equal(binarizer.classes_, classes):
        raise ValueError(f"labels of kind {labels['kind']!r} are not {classes}")
    if mlp.n_outputs_ != (1 if labels["kind"] == "binary" else len(classes)):
        raise ValueError(f"{mlp.n_outputs_} outputs for {len(classes)} classes")
    binarizer.sparse_input_ = labels["sparse"]
    mlp._label_binarizer, mlp.classes_ = binarizer, binarizer.classes_


def _set_curves(mlp: Any, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    for name in CURVES if "_no_improvement_count" in meta["attributes"] else CURVES[2:]:
        setattr(mlp, name, None)
        if name in meta["curves"]:
            curve = arrays.pop(name)
            if curve.ndim != 1 or curve.dtype != np.float64:
                raise ValueError(f"{name} is no curve")
            setattr(mlp, name, curve.tolist())
    if set(meta["curves"]) - set(CURVES):
        raise ValueError(f"there are no such curves: {meta['curves']}")


def _set_descent(mlp: Any, own: Parameters, said: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    kind = SGDOptimizer if "lr_schedule" in said else AdamOptimizer
    files.fields("descent", said, {"rule": (str,), **STEERING[kind]})
    rule = optimizer(said["rule"])
    if type(rule) not in (SGD, Momentum, Nesterov, Adam) or isinstance(rule, Adam) != (kind is AdamOptimizer):
        raise ValueError(f"no estimator goes on by {rule}")
    mlp._optimizer = kind([])
    for name in STEERING[kind]:
        setattr(mlp._optimizer, name, _decoded(said[name]))
    mlp._rule = rule
    mlp._state = {name: _like_theta(own, arrays.pop(f"state.{name}")) for name in rule.begin(own.theta)}


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
        f"{where}{value!r} cannot be written to a file that executes nothing when it is read: it would hold numbers, "
        "text, lists and dicts"
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
        name, key, position, has_gauss, cached = content
        if name != "MT19937" or len(key) != 624 or not 0 <= position <= 624 or has_gauss not in (0, 1):
            raise ValueError("a random state is none")
        random = np.random.RandomState(0)
        random.set_state((name, np.array(key, np.uint32), int(position), int(has_gauss), float(cached)))
        return random
    raise ValueError(f"there is no kind of value {kind!r}")
