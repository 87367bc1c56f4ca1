"""Neural architecture search of GANs: genomes, builders, searches, training and scores.

What stands here is the public API; a name is imported, and torch with it, when it is first used.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_nas.data import Images as Images
    from gan_nas.data import Preparation as Preparation
    from gan_nas.data import load_images as load_images
    from gan_nas.errors import GanNasError as GanNasError
    from gan_nas.metrics.backbone import Backbone as Backbone
    from gan_nas.metrics.backbone import custom_backbone as custom_backbone
    from gan_nas.metrics.loading import load_backbone as load_backbone
    from gan_nas.networks.builder import build_discriminator as build_discriminator
    from gan_nas.networks.builder import build_generator as build_generator
    from gan_nas.networks.cost import genome_cost as genome_cost
    from gan_nas.networks.parts import layers_of as layers_of
    from gan_nas.networks.weights import Generator as Generator
    from gan_nas.networks.weights import load_generator as load_generator
    from gan_nas.scoring.comparing import compare as compare
    from gan_nas.scoring.comparing import read_scores as read_scores
    from gan_nas.scoring.protocols import Scores as Scores
    from gan_nas.scoring.score import score as score
    from gan_nas.scoring.scorer import Scorer as Scorer
    from gan_nas.search import load_method as load_method
    from gan_nas.search.drive import derive as derive
    from gan_nas.search.drive import search as search
    from gan_nas.search.method import Task as Task
    from gan_nas.spaces.diff import diff as diff
    from gan_nas.spaces.genome import Genome as Genome
    from gan_nas.spaces.published import load_genome as load_genome
    from gan_nas.spaces.published import published_names as published_names
    from gan_nas.spaces.random_genomes import sample_genomes as sample_genomes
    from gan_nas.training.config import TrainingConfig as TrainingConfig
    from gan_nas.training.config import training_preset as training_preset
    from gan_nas.training.finetuning import load_start as load_start
    from gan_nas.training.loop import train as train

    __version__: str

HOMES = {
    "Backbone": "metrics.backbone",
    "GanNasError": "errors",
    "Generator": "networks.weights",
    "Genome": "spaces.genome",
    "Images": "data",
    "Preparation": "data",
    "Scorer": "scoring.scorer",
    "Scores": "scoring.protocols",
    "Task": "search.method",
    "TrainingConfig": "training.config",
    "build_discriminator": "networks.builder",
    "build_generator": "networks.builder",
    "compare": "scoring.comparing",
    "custom_backbone": "metrics.backbone",
    "derive": "search.drive",
    "diff": "spaces.diff",
    "genome_cost": "networks.cost",
    "layers_of": "networks.parts",
    "load_backbone": "metrics.loading",
    "load_generator": "networks.weights",
    "load_genome": "spaces.published",
    "load_images": "data",
    "load_method": "search",
    "load_start": "training.finetuning",
    "published_names": "spaces.published",
    "read_scores": "scoring.comparing",
    "sample_genomes": "spaces.random_genomes",
    "score": "scoring.score",
    "search": "search",  # the folder itself, which can be called
    "train": "training.loop",
    "training_preset": "training.config",
}
"""The public names and the modules that define them."""

__all__ = list(HOMES)

# In a clone that is not installed, cli/ and genomes/ lie beside this folder, not in it.
if find_spec(f"{__name__}.genomes") is None:
    __path__.append(f"{__path__[0]}/..")  # pathlib would be one more thing to import


def __getattr__(name: str) -> object:
    """Import a public name from its module, at its first use."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("gan-nas")
        except PackageNotFoundError as error:
            from gan_nas.errors import MissingResource

            raise MissingResource(
                "gan-nas is not installed, so that nobody knows its version and what it needs: "
                "pip install . in the clone"
            ) from error
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{HOMES[name]}")
    value: object = home if name == HOMES[name] else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names and what is loaded."""
    return sorted({*HOMES, "__version__", *globals()})
