"""The contract of search methods: a Method says what it is and starts a Search on a Task.

A Search is its paper's Algorithm, taken apart: `advance` is the body, the smallest unit that can
be repeated; its state is a record and groups of tensors; `found` reads it back into genomes. It
never opens a file. What drives it (drive.py) owns the run directory, clock, log, checkpoints,
signals, limits, plans and results, and never knows a method.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

import torch
from pydantic import BaseModel, Field, JsonValue
from torch import Tensor, nn

from gan_nas.configs import Settings, find_preset, resolve
from gan_nas.data import Images
from gan_nas.errors import InvalidInput
from gan_nas.machine.ranks import ALONE, Ranks
from gan_nas.metrics.backbone import Backbone
from gan_nas.networks.cost import Cost
from gan_nas.networks.states import Saved
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.results import Conclusion, SearchResult
from gan_nas.runs.run import never
from gan_nas.scoring.scorer import Scorer
from gan_nas.search.best import Limit
from gan_nas.spaces.genome import Genome, Role
from gan_nas.spaces.published import EXAMPLE
from gan_nas.spaces.schema import GeneratorGenome
from gan_nas.streams import stream
from gan_nas.training.forecast import Scale, Work
from gan_nas.training.timing import Phase

CPU = torch.device("cpu")


class SearchConfig(Settings):
    """What every search can be asked for; a method adds its own."""

    seed: int = Field(default=0, ge=0)
    """Decides every random draw."""
    resolution: int | None = Field(default=None, ge=8, le=512)
    """Side of the images, a multiple of 8; none takes the data's own."""
    top_k: int = Field(default=5, ge=1, le=1000)
    """Architectures the search ends with."""
    max_params: int | None = Field(default=None, ge=1)
    """Most parameters of a derived generator; or discriminator, where these are searched."""
    max_macs: int | None = Field(default=None, ge=1)
    """Most multiply-adds of the same network, for an image, at the search's resolution."""
    derived_width: int = Field(default=128, ge=1, le=2048)
    """Generator width written into the genomes found; limits are counted at it."""
    derived_discriminator_width: int = Field(default=128, ge=1, le=2048)
    """Discriminator width written into the genomes found."""
    save_every: int = Field(default=500, ge=1)
    """Steps between checkpoints: what a crash may lose."""

    @property
    def limit(self) -> Limit:
        """Return the limits on derived generators."""
        return Limit(self.max_params, self.max_macs)


class ImageShape(NamedTuple):
    """What is known of images without having them."""

    name: str
    side: int
    channels: int


C = TypeVar("C", bound=SearchConfig)
S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Task(Generic[C]):
    """What a search works on: settings, images, a device, and what scores."""

    config: C
    images: Images | ImageShape
    """Their shape is enough to derive without scoring."""
    device: torch.device = CPU
    backbone: Backbone | None = None
    cache: Path | None = None
    """A folder where the numbers of real images are kept between runs."""
    stop: Callable[[], bool] = never
    """Tells when to end early."""
    ledger: Ledger = field(default_factory=Ledger)
    jobs: int = 1
    """Trials that are judged at once, each in a process of its own."""
    executor: str = "local"
    """Where they are: a name of `trials.EXECUTORS`."""
    ranks: Ranks = ALONE
    """Processes that search together."""
    folder: Path | None = None
    """Where a search may have whole trainings; none without a run."""

    @property
    def side(self) -> int:
        """Return the side of the largest images of the search."""
        return self.config.resolution or self.images.side

    @property
    def channels(self) -> int:
        """Return the channels of the images."""
        return self.images.channels

    def pixels(self, side: int) -> Images:
        """Return the images at a side, on the device."""
        assert isinstance(self.images, Images), "this work needs the images themselves"
        return self.images.at(side).to(self.device)

    def scorer(self, side: int, num_splits: int = 1, num_reference: int | None = None) -> Scorer:
        """Return what scores images of a side against the real ones."""
        assert self.backbone is not None, "this work needs a backbone"
        images = self.pixels(side)
        return Scorer(
            self.backbone,
            images,
            side,
            num_splits,
            num_reference,
            self.cache,
            stop=self.stop,
            progress=self.ledger.show,
        )

    def latents(self, num: int, latent_dim: int, purpose: str, step: int) -> Tensor:
        """Draw latents (num, latent_dim) of N(0, I) for a purpose and step."""
        random = stream(self.config.seed, purpose, step, device=self.device)
        return torch.randn(num, latent_dim, generator=random, device=self.device)


