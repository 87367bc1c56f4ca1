"""AdversarialNAS as a method: its space, settings, sizes, and what log-probabilities mean."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from gan_nas.networks.cost import Cost, num_parameters
from gan_nas.runs.results import SearchResult
from gan_nas.search.adversarialnas.config import PRESETS
from gan_nas.search.adversarialnas.config import Config as Settings
from gan_nas.search.adversarialnas.genomes import check_limits
from gan_nas.search.adversarialnas.search import AdversarialNASSearch
from gan_nas.search.adversarialnas.search import State as Record
from gan_nas.search.adversarialnas.super_gan import networks, phases, records
from gan_nas.search.method import Column, Method, Task, mean_entropies, times
from gan_nas.spaces.adversarialnas import DOWN_CELLS, count
from gan_nas.training.timing import Phase


class AdversarialNAS(Method[Settings, Record]):
    """The method: what `gan-nas search --method adversarialnas` runs."""

    name = "adversarialnas"
    title = "AdversarialNAS"
    evidence = (
        "Measured at 90 s a search: not to be told from random search (1.3 times its distance on "
        "digits, p = 0.40; with alpha a tenth as fast 1.1 and 1.3 times on CIFAR-10 at 16 and 32 "
        "px, p = 0.75 and 0.16)."
    )
    spaces = ("adversarialnas",)
    Config = Settings
    State = Record
    presets = PRESETS
    example = "adversarialnas-cifar10"
    columns: ClassVar = [Column("log_probability", ".3f")]
    scores = frozenset({"search"})

    def start(self, task: Task[Settings], state: Record | None = None) -> AdversarialNASSearch:
        """Start a search."""
        return AdversarialNASSearch(task, state)

    def batches(self, config: Settings) -> dict[str, int]:
        """Return those of the supernets; real batches have a half for beta."""
        return {
            "half of batch_size": config.batch_size // 2,
            "generator_batch_size": config.generator_batch_size,
        }

    def check(self, task: Task[Settings]) -> None:
        """Refuse a resolution that does not suit, and limits that no generator keeps."""
        networks(task.config, task.side, task.channels)  # raises
        check_limits(task.config, task.side, task.channels)

    def sizes(self, config: Settings, side: int, channels: int) -> dict[str, int | Cost]:
        """Return the sizes of the spaces and of the supernets."""
        return {
            "generators": count(),
            "discriminators": count(DOWN_CELLS) if config.discriminator == "searched" else 1,
            "supernet_parameters": sum(map(num_parameters, networks(config, side, channels))),
        }

    def longer(self, config: Settings, factor: float) -> Settings:
        """Return more iterations, with as many looks at them."""
        names = ("iterations", "derive_every", "score_every")
        update = {name: times(getattr(config, name), factor) for name in names}
        return config.model_copy(update=update)

    def phases(
        self, config: Settings, side: int, channels: int, device: torch.device
    ) -> Sequence[Phase]:
        """Return the search's one phase."""
        return phases(config, side, channels, device)

    def records(self, config: Settings, device: torch.device) -> bool:
        """Tell whether a GPU records the steps of this search."""
        return records(config, device)

    def explain(self, result: SearchResult) -> str:
        """Say what log-probabilities are, and how sure alpha and beta."""
        return (
            "Log-probabilities are sums over the 21 edges under alpha. "
            f"{mean_entropies(result)}; about 1.70 for alpha, 1.87 for beta is no preference at "
            "all. See edges.png in the run directory. Nothing was trained alone yet."
        )


METHOD = AdversarialNAS()
