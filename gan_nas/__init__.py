"""Neural architecture search of GANs: genomes, builders, searches, training and scores."""

from importlib.metadata import version

__version__ = version("gan-nas")
