"""DEGAS as a method: its space, settings, sizes, and what log-odds mean."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import JsonValue

from gan_nas.networks.cost import Cost, num_parameters
from gan_nas.runs.results import SearchResult
from gan_nas.search.degas.config import PRESETS, resolved
from gan_nas.search.degas.config import Config as Settings
from gan_nas.search.degas.genomes import check_limits, new_alpha, supernet
from gan_nas.search.degas.phases import extra_memory, phase_of
from gan_nas.search.degas.reconstruction import State as Record
from gan_nas.search.degas.search import DEGASSearch, fresh_supernet
from gan_nas.search.method import Column, Method, Task, mean_entropies, times
from gan_nas.spaces.degas import DEGASSpace
from gan_nas.training.timing import Phase


class DEGAS(Method[Settings, Record]):
    """The method: what `gan-nas search --method degas` runs."""

    name = "degas"
    title = "DEGAS"
    evidence = (
        "Measured at 90 s a search: genomes at 5.5 times the distance of random search's on "
        "digits (p = 0.005), 2.1 and 1.6 times on CIFAR-10 at 16 and 32 px (p = 0.03 and 0.15)."
    )
    spaces = ("degas",)
    Config = Settings
    State = Record
    presets = PRESETS
    example = "ctgan-cifar10"  # its baseline: no genome was published
    columns: ClassVar = [Column("log_odds", ".3f"), Column("loss")]
    parts = "stages"
    scores = frozenset()

    def start(self, task: Task[Settings], state: Record | None = None) -> DEGASSearch:
        """Start a search."""
        return DEGASSearch(task, state)

    def batches(self, config: Settings) -> dict[str, int]:
        """Return that of the supernet."""
        return {"batch_size": config.batch_size}

    def check(self, task: Task[Settings]) -> None:
        """Refuse a resolution that does not suit, and limits that no generator keeps."""
        supernet(task.config, task.side, task.channels)  # raises
        check_limits(task.config, task.side, task.channels)

    def decisions(self, config: Settings, side: int) -> dict[str, JsonValue]:
        """Return the answers to what the paper leaves open."""
        return {"decisions": dict(resolved(config, side))}

    def sizes(self, config: Settings, side: int, channels: int) -> dict[str, int | Cost]:
        """Return the size of the space and of the supernet."""
        return {
            "generators": DEGASSpace(config.stem_residual, config.final_normal).count(),
            "supernet_parameters": num_parameters(supernet(config, side, channels)),
        }

    def longer(self, config: Settings, factor: float) -> Settings:
        """Return more iterations, with as many looks at them."""
        names = ("iterations", "derive_every")
        update = {name: times(getattr(config, name), factor) for name in names}
        return config.model_copy(update=update)

    def phases(
        self, config: Settings, side: int, channels: int, device: torch.device
    ) -> Sequence[Phase]:
        """Return the search's one phase: a step on alpha, and one on weights and latents."""
        network = fresh_supernet(config, side, channels, device)
        alpha = new_alpha(config, device)
        return [phase_of(config, network, alpha, side, channels, device)]

    def memory(
        self, config: Settings, num_images: int, side: int, channels: int
    ) -> tuple[int, int]:
        """Return the bytes of the latents, and those of their start."""
        return extra_memory(config, num_images, side, channels)

    def explain(self, result: SearchResult) -> str:
        """Say what log-odds and losses are, and how sure alpha."""
        return (
            "Log-odds sum the log-probabilities of the operations under alpha, of a residual less "
            "that of the best direct one, so that what pruning keeps comes first. The loss is that "
            f"of reconstructions with the shared weights. {mean_entropies(result)}; 2.20 for nine "
            "operations, 1.39 for four is no preference at all. See edges.png in the run "
            "directory. Nothing was trained alone yet."
        )


METHOD = DEGAS()
