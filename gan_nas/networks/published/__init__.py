"""Published checkpoints: the authors' parameters under our names, with nothing computed.

A file here, of its space's name, knows how the authors call their tensors and which of them a
genome does not use. A checkpoint tells sizes; what it cannot tell is the architecture: nearest and
bilinear, or identity and none, have the same weights.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from gan_nas.errors import Incompatible, explain, shorten
from gan_nas.formats.checkpoint import read_checkpoint
from gan_nas.networks.builder import build_generator
from gan_nas.networks.published import adversarialnas, autogan
from gan_nas.networks.published.layout import Layout, Sizes
from gan_nas.networks.states import module_state
from gan_nas.networks.weights import GeneratorFile, save_generator
from gan_nas.spaces.genome import Genome, Source, field_names
from gan_nas.spaces.schema import GeneratorGenome

# The moving average is what the authors score. Its norms' statistics are the live ones.
KEYS = ("avg_gen_state_dict", "gen_state_dict")
LAYOUTS: Mapping[str, Callable[[Any, Mapping[str, Tensor]], Layout]] = {
    "autogan": autogan.layout,
    "adversarialnas": adversarialnas.layout,
}


class Imported(NamedTuple):
    """A genome's weights under our names."""

    genome: Genome
    tensors: dict[str, Tensor]
    resolution: int
    image_channels: int
    layout: str


def import_checkpoint(path: Path, genome: Genome, target: Path) -> GeneratorFile:
    """Write the generator of a published checkpoint as a generator file.

    `genome` gives the architecture, the checkpoint the sizes. Raises InvalidInput for an unreadable
    file or one that holds no such generator, Incompatible naming the first tensor that the genome
    and the checkpoint do not share.
    """
    if genome.generator.space not in LAYOUTS:
        raise Incompatible(
            f"{genome.title} is of the space {genome.generator.space}, whose authors' checkpoints "
            f"are not known here; known are those of {' and '.join(LAYOUTS)}"
        )
    checkpoint = read_checkpoint(path, KEYS)
    found = take_over(genome, checkpoint.tensors, str(path))
    lineage = {
        "method": "import",
        "checkpoint": path.name.encode("utf-8", "backslashreplace").decode(),
        "checkpoint_sha256": checkpoint.sha256,
        "layout": found.layout,
        "state": checkpoint.key,
    }
    sizes = found.resolution, found.image_channels
    return save_generator(target, found.tensors, found.genome, *sizes, lineage)


def take_over(genome: Genome, tensors: Mapping[str, Tensor], where: str) -> Imported:
    """Return a state dict of the authors' under our names, as a network of the genome needs it."""
    layout = LAYOUTS[genome.generator.space](genome.generator, tensors)
    sizes = layout.sizes(tensors, where)
    sized = _of_sizes(genome, sizes, where)
    with torch.device("meta"):
        network = build_generator(sized.generator, sizes.resolution, sizes.image_channels)
    names = {name: layout.theirs(name) for name in module_state(network)}
    taken = {name: _taken(network, name, names[name], tensors, genome, where) for name in names}
    known = set(names.values())
    for name in tensors:
        if name not in known and not layout.is_unused(name, tensors):
            raise Incompatible(
                f"{where} holds {shorten(name)}, for which {genome.title} has no place: name the "
                "genome that it was trained with"
            )
    return Imported(sized, taken, sizes.resolution, sizes.image_channels, layout.name)


def _taken(
    network: nn.Module,
    name: str,
    theirs: str,
    tensors: Mapping[str, Tensor],
    genome: Genome,
    where: str,
) -> Tensor:
    wanted = module_state(network)[name]
    if theirs not in tensors:
        if name.endswith("num_batches_tracked"):  # which nothing reads; PyTorch 0.4.0 had none
            return torch.zeros((), dtype=wanted.dtype, device="cpu")
        raise Incompatible(
            f"{where} lacks {theirs}, which {genome.title} needs: name the genome that it was "
            "trained with"
        )
    tensor = tensors[theirs]
    if tensor.shape != wanted.shape:
        raise Incompatible(
            f"{where} holds {theirs} of shape {shorten(tuple(tensor.shape))} where {genome.title} "
            f"needs {tuple(wanted.shape)}: name the genome that it was trained with"
        )
    return tensor.to(wanted.dtype)


def _of_sizes(genome: Genome, sizes: Sizes, where: str) -> Genome:
    """Return the genome at the checkpoint's sizes; another size is another network, unnamed."""
    generator: GeneratorGenome = genome.generator
    try:
        sized = type(generator).model_validate(generator.model_dump() | sizes.fields)
    except ValidationError as error:
        raise Incompatible(
            f"{where} has sizes that no genome can have: {explain(error, field_names())}"
        ) from error
    if sized == generator:
        return genome
    source = Source(where=f"{genome.title} at the sizes of a checkpoint")
    return Genome(generator=sized, discriminator=genome.discriminator, source=source)