class Find(NamedTuple):
    """An architecture that was found, with what it is ranked by and its scores, if any."""

    genome: Genome
    values: dict[str, float]
    scores: dict[str, float] | None = None
    role: Role = "generator"
    """Which of its networks was searched: words and costs are told of it."""


class Trained(NamedTuple):
    """The networks a search trained, with their weights, on the CPU."""

    sizes: GeneratorGenome
    """Some generator of the supernet's sizes."""
    generator: nn.Module
    discriminator: nn.Module | None
    latent_scale: float = 1.0
    """How long its latents were, to those of N(0, I)."""


class Search(ABC, Generic[S]):
    """One search under way."""

    state: S
    """Where it is, without tensors."""

    @property
    @abstractmethod
    def step(self) -> int:
        """Count the units that are done: a number that only grows."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Tell whether nothing is left to do."""

    @abstractmethod
    def advance(self) -> None:
        """Do one unit of the algorithm; when it raises Interrupted it can be done again."""

    @abstractmethod
    def found(self, count: int, limit: Limit, *, anew: bool) -> list[Find]:
        """Return the best `count` architectures within a limit, best first.

        `anew` when others are asked for than the search itself ends with. Fewer where there are
        no more; raises InvalidInput where there are none.
        """

    def samples(self, find: Find, num: int) -> Tensor | None:
        """Return `num` images of what was found, uint8 (N, C, H, W), on weights it was judged by.

        None where there are no such weights. Networks that `trained` returns need no more. Raises
        RunFailed for images that are not finite; it is not asked to stop.
        """
        del find, num
        return None

    def saved(self) -> Mapping[str, Saved]:
        """Return the tensors that a checkpoint keeps, in groups."""
        return {}

    def verify(self) -> None:
        """Raise RunFailed rather than let be saved what is not finite; nothing is by default."""
        return

    def conclude(self, found: Sequence[Find]) -> Conclusion:
        """Return what there is to tell at the end beside the genomes, and draw it."""
        del found
        return Conclusion()

    def trained(self) -> Trained | None:
        """Return the networks whose weights genomes may inherit, none where there are none."""
        return None


class Column(NamedTuple):
    """A value that genomes are ranked by, and how it is written."""

    name: str
    format: str = ".4g"
    best: Literal["highest", "lowest"] = "highest"

    @property
    def words(self) -> str:
        """Return the name as tables say it."""
        return self.name.replace("_", "-")


