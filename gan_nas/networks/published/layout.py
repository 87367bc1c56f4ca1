"""How the authors of a space name a generator's tensors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import isqrt
from typing import NamedTuple

from torch import Tensor

from gan_nas.errors import InvalidInput, shorten

NUM_CELLS = 3  # of both authors' generators, each of which doubles the size


class Sizes(NamedTuple):
    """What a checkpoint's shapes tell: fields of a genome's generator, and the images' sizes."""

    fields: dict[str, int]
    resolution: int
    image_channels: int


class Layout(ABC):
    """The authors' names of a genome's tensors, in one of the ways in which they build it."""

    name: str

    @abstractmethod
    def theirs(self, name: str) -> str:
        """Return what the authors call one of our tensors."""

    @abstractmethod
    def is_unused(self, name: str, tensors: Mapping[str, Tensor]) -> bool:
        """Tell whether a tensor of theirs, which the genome does not use, may be there."""

    def sizes(self, tensors: Mapping[str, Tensor], where: str) -> Sizes:
        """Read the sizes off the first and the last layers.

        A stem's weight is (width * bottom width**2, latents); both authors number stems from 1.
        """
        out = _shape(tensors, "to_rgb.2.weight", 4, where)
        stem = _shape(tensors, "l1.weight", 2, where)
        image_channels, width = out[:2]
        bottom_width = isqrt(stem[0] // max(width, 1))
        if not width or not bottom_width or width * bottom_width**2 != stem[0]:
            raise InvalidInput(
                f"{where} holds l1.weight of shape {stem}, which is no square map of the {width} "
                "channels that to_rgb.2.weight has"
            )
        fields = {"width": width, "latent_dim": stem[1]}
        return Sizes(fields, bottom_width << NUM_CELLS, image_channels)


def _shape(
    tensors: Mapping[str, Tensor], name: str, dimensions: int, where: str
) -> tuple[int, ...]:
    if name not in tensors:
        raise InvalidInput(
            f"{where} lacks {name}, which every generator of AutoGAN's and AdversarialNAS' authors "
            f"has; it begins with {shorten(next(iter(tensors)))}"
        )
    shape = tuple(tensors[name].shape)
    if len(shape) != dimensions or not all(shape):
        raise InvalidInput(f"{where} holds {name} of shape {shape}, where {dimensions} are needed")
    return shape
