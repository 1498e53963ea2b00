"""Training by mini-batch gradient descent: the loop, its batches, what it records, and who is told."""

from deltarule.training.batches import batches
from deltarule.training.callbacks import Callback, JSONLines, Run
from deltarule.training.history import History
from deltarule.training.loop import EarlyStopping
from deltarule.training.train import train

__all__ = ["Callback", "EarlyStopping", "History", "JSONLines", "Run", "batches", "train"]
