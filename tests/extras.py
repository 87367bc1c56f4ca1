"""What needs an extra of the package: its tests skip, and say so, where that is not installed."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import pytest

needs_optuna = pytest.mark.skipif(
    any(find_spec(package) is None for package in ("optuna", "cmaes")),
    reason="gan-nas[optuna] is not installed",
)
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="gan-nas[ray] is not installed")
needs_submitit = pytest.mark.skipif(
    find_spec("submitit") is None, reason="gan-nas[slurm] is not installed"
)

needs_onnx = pytest.mark.skipif(
    any(find_spec(package) is None for package in ("onnx", "onnxscript", "onnxruntime")),
    reason="gan-nas[onnx] is not installed",
)


needs_tensorboard = pytest.mark.skipif(
    find_spec("tensorboardX") is None, reason="gan-nas[tensorboard] is not installed"
)


def methods(names: Iterable[str]) -> list[Any]:
    """Return names of methods as parameters of a test."""
    return [pytest.param(name, marks=needs_optuna if name == "optuna" else ()) for name in names]
