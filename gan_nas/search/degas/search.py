"""DEGAS: search a generator alone, by reconstruction, and prune it; no discriminator takes part.

DEGAS (Doveh & Giryes 2019), sec. 3. The supernet learns, with a latent for every image, to
reconstruct the images (glo.py), while alpha, in turns, learns which operation of each place to
weigh. Pruning then keeps one operation for each map, or two where a residual won. No public code
exists: what the paper leaves open is a field, and `resolved` in config.py answers it; the answers
stand in every run's config.
"""

from collections.abc import Sequence

import torch
from torch import nn

from gan_nas.data import Images
from gan_nas.networks.builder import choose_cells
from gan_nas.networks.states import Saved, saved_module
from gan_nas.runs.results import Conclusion
from gan_nas.search.best import Limit
from gan_nas.search.degas.config import Config
from gan_nas.search.degas.genomes import (
    best_genomes,
    by_stage,
    genome_of,
    histogram,
    new_alpha,
    probabilities,
    sizes_of,
    supernet,
)
from gan_nas.search.degas.pruning import prune
from gan_nas.search.degas.reconstruction import Reconstruction, State
from gan_nas.search.method import Find, Search, Task, Trained
from gan_nas.spaces.drawing import ABSENT
from gan_nas.streams import stream
from gan_nas.training.gan import fresh


class DEGASSearch(Search[State]):
    """The search of sec. 3. A unit is a step on weights and latents, and one on alpha."""

    def __init__(self, task: Task[Config], state: State | None) -> None:
        config, device = task.config, task.device
        self.task, self.config, self.ledger = task, config, task.ledger
        self.network = fresh_supernet(config, task.side, task.channels, device)
        self.alpha = new_alpha(config, device)
        self.alpha.initialise(stream(config.seed, "alpha"))
        self.state = state or State()
        self._reconstruction: Reconstruction | None = None
        if isinstance(task.images, Images):
            self._reconstruction = Reconstruction(
                config,
                self.network,
                self.alpha,
                task.images,
                task.side,
                device,
                task.ledger,
                state,
                task.ranks,
            )
            self.state = self._reconstruction.state

    @property
    def reconstruction(self) -> Reconstruction:
        """Return the training of weights, latents and alpha."""
        assert self._reconstruction is not None, "this work needs the images themselves"
        return self._reconstruction

    @property
    def step(self) -> int:
        """Count the iterations that are done."""
        return self.state.step

    @property
    def finished(self) -> bool:
        """Tell whether all iterations are made."""
        return self.step == self.config.iterations

    def advance(self) -> None:
        """Make an iteration; keep what pruning would leave now where it is due."""
        self.reconstruction.advance()
        if self.reconstruction.is_due(self.config.derive_every):
            self.keep()

    def keep(self) -> None:
        """Keep what pruning would leave now, entropies and a histogram."""
        scores = self.alpha.log_probabilities()
        ops = prune(scores)
        self.ledger.log(
            "architecture",
            step=self.step,
            images=self.step * self.config.batch_size,
            generator=by_stage({place: op or ABSENT for place, op in ops.items()}),
            histogram=histogram(ops),
            probabilities={"generator": by_stage(probabilities(ops, scores))},
            entropies={"alpha": self.alpha.entropies()},
            highest_entropies={"alpha": self.alpha.mean_highest_entropy()},
        )
        self.ledger.genome(genome_of(self.config, ops), self.step)

    def found(self, count: int, limit: Limit, *, anew: bool) -> list[Find]:
        """Return the best by alpha, with their losses on the shared weights where these train."""
        task = self.task
        found = best_genomes(self.config, self.alpha, count, limit, task.side, task.channels)
        if anew:
            return found
        with_losses = []
        for one in found:
            choose_cells(self.network, one.genome.generator)
            loss = {"loss": self.reconstruction.loss()}
            with_losses.append(one._replace(values=one.values | loss))
        return with_losses

    def conclude(self, found: Sequence[Find]) -> Conclusion:
        """Tell the loss of all operations mixed, and how sure alpha is."""
        self.ledger.edges(found[0].genome)
        entropies = self.alpha.entropies()
        return Conclusion(
            supernet={"loss": self.reconstruction.loss(self.reconstruction.glo.mixture())},
            facts={
                "entropy": {"alpha": sum(entropies.values()) / len(entropies)},
                "histogram": dict(histogram(prune(self.alpha.log_probabilities()))),
            },
        )

    def saved(self) -> dict[str, Saved]:
        """Return what a checkpoint keeps; without images what genomes follow from."""
        if self._reconstruction is None:
            return {"network": saved_module(self.network), "alpha": saved_module(self.alpha)}
        return self._reconstruction.saved()

    def verify(self) -> None:
        """Raise RunFailed rather than let NaN be saved."""
        self.reconstruction.verify()

    def trained(self) -> Trained:
        """Return the supernet; its latents lay in the unit ball."""
        scale = self.config.latent_dim**-0.5
        return Trained(sizes_of(self.config, self.config.width), self.network, None, scale)


def fresh_supernet(
    config: Config, resolution: int, image_channels: int, device: torch.device
) -> nn.Module:
    """Return a search's network with its first weights."""
    network = supernet(config, resolution, image_channels)
    return fresh(network, config.seed, "supernet weights", device, "default")
