"""Data: readers of files and embedded sets, preprocessing fitted on the training part, the held-out split."""

from __future__ import annotations

from deltarule.data.columns import Column
from deltarule.data.dataset import Dataset
from deltarule.data.preprocessing import Preprocessing
from deltarule.data.sources import read
from deltarule.data.split import holdout
from deltarule.data.table import Table

__all__ = ["Column", "Dataset", "Preprocessing", "Table", "holdout", "read"]
