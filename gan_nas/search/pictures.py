"""What a search draws at its end: its best architecture, and what that makes."""

import logging
from typing import Any

import torch
from torch import Tensor

from gan_nas.errors import RunFailed
from gan_nas.networks.builder import build_generator
from gan_nas.networks.states import load_module_state
from gan_nas.runs.ledger import NUM_SHOWN
from gan_nas.scoring.generating import generate
from gan_nas.search.inherited import inherited_weights
from gan_nas.search.method import Find, Search, Task, Trained
from gan_nas.spaces.registry import load_space
from gan_nas.training.gan import fresh, reestimated_norms

logger = logging.getLogger(__name__)


def draw_best(work: Search[Any], task: Task[Any], best: Find) -> None:
    """Draw the best architecture of a search and images of it, on the weights it was judged by.

    That takes a moment and asks nobody to stop: it is done anew after each interruption.
    """
    if task.ledger.run is None or task.ledger.plain:
        return
    images = None
    try:
        images = work.samples(best, NUM_SHOWN)
        trained = work.trained() if images is None else None
        if trained is not None:
            images = images_of(trained, task, best)
    except RunFailed as error:
        logger.warning("the best architecture's images are not drawn: %s", error)
    task.ledger.best(best.genome, images, task.side, task.channels)


def images_of(trained: Trained, task: Task[Any], best: Find) -> Tensor:
    """Return images of an architecture, uint8 (N, C, H, W), on the weights of its supernet.

    Norms get the statistics of these weights alone. Raises RunFailed for what is not finite.
    """
    sizes = trained.sizes
    same = {name: getattr(sizes, name) for name in load_space(sizes.space).sizes}
    genome = best.genome.generator.model_copy(update=same)
    weights = inherited_weights(trained, genome, task.side, task.channels)
    with torch.device("meta"):
        bare = build_generator(genome, task.side, task.channels)
    network = fresh(bare, task.config.seed, "picture weights", task.device)
    load_module_state(network, weights)
    z = task.latents(NUM_SHOWN, genome.latent_dim, "picture norm latents", 0)
    with reestimated_norms(network, z):
        seed, latent_dim = task.config.seed, genome.latent_dim
        made = generate(network, NUM_SHOWN, latent_dim, seed, task.device)
        return torch.cat(list(made))
