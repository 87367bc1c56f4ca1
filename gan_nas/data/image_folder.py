"""Any folder or zip of images: sorted, centre-cropped, resized once, held in memory.

Sub-folders are classes where every image lies in one of at least two. Every tenth image of a
seeded permutation is held out.
"""

from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image, ImageOps

from gan_nas.data import Images
from gan_nas.data.image_files import EXTENSIONS, Source, decode, open_source, read_header
from gan_nas.errors import InvalidInput
from gan_nas.streams import stream

MIN_IMAGES = 16
MIN_SIDE, MAX_SIDE = 8, 64


def load(path: Path) -> Images:
    """Load the images under a folder (recursively) or in a zip, without extracting it.

    Their side is the shortest side found, rounded down to a multiple of 8, between 8 and 64. All
    are grey or all are colour; transparency is dropped. Raises InvalidInput naming the file that
    cannot be used.
    """
    with open_source(path) as source:
        if len(source.names) < MIN_IMAGES:
            raise InvalidInput(
                f"{path} holds {len(source.names)} images, at least {MIN_IMAGES} are needed; "
                f"images end in {', '.join(EXTENSIONS)}"
            )
        mode, side = _mode_and_side(source)
        pixels = np.stack([_pixels(source, name, mode, side) for name in source.names])
    images = torch.from_numpy(pixels.reshape(len(pixels), side, side, -1))
    images = images.permute(0, 3, 1, 2).contiguous()  # (N, C, H, W)
    return _split(str(path), images, _classes(source.names))


def _mode_and_side(source: Source) -> tuple[str, int]:
    """Read all headers: "L" or "RGB", and the side that suits the smallest image."""
    grey: list[str] = []
    colour: list[str] = []
    shortest = MAX_SIDE
    for name in source.names:
        mode, width, height = read_header(source, name)
        shortest = min(shortest, width, height)
        (grey if mode == "L" else colour).append(name)
    if grey and colour:
        few, kind, others = (
            (grey, "grey", "colour") if len(grey) <= len(colour) else (colour, "colour", "grey")
        )
        which = "it" if len(few) == 1 else f"all {len(few)} of its kind"
        raise InvalidInput(
            f"{source.path / few[0]} is {kind} while {len(source.names) - len(few)} other images "
            f"are {others}: convert or remove {which}, or keep them in a folder of their own"
        )
    return "L" if grey else "RGB", max(MIN_SIDE, shortest // 8 * 8)


def _pixels(source: Source, name: str, mode: str, side: int) -> np.ndarray:
    """Decode one image, crop its centre to a square, resize it with antialiasing."""
    image = decode(source, name, mode)
    return np.asarray(ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR))


def _classes(names: list[str]) -> list[str] | None:
    """Return each image's class: its first folder, below those that hold all images."""
    parts = [PurePosixPath(name).parts for name in names]
    while all(len(p) > 1 for p in parts) and len({p[0] for p in parts}) == 1:
        parts = [p[1:] for p in parts]
    return [p[0] for p in parts] if all(len(p) > 1 for p in parts) else None


def _split(name: str, images: torch.Tensor, classes: list[str] | None) -> Images:
    order = torch.randperm(len(images), generator=stream(0, "held-out images"), device="cpu")
    # Two at least: one image has no covariance.
    held_out, train = order.split_with_sizes([n := max(2, len(images) // 10), len(images) - n])
    held_out, train = held_out.sort().values, train.sort().values
    if classes is None:
        return Images(name, images[train], images[held_out])
    known = sorted(set(classes))
    labels = torch.tensor([known.index(c) for c in classes], device="cpu")
    return Images(
        name, images[train], images[held_out], labels[train], labels[held_out], len(known)
    )
