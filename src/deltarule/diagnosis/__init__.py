"""Diagnosis: how the error comes back through every layer, what blocks it, and what to do."""

from deltarule.diagnosis.examine import diagnose
from deltarule.diagnosis.health import Diagnosis, LayerHealth

__all__ = ["Diagnosis", "LayerHealth", "diagnose"]
