"""Engines that run trials elsewhere, a file each; none is imported before it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_nas.trials.remote import Engine


def load_engine(name: str) -> "Engine":
    """Return the engine of an executor's name."""
    engine: Engine = import_module(f"gan_nas.trials.engines.{name}").ENGINE()
    return engine
