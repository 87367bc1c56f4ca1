"""AutoGAN as a method: its space, settings, sizes, and what its rewards mean."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from gan_nas.networks.cost import Cost
from gan_nas.networks.resolution import bottom_width
from gan_nas.runs.results import SearchResult
from gan_nas.search.autogan.config import PRESETS, check_config
from gan_nas.search.autogan.config import Config as Settings
from gan_nas.search.autogan.masks import masks_of
from gan_nas.search.autogan.search import AutoGANSearch
from gan_nas.search.autogan.search import State as Record
from gan_nas.search.autogan.shared_gan import level_side, phases, shared_parameters
from gan_nas.search.method import Column, Method, Task, times
from gan_nas.spaces.autogan import NUM_CELLS, count
from gan_nas.training.timing import Phase


class AutoGAN(Method[Settings, Record]):
    """The method: what `gan-nas search --method autogan` runs."""

    name = "autogan"
    title = "AutoGAN"
    evidence = (
        "Measured at 90 s a search: not to be told from random search (distances 14 % lower on "
        "digits, p = 0.27; 17 and 10 % lower on CIFAR-10 at 16 and 32 px, p = 0.32 and 0.50)."
    )
    spaces = ("autogan",)
    Config = Settings
    State = Record
    presets = PRESETS
    columns: ClassVar = [Column("reward")]

    def start(self, task: Task[Settings], state: Record | None = None) -> AutoGANSearch:
        """Start a search."""
        return AutoGANSearch(task, state)

    def batches(self, config: Settings) -> dict[str, int]:
        """Return those of the shared GAN."""
        names = ("batch_size", "generator_batch_size")
        return {name: getattr(config, name) for name in names}

    def check(self, task: Task[Settings]) -> None:
        """Refuse what would not do what it says."""
        check_config(task.config, task.images.name, task.backbone)
        bottom_width(task.side, NUM_CELLS)  # raises
        masks_of(task, task.config.limit)

    def sides(self, config: Settings, side: int) -> Sequence[int]:
        """Return the sides of the levels."""
        return [level_side(side, num_cells) for num_cells in range(1, NUM_CELLS + 1)]

    def sizes(self, config: Settings, side: int, channels: int) -> dict[str, int | Cost]:
        """Return the size of the space and of the shared networks."""
        return {"space": count(), **shared_parameters(config, side, channels)}

    def longer(self, config: Settings, factor: float) -> Settings:
        """Return more steps of both kinds in each of the same iterations."""
        update = {
            "discriminator_steps": times(config.discriminator_steps, factor),
            "controller_steps": times(config.controller_steps, factor),
        }
        return config.model_copy(update=update)

    def phases(
        self, config: Settings, side: int, channels: int, device: torch.device
    ) -> Sequence[Phase]:
        """Return the levels, each with the steps of one typical architecture."""
        return phases(config, side, channels, device)

    def explain(self, result: SearchResult) -> str:
        """Say what a reward is, and how noisy."""
        meaning = {"score": "the classifier score", "frechet": "1 / Frechet distance"}
        return (
            f"The reward is {meaning[str(result.facts['reward'])]} on shared weights. Its "
            "deviation ± is that of the best one over other latents, on the same weights; another "
            "search seed moves a reward far more, so read smaller differences as noise."
        )


METHOD = AutoGAN()
