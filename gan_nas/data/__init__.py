"""Data sets as uint8 tensors: one file each, all held in memory on the training device."""

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_nas.errors import InvalidInput, nearest

DATA_SETS = ("digits", "cifar10", "stl10")

CHUNK_VALUES = 1 << 24  # values that `resize` holds as float32 at a time: 64 MiB


@dataclass(frozen=True, eq=False)
class Images:
    """A data set of square images, train and held-out part.

    `train` and `held_out` are uint8 (N, C, H, W), labels int64 (N,) or None. `name` is what
    `load_images` was asked for.
    """

    name: str
    train: Tensor
    held_out: Tensor
    train_labels: Tensor | None = None
    held_out_labels: Tensor | None = None
    num_classes: int | None = None

    @property
    def side(self) -> int:
        """Return height and width in pixels."""
        return self.train.shape[-1]

    @property
    def channels(self) -> int:
        """Return 1 for grey and 3 for colour."""
        return self.train.shape[1]

    @cached_property
    def fingerprint(self) -> str:
        """Return 16 hex digits of the sha256 over shapes and bytes of pixels and labels.

        Copies on another device or at another side keep it: it names the data set.
        """
        digest = hashlib.sha256()
        for part in (self.train, self.held_out, self.train_labels, self.held_out_labels):
            if part is None:
                digest.update(b"none")
            else:
                digest.update(str(tuple(part.shape)).encode())
                digest.update(part.contiguous().cpu().numpy().data)
        return digest.hexdigest()[:16]

    def to(self, device: torch.device | str) -> "Images":
        """Move pixels and labels to `device`."""
        labels = (self.train_labels, self.held_out_labels)
        train_labels, held_out_labels = (None if y is None else y.to(device) for y in labels)
        return self._same_set(
            replace(
                self,
                train=self.train.to(device),
                held_out=self.held_out.to(device),
                train_labels=train_labels,
                held_out_labels=held_out_labels,
            )
        )

    def at(self, side: int) -> "Images":
        """Return the same images resized to `side` pixels."""
        if side == self.side:
            return self
        train, held_out = resize(self.train, side), resize(self.held_out, side)
        return self._same_set(replace(self, train=train, held_out=held_out))

    def _same_set(self, copy: "Images") -> "Images":
        copy.__dict__["fingerprint"] = self.fingerprint
        return copy


def resize(images: Tensor, side: int) -> Tensor:
    """Resize square uint8 images (N, C, H, H) to uint8 (N, C, side, side), in bounded memory.

    Up: bilinear. Down by a whole factor: the mean of each block, which keeps thin strokes that an
    antialiased bilinear filter smears (real digits 16 -> 8: classifier .983 against .86). Down by
    another factor: antialiased bilinear.
    """
    old = images.shape[-1]
    assert images.dtype == torch.uint8
    assert images.shape[-2] == old
    if side == old:
        return images
    rows = max(1, CHUNK_VALUES // (images.shape[1] * max(side, old) ** 2))
    return torch.cat([_resize(chunk.float(), side) for chunk in torch.split(images, rows)])


def _resize(x: Tensor, side: int) -> Tensor:
    old = x.shape[-1]
    if old % side == 0:
        x = F.avg_pool2d(x, old // side)
    else:
        size = (side, side)
        x = F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=side < old)
    return x.round_().to(torch.uint8)


def load_images(name: str, root: Path | None = None) -> Images:
    """Load a data set by name, or a folder or zip of images by path.

    `root` is where data sets lie in torchvision's layout; None means `data_root()`.
    """
    if name in DATA_SETS:
        loaded: Images = import_module(f"gan_nas.data.{name}").load(root or data_root())
        return loaded
    path = Path(name).expanduser()
    if name.encode("utf-8", "replace").decode() != name:
        raise InvalidInput(f"the path {name!r} is not UTF-8, as what runs write must be: rename it")
    if not path.exists():
        raise InvalidInput(
            f"{name!r} is neither a data set ({', '.join(DATA_SETS)}) nor an existing folder or "
            f"zip of images{nearest(name, list(DATA_SETS))}"
        )
    from gan_nas.data import image_folder

    return image_folder.load(path)


def cache_dir() -> Path:
    """Return the folder of what can be made again: GAN_NAS_CACHE, or ~/.cache/gan-nas."""
    return _folder("GAN_NAS_CACHE", Path("~/.cache/gan-nas"))


def data_root() -> Path:
    """Return the folder of downloaded data sets: GAN_NAS_DATA_ROOT, or `data` in the cache."""
    return _folder("GAN_NAS_DATA_ROOT", cache_dir() / "data")


def _folder(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default).expanduser()
