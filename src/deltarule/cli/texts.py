"""`deltarule train` on a text: a model of its characters, learnt from streams side by side that carry their state.

The last part of the text is held out. What is left is cut into as many streams as a batch has rows; every update goes
on by a window of `--truncate` steps in all of them, so that there is nothing to shuffle.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Softmax
from deltarule.cli.job import Job, Scores, build, common, refuse
from deltarule.cli.record import Record
from deltarule.costs import CrossEntropy
from deltarule.data.sources import read_text
from deltarule.data.text import Streams, Vocabulary, streams
from deltarule.errors import DataError, HyperparameterError, ShapeError
from deltarule.limits import number, whole
from deltarule.network import Network

__all__ = ["held_out_part", "prepare", "scores_of"]

NETWORK, HELD_OUT, WINDOW = "seq/rnn(128)/*", 0.1, 50  # unless said
STREAMS = 32  # in which a text is scored


def prepare(o: SimpleNamespace, record: Record) -> Job:
    """The characters of a text, each the target of those before it."""
    refuse(
        o, "a text is learnt character by character, in streams", "target", "task", "standardize", "impute",
        "image_size", "colour", "balanced", "drop_last", "minimizer",
    )  # fmt: skip
    text = read_text(o.data)
    fingerprint = text.fingerprint()
    record.check(text.name, fingerprint)
    vocabulary = Vocabulary.of(text.characters, str(o.data))
    net = _network(o, vocabulary)
    tokens, fraction = vocabulary.encode(text.characters), HELD_OUT if o.held_out is None else o.held_out
    kept, held = held_out_part(tokens, fraction)
    learning, watched = (kept, None) if o.validation is None else held_out_part(kept, o.validation, "--validation")
    window = min(whole("--truncate", WINDOW if o.truncate is None else o.truncate), len(learning) - 1)
    count = min(whole("--batch-size", o.batch_size), (len(learning) - 1) // window)
    n = (len(learning) - 1) // count
    if n % window > n // 20:  # or a good part of a short text would not be learnt
        window = n // -(-n // window)
    X, t = streams(learning, count, window)
    data = {
        "name": text.name,
        "source": dict(text.source),
        "rows": len(text),
        "fingerprint": fingerprint,
        "task": "text",
        "vocabulary": len(vocabulary),
        "training_rows": len(kept),
        "held_out": {"fraction": fraction, "rows": len(held)},
    }

    def scores() -> Scores:
        return {"training": (len(kept), scores_of(net, kept)), "held out": (len(held), scores_of(net, held))}

    settings = common(o, X.shape[1] // window, batch_size=count, truncate=window)
    also = {"shuffle": False, "validation": None if watched is None else _in_streams(watched)}
    return Job(net, X, t, data, settings, also, scores, unit="characters")


def _network(o: SimpleNamespace, vocabulary: Vocabulary) -> Network:
    size = len(vocabulary)
    net = build(o, NETWORK if o.network is None else o.network, (None, size), size)
    if net.input_shape[0] is not None:
        raise ShapeError(f"{net.spec} takes no text; a network that does begins with seq, such as {NETWORK}")
    if net.input_shape != (None, size) or net.shapes[-1] != (None, size):
        raise ShapeError(
            f"the text has {size} different characters: its network takes seq({size}) and answers {size} at every "
            f"step, not {net.spec}; seq and * take the size from the text"
        )
    if not isinstance(net.output.activation, Softmax) or not isinstance(net.output.cost, CrossEntropy):
        raise HyperparameterError(
            f"the next character is one of many: output softmax with cross-entropy, not '{net.output.activation}' with "
            f"'{net.output.cost}'"
        )
    net.vocabulary = vocabulary
    return net


def held_out_part(
    tokens: NDArray[Any], fraction: float, option: str = "--held-out"
) -> tuple[NDArray[Any], NDArray[Any]]:
    """(What comes first, the last part) of a text; both are characters that follow others, two at least."""
    number(option, fraction, above=0, below=1)
    first = len(tokens) - round(fraction * len(tokens))
    if first < 2 or len(tokens) - first < 2:
        raise DataError(f"{option} {fraction:g} of {len(tokens):,} characters leaves too few to learn or to score")
    return tokens[:first], tokens[first:]


def _in_streams(tokens: NDArray[Any]) -> Streams:
    """All but at most 31 of the characters, in streams to be scored."""
    return streams(tokens, min(STREAMS, len(tokens) - 1))


def scores_of(net: Network, tokens: NDArray[Any]) -> dict[str, float]:
    """Nats and bits a character, and the share foretold, in streams that begin with no memory."""
    X, t = _in_streams(tokens)
    found = net.evaluate_rows(X, np.ascontiguousarray(t), None)
    return {"accuracy": found["accuracy"], "bits": found["cost"] / math.log(2), "nats": found["cost"]}
