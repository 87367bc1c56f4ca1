"""Start training from what a search has learned: the supernets' weights, cut to a genome.

The papers train what they found from scratch. Here a genome of the search's own space and sizes
can take over the weights of the operations it chose. They are the live ones, not an average: a
moving average of a supernet mixes steps that trained other architectures. Mixture weights do not
survive: an operation that had half a say computes all of its edge now.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.networks.builder import (
    build_discriminator,
    choose_cells,
    network_of,
)
from gan_nas.networks.resolution import MAX_RESOLUTION
from gan_nas.networks.slots import inherited_state
from gan_nas.networks.states import module_state
from gan_nas.runs.results import SearchResult
from gan_nas.runs.run import Finished
from gan_nas.runs.stored import stored_data, stored_settings
from gan_nas.search.drive import finished_search, restored, stored_shape
from gan_nas.search.inherited import inherited_weights
from gan_nas.search.method import ImageShape, Task, Trained
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome
from gan_nas.training.units import Start


class Supernets(NamedTuple):
    """A finished search, and the networks it trained."""

    directory: Path
    finished: Finished[SearchResult]
    images: ImageShape
    trained: Trained


def read_supernets(directory: Path) -> Supernets:
    """Read the networks of a finished search; raises InvalidInput when it is none."""
    method, finished = finished_search(directory)
    config = stored_settings(directory, finished.settings, method.Config)
    images = stored_shape(finished)
    task = Task(config=config, images=images)
    trained = restored(method, task, finished).trained()
    if trained is None:
        raise InvalidInput(
            f"{directory} is a search by {method.name}, which trains no network that genomes "
            "could inherit from: train from scratch"
        )
    return Supernets(directory, finished, images, trained)


def start_from(supernets: Supernets, genome: Genome, resolution: int, image_channels: int) -> Start:
    """Return the weights that a genome's networks inherit, for images of side `resolution`.

    The generator's are complete: what a supernet lacks are norms' weights, which are 1, biases, 0,
    and statistics, which start anew. Where latents were shorter in the search than those of
    N(0, I), as in DEGAS' unit ball, the stem's weight makes up for it. The discriminator's are
    inherited where the search trained just this one, at its width.

    Raises Incompatible for a genome of another space, other sizes or other images.
    """
    check_sizes(supernets, genome.generator)
    directory, finished, images, trained = supernets
    own = (
        ("resolution", resolution, images.side),
        ("channels", image_channels, images.channels),
    )
    for name, asked, known in own:
        if asked != known:
            raise Incompatible(
                f"the images' {name} are {asked} and those of the search in {directory} {known}: "
                "weights are inherited for equal ones, or train from scratch"
            )
    discriminator = _discriminator(trained.discriminator, genome.discriminator, image_channels)
    networks = ["generator"] + ["discriminator"] * (discriminator is not None)
    origin = {
        "method": finished.settings["method"],
        "run_id": finished.run_id,
        "data": stored_data(directory).data,
        "networks": networks,
    }
    weights = inherited_weights(trained, genome.generator, resolution, image_channels)
    return Start(weights, discriminator, origin)


def check_sizes(supernets: Supernets, generator: GeneratorGenome) -> None:
    """Raise Incompatible when a genome's generator is not within the supernet."""
    directory, sizes = supernets.directory, supernets.trained.sizes
    if generator.space != sizes.space:
        raise Incompatible(
            f"the genome is of the space {generator.space} and the search in {directory} of "
            f"{sizes.space}: weights are inherited within one space, or train from scratch"
        )
    for name in load_space(sizes.space).sizes:
        asked, known = getattr(generator, name), getattr(sizes, name)
        if asked != known:
            hint = "derived_width must equal width to inherit" if name == "width" else ""
            raise Incompatible(
                f"the genome's {name} is {asked} and that of the supernet in {directory} {known}: "
                f"{hint or 'it must be the same to inherit'}, or train from scratch"
            )
    left_out = network_of(generator).left_out(supernets.trained.generator, generator)
    if left_out:
        place, op = next(iter(left_out.items()))
        raise Incompatible(
            f"the genome has {op} at {place}, which the search in {directory} left out: "
            "take a genome without it, or train from scratch"
        )


def _discriminator(
    trained: nn.Module | None, genome: DiscriminatorGenome, image_channels: int
) -> dict[str, Tensor] | None:
    """Return the tensors of a discriminator that the search trained, or None if it did not."""
    if trained is None:
        return None
    if not isinstance(trained, network_of(genome).Network):
        return None
    choose_cells(trained, genome)
    tensors = {k: t.detach() for k, t in inherited_state(trained).items()}
    with torch.device("meta"):
        wanted = module_state(build_discriminator(genome, MAX_RESOLUTION, image_channels))
    fits = {k: t.shape for k, t in tensors.items()} == {k: t.shape for k, t in wanted.items()}
    return tensors if fits else None
