"""What is scored: a generator, which draws as many images as are asked for, or images as such."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from gan_nas.data import DATA_SETS, Images, Preparation
from gan_nas.data.image_stream import open_images
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, explain, shorten
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.left import generator_file
from gan_nas.metrics.evenly import evenly_of_parts
from gan_nas.networks.weights import Generator, GeneratorFile, load_generator
from gan_nas.scoring.generating import generate
from gan_nas.scoring.protocols import Quantise

BATCH = 100  # images


@dataclass(frozen=True, eq=False)
class Subject:
    """Images of `side` pixels that are scored.

    `num` is how many there are, None where more can be drawn. `images(num, seed, quantise, stop)`
    yields uint8 batches (B, C, S, S), and raises Interrupted when `stop` says. `about` is what a
    generator file tells.
    """

    name: str
    side: int
    channels: int
    num: int | None
    images: Callable[[int, int, Quantise, Callable[[], bool]], Iterable[Tensor]]
    about: GeneratorFile | None = None

    @property
    def needed_data(self) -> str:
        """Return the data set of the lineage; raises InvalidInput where none is known.

        A path is not one: a stranger's file might name any.
        """
        name = self.about.lineage.get("data") if self.about else None
        if not isinstance(name, str):
            what = "this generator was never trained on data" if self.about else "these are images"
            raise InvalidInput(f"{what}: name the real ones")
        if name not in DATA_SETS:
            raise InvalidInput(
                f"{self.name} says that it was trained on {shorten(name)}, which is read only if "
                "you say so: name the real ones"
            )
        return name

    def preparation(self, asked: Preparation, data: str | None = None) -> Preparation:
        """Return how the images of the lineage were prepared, unless another way is asked for.

        Or unless `data`, where given, are others.
        """
        lineage = self.about.lineage if self.about else {}
        known = lineage.get("preparation")
        if known is None or asked != Preparation():
            return asked
        if data is not None and lineage.get("data") != str(Path(data).expanduser()):
            return asked
        try:
            return Preparation.model_validate(known)
        except ValidationError as error:
            raise Incompatible(
                f"{self.name} tells of a preparation of its data that this version does not know: "
                f"{explain(error, list(Preparation.model_fields))}; ask for a crop, a filter or a "
                "background yourself"
            ) from error

    def is_trained_on(self, images: Images) -> bool:
        """Tell whether these are, pixel by pixel, the images of the lineage."""
        return (
            self.about is not None
            and self.about.lineage.get("data_fingerprint") == images.fingerprint
        )

    def check_repeats(self, repeats: int) -> None:
        """Refuse repeats of images that are the same every time."""
        if repeats > 1 and self.num is not None:
            raise InvalidInput(
                f"{self.name} holds the same images every time: repeats is for generators"
            )


def open_subject(
    what: Generator | Tensor | Path | str,
    device: torch.device | str = "cpu",
    background: str = "#ffffff",
) -> Subject:
    """Open a generator, its file or run, uint8 images (N, C, S, S), or a folder, zip or npz.

    A generator of a file computes on `device`. What is transparent in images is laid on the
    background.
    """
    if isinstance(what, Generator):
        return _of_generator(what, what.genome.title)
    if isinstance(what, Tensor):
        return _of_tensor(what)
    path = generator_file(Path(what))
    allowed = (Kind.GENERATOR, Kind.FOLDER, Kind.ZIP, Kind.NPZ)
    kind = refuse_foreign(path, Wanted.SCORED, *allowed)
    if kind == Kind.GENERATOR or path.suffix == ".safetensors":
        return _of_generator(load_generator(path, device), str(path))
    stream = open_images(path, background)
    name = os.fsencode(path).decode("utf-8", "backslashreplace")  # as JSON takes it
    return _of_images(name, stream.side, stream.channels, stream.num, stream.batches)


def _of_generator(generator: Generator, name: str) -> Subject:
    def images(
        num: int, seed: int, quantise: Quantise, stop: Callable[[], bool]
    ) -> Iterator[Tensor]:
        size, device = generator.latent_dim, generator.device
        return generate(generator, num, size, seed, device, stop=stop, quantise=quantise)

    about = generator.about
    return Subject(name, about.resolution, about.image_channels, None, images, about)


def _of_tensor(images: Tensor) -> Subject:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[2] != images.shape[3]:
        raise InvalidInput(
            f"images of {images.dtype} and shape {shorten(tuple(images.shape))} cannot be scored; "
            "allowed is uint8 (N, C, S, S)"
        )
    num, channels, side, _ = images.shape
    return _of_images("images", side, channels, num, lambda: torch.split(images, BATCH))


def _of_images(
    name: str, side: int, channels: int, size: int, batches: Callable[[], Iterable[Tensor]]
) -> Subject:
    def read(stop: Callable[[], bool]) -> Iterator[Tensor]:
        for batch in batches():
            if stop():
                raise Interrupted("stopped while reading images; nothing was written")
            yield batch

    return Subject(
        name, side, channels, size, lambda num, _, __, stop: evenly_of_parts(read(stop), num, size)
    )