class Method(ABC, Generic[C, S]):
    """A way to search; one instance serves all runs.

    Of the defaults below, a method that has a supernet replaces most.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """As its paper writes it."""
    spaces: ClassVar[tuple[str, ...]]
    """What it searches, the first by default."""
    Config: type[C]
    State: type[S]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    columns: ClassVar[Sequence[Column]]
    """What a genome's `values` hold; the first ranks."""
    example: ClassVar[str] = EXAMPLE
    """A published genome to time beside it."""
    parts: ClassVar[str] = "cells"
    """What its generators are made of."""
    scores: ClassVar[frozenset[str]] = frozenset({"search", "derive"})
    """Which of both looks at images through a backbone."""
    evidence: ClassVar[str] = ""
    """What was measured of what it finds, beside random search (docs/evidence.md): in a sentence,
    which a search ends with."""

    @abstractmethod
    def start(self, task: Task[C], state: S | None = None) -> Search[S]:
        """Start a search, or make one as it was at a state, whose tensors are loaded next."""

    def scores_by(self, config: C) -> frozenset[str]:
        """Return which of both does so by these settings."""
        del config
        return self.scores

    def space_of(self, config: C) -> str:
        """Return the space that settings search."""
        del config
        return self.spaces[0]

    def side_by_side(self, config: C) -> bool:
        """Tell whether it judges genomes in jobs, several at once."""
        del config
        return False

    def seen_seed(self, config: C) -> int | None:
        """Return the seed of trainings that it chooses genomes by; None where there are none."""
        del config
        return None

    def batches(self, config: C) -> Mapping[str, int]:
        """Return the batches that several processes split, by the settings that say their sizes.

        None by default: then one process searches alone, whoever launches several.
        """
        del config
        return {}

    def check(self, task: Task[C]) -> None:
        """Raise InvalidInput for what cannot be done, before a run is made."""

    def longer(self, config: C, factor: float) -> C:
        """Return the settings of a search that takes about so many times as long.

        Raises InvalidInput where a method does not say how.
        """
        del config, factor
        raise InvalidInput(
            f"{self.name} does not say how its search is made longer: leave it out, or give its "
            "Method a `longer`"
        )

    def sides(self, config: C, side: int) -> Sequence[int]:
        """Return the sides that images are brought to."""
        del config
        return [side]

    def decisions(self, config: C, side: int) -> dict[str, JsonValue]:
        """Return what else the run's settings tell, by name."""
        del config, side
        return {}

    def sizes(self, config: C, side: int, channels: int) -> dict[str, int | Cost]:
        """Return sizes of the space and of networks, for plans."""
        del config, side, channels
        return {}

    def phases(self, config: C, side: int, channels: int, device: torch.device) -> Sequence[Phase]:
        """Return the phases whose steps tell time and memory; none are foretold by default."""
        del config, side, channels, device
        return []

    def work(self, config: C, side: int, channels: int, device: torch.device) -> Work:
        """Return the work of a search, to forecast and to time."""

        def build(scale: Scale, on: torch.device) -> Sequence[Phase]:
            return self.phases(scale.of(config), side // scale.side, channels, on)

        batch_size = getattr(config, "batch_size", 1)
        recorded = self.records(config, device)
        return Work(build, side=side, batch_size=batch_size, device=device, recorded=recorded)

    def records(self, config: C, device: torch.device) -> bool:
        """Tell whether the steps are recorded on a device, which keeps memory for each of them."""
        del config, device
        return False

    def memory(self, config: C, num_images: int, side: int, channels: int) -> tuple[int, int]:
        """Return bytes on top of those of the phases: kept all along, and taken at the start."""
        del config, num_images, side, channels
        return 0, 0

    def explain(self, result: SearchResult) -> str:
        """Say in words what the ranking rests on."""
        del result
        return ""

    def task(
        self,
        images: Images,
        preset: str | None = None,
        *,
        device: torch.device = CPU,
        **values: Any,
    ) -> Task[C]:
        """Return the task of this method on images: a preset's settings, and single ones."""
        chosen = preset or next(iter(self.presets), None)
        start = {} if chosen is None else find_preset(self.presets, chosen)
        config = resolve(self.Config, start, options=values)
        return Task(config=config, images=images, device=device)


def times(number: int, factor: float) -> int:
    """Return so many times a number of steps, at least one."""
    return max(1, round(factor * number))


def mean_entropies(result: SearchResult) -> str:
    """Say the mean entropy of an edge, in nats, of alpha and its like."""
    entropies = result.facts["entropy"]
    if not isinstance(entropies, dict):
        raise TypeError("entropies are named")
    said = " and ".join(f"{name} {value:.3f}" for name, value in entropies.items())
    return f"Mean entropy of an edge, in nats: {said}"
