"""deltarule: neural networks trained by backpropagation, the generalised delta rule.

>>> import deltarule as dr
>>> net = dr.Network("64/100/10")
>>> print(net)
64/100/10
   layer                output  parameters
0  input                64
1  dense(100,relu)      100     6,500
2  dense(10,softmax)    10      1,010
   cost: cross_entropy  total   7,510
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deltarule import nets
from deltarule.engines import EngineInfo, engine_info
from deltarule.errors import (
    DataError,
    DeltaruleError,
    DivergenceError,
    FileFormatError,
    GrammarError,
    HyperparameterError,
    MissingExtraError,
    ShapeError,
    UnknownNameError,
)
from deltarule.gradcheck import GradientCheck, check_gradient
from deltarule.layers import RNN, Conv, Dense, Dropout, MaxPool, MeanPool, Subsample
from deltarule.loading import load
from deltarule.minimize import Minimum, hessian_vector_product, minimize
from deltarule.network import Network
from deltarule.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    AMSGrad,
    Momentum,
    Nadam,
    Nesterov,
    RMSProp,
    RProp,
)
from deltarule.schedules import (
    Constant,
    Cosine,
    ExponentialDecay,
    InverseTimeDecay,
    OneCycle,
    OneCycleMomentum,
    Piecewise,
    PolynomialDecay,
    ReduceOnPlateau,
    StepDecay,
    WarmUp,
)
from deltarule.trace import Trace, trace
from deltarule.training import Callback, EarlyStopping, History, JSONLines, Run, batches, train
from deltarule.writing import generate

if TYPE_CHECKING:
    from deltarule.derivation import Derivation, derive
    from deltarule.diagnosis import Diagnosis, diagnose
    from deltarule.estimators import MLPClassifier, MLPRegressor
    from deltarule.explanation import Explanation, explain
    from deltarule.training.diagnose import Diagnose


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


_LATER = {  # imported when asked for: scikit-learn takes longer than all the rest, and few runs derive or explain
    "MLPClassifier": "estimators", "MLPRegressor": "estimators", "Derivation": "derivation", "derive": "derivation",
    "Diagnosis": "diagnosis", "diagnose": "diagnosis", "Explanation": "explanation", "explain": "explanation",
    "Diagnose": "training.diagnose",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"deltarule.{_LATER[name]}"), name)
    if name == "__version__":  # looked up when asked: importlib.metadata takes as long as the rest
        from importlib.metadata import version

        return version("deltarule")
    raise AttributeError(f"module 'deltarule' has no attribute '{name}'")


__all__ = [
    "RNN",
    "SGD",
    "AMSGrad",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Callback",
    "Constant",
    "Conv",
    "Cosine",
    "DataError",
    "DeltaruleError",
    "Dense",
    "Derivation",
    "Diagnose",
    "Diagnosis",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "EngineInfo",
    "Explanation",
    "ExponentialDecay",
    "FileFormatError",
    "GradientCheck",
    "GrammarError",
    "History",
    "HyperparameterError",
    "InverseTimeDecay",
    "JSONLines",
    "MLPClassifier",
    "MLPRegressor",
    "MaxPool",
    "MeanPool",
    "Minimum",
    "MissingExtraError",
    "Momentum",
    "Nadam",
    "Nesterov",
    "Network",
    "OneCycle",
    "OneCycleMomentum",
    "Piecewise",
    "PolynomialDecay",
    "RMSProp",
    "RProp",
    "ReduceOnPlateau",
    "Run",
    "ShapeError",
    "StepDecay",
    "Subsample",
    "Trace",
    "UnknownNameError",
    "WarmUp",
    "batches",
    "check_gradient",
    "derive",
    "diagnose",
    "engine_info",
    "explain",
    "generate",
    "hessian_vector_product",
    "load",
    "minimize",
    "nets",
    "trace",
    "train",
]
