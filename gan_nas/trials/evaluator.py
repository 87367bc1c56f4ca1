"""The contract of evaluators: what turns trials into outcomes, and what that costs.

A class derived from `Evaluator` is a file of this folder and holds no more than trials need; what
they have in common are its `Terms`. Where its trials share weights, these are trained before a
trial is judged, in pieces that a checkpoint can come between.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import torch
from pydantic import BaseModel
from torch import Tensor

from gan_nas.data import Images
from gan_nas.errors import InvalidInput, RunFailed
from gan_nas.machine.memory import is_out_of_memory
from gan_nas.machine.ranks import Ranks
from gan_nas.metrics.backbone import Backbone
from gan_nas.networks.states import Saved
from gan_nas.progress import Progress, silent
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.run import never
from gan_nas.spaces.genome import Genome, Role
from gan_nas.spaces.space import Space
from gan_nas.training.config import TrainingConfig
from gan_nas.training.forecast import Work
from gan_nas.training.gan import GAN
from gan_nas.trials.trial import Outcome, Trial


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the trials of a search have in common."""

    evaluator: str
    """The setting: a name, and what follows a colon."""
    space: Space[Any]
    example: Genome
    """Some genome of their sizes."""
    training: TrainingConfig
    """How weights are trained; its seed and its length are not theirs."""
    fidelities: Sequence[int]
    """Real images of the lowest fidelity, and of those after it if there are any."""
    seed: int
    """Of the search."""
    wants_latency: bool
    """Whether generators are timed, too."""
    side: int
    channels: int
    device: torch.device


class Means(Protocol):
    """What a search lends to what judges for it."""

    @property
    def backbone(self) -> Backbone | None:
        """Return what scores; there is none where nothing is judged any more."""
        ...

    @property
    def cache(self) -> Path | None:
        """Return the folder of numbers of real images."""
        ...

    @property
    def stop(self) -> Callable[[], bool]:
        """Return what tells when to end early."""
        ...

    @property
    def ranks(self) -> Ranks:
        """Return the processes that search together."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Return where losses go, and what is shown."""
        ...

    def pixels(self, side: int) -> Images:
        """Return the images at a side, on the device."""
        ...


class Shared(BaseModel):
    """How far what all trials share is trained."""

    steps: int = 0
    """Of the generator."""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Evaluator(ABC):
    """Judges trials."""

    side_by_side: ClassVar[bool] = False
    """Whether several can be judged at once, in processes that get a copy of it."""
    shares_weights: ClassVar[bool] = False
    """Whether trials share weights: their images are seen once for all of them."""
    times_generators: ClassVar[bool] = False
    """Whether its outcomes can tell a latency."""
    pairs_up: ClassVar[bool] = False
    """Whether it judges what it has trained for a trial, all of a generation together."""
    searches: ClassVar[frozenset[Role]] = frozenset({"generator"})
    """Which network of a genome its trials may differ in."""
    needs_backbone: ClassVar[bool] = True
    """Whether it scores images, and does not tell scores that are known."""
    rests_on: ClassVar[str] = "one seed"
    """What a distance is that of."""

    stop: Callable[[], bool] = never
    progress: Progress = silent

    @classmethod
    def implied(cls, setting: str) -> Mapping[str, Any]:
        """Return the `data` and settings of a search that this evaluator has no others of."""
        del setting
        return {}

    @classmethod
    @abstractmethod
    def begin(cls, terms: Terms, means: Means, folder: Callable[[], Path], shared: Shared) -> Self:
        """Return what judges; runs of trials go into `folder`.

        Where weights are shared it is made at `shared`, which it then counts on, opens the ledger's
        windows and touches neither images nor backbone: its tensors are loaded next, or looked at.
        """

    @abstractmethod
    def __call__(self, trial: Trial) -> Outcome:
        """Judge a trial; raises Interrupted, and nothing for a trial that goes wrong."""

    @classmethod
    def check(cls, terms: Terms) -> None:
        """Raise InvalidInput for terms on which it cannot judge."""
        name, colon, _ = terms.evaluator.partition(":")
        if colon:
            raise InvalidInput(f"evaluator = {terms.evaluator}: nothing follows {name}")

    @classmethod
    def whole(cls, setting: str, images: int) -> int:
        """Return the real images of a whole trial, of which so many are asked for."""
        del setting
        return images

    @classmethod
    def spent(cls, trials: Sequence[Trial]) -> int:
        """Count the real images of trials; what goes on is counted once."""
        reached: dict[str, int] = {}
        for trial in trials:
            reached[trial.name] = max(reached.get(trial.name, 0), trial.images)
        return sum(reached.values())

    @classmethod
    @abstractmethod
    def work(cls, terms: Terms, images: int) -> Work:
        """Return the work of trials that see so many images in all."""

    @classmethod
    def sizes(cls, terms: Terms) -> dict[str, int]:
        """Return sizes of what it trains beside the genomes' own networks, for plans."""
        del terms
        return {}

    @classmethod
    def memory(cls, terms: Terms, num_together: int) -> int:
        """Return the bytes that it keeps of so many genomes trained together, for plans."""
        del terms, num_together
        return 0

    def prepare(self, trial: Trial, paths: Sequence[Genome]) -> bool:
        """Do the next piece of what must be done before a trial is judged; tell if there was any.

        `paths` are the genomes that shared weights are trained for after the lowest fidelity, or
        those that are trained together, the best one first; none: all of the space. Raises
        Interrupted between two steps.
        """
        del trial, paths
        return False

    def saved(self) -> Mapping[str, Saved]:
        """Return the tensors that a checkpoint keeps, in groups."""
        return {}

    def verify(self) -> None:
        """Raise RunFailed rather than let be saved what is not finite."""
        return

    def samples(self, trial: Trial, num: int) -> Tensor | None:
        """Return images of a trial that came to a good end, uint8 (N, C, H, W), if it kept weights.

        Those of weights that trials share follow from `trained`.
        """
        del trial, num
        return None

    def trained(self) -> GAN | None:
        """Return the networks that trials share, whose weights genomes may inherit."""
        return None


def failure(error: Exception) -> dict[str, str]:
    """Return what an outcome says of a trial that went wrong; raises what is no trial's end."""
    if isinstance(error, RunFailed):
        return {"status": error.outcome, "why": str(error)}
    if is_out_of_memory(error):
        return {"status": "out_of_memory", "why": "there was not enough memory for it"}
    raise error
