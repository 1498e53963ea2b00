"""Data: readers of files, texts and embedded sets, preprocessing fitted on the training part, the held-out split."""

from __future__ import annotations

from typing import Any

from deltarule.data.columns import Column
from deltarule.data.dataset import Dataset
from deltarule.data.images import ImageForm
from deltarule.data.preprocessing import Preprocessing
from deltarule.data.split import holdout
from deltarule.data.table import Table
from deltarule.data.text import Streams, Text, Vocabulary, read_text, streams

__all__ = [
    "Column", "Dataset", "ImageForm", "Preprocessing", "Streams", "Table", "Text", "Vocabulary", "holdout", "read",
    "read_text", "streams",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "read":  # the readers of files are loaded when the first one is read
        from deltarule.data.sources import read

        return read
    raise AttributeError(f"module 'deltarule.data' has no attribute '{name}'")
