"""A data set in memory: square images of one side, their classes, and how they came to be so."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_nas.data.preparation import Preparation
from gan_nas.data.resizing import Resize, in_effect, resize
from gan_nas.errors import InvalidInput

AS_THEY_ARE = "as they are"
CHUNK = 1_000  # images compared at a time
NUM_NAMED = 3  # classes that a summary names
CELLS_NEED = 8  # three cells make sides that are a multiple of it
SHARE_OF_DEVICE = 0.5  # of a GPU's free memory that a data set may take


@dataclass(frozen=True, eq=False)
class Images:
    """A data set of square images, train and held-out part.

    `train` and `held_out` are uint8 (N, C, H, W), labels int64 (N,) or None. `name` is what
    `load_images` was asked for. `resize_by` is the filter that brings them to another side.
    """

    name: str
    train: Tensor
    held_out: Tensor
    train_labels: Tensor | None = None
    held_out_labels: Tensor | None = None
    num_classes: int | None = None
    resize_by: Resize = "bilinear"
    classes: tuple[str, ...] = ()
    """Names of the classes, where files tell them."""
    resizing: str = AS_THEY_ARE
    """How the images came to their side, in words."""
    remarks: tuple[str, ...] = ()
    """What else was chosen when they were loaded, in words."""
    has_splits: bool = True
    """Whether the parts are the data set's own, or images were held out by us."""
    preparation: Preparation | None = None
    """What was asked for, where images come from a user's files."""

    @property
    def side(self) -> int:
        """Return height and width in pixels."""
        return self.train.shape[-1]

    @property
    def channels(self) -> int:
        """Return 1 for grey and 3 for colour."""
        return self.train.shape[1]

    @property
    def default_resolution(self) -> int:
        """Return the side to train at: the own or the next multiple of 8, twice that of digits.

        The digits' own 8 pixels would leave the first of three cells a single one.
        """
        if self.name == "digits":
            return 2 * self.side
        return -(-self.side // CELLS_NEED) * CELLS_NEED

    @property
    def summary(self) -> str:
        """Say in a sentence what the data set is and what was chosen for it."""
        num = len(self.train) + len(self.held_out)
        kind = "grey" if self.channels == 1 else "colour"
        facts = [f"{num:,} images ({len(self.held_out):,} held out), {self.side} px, {kind}"]
        if self.resizing != AS_THEY_ARE:
            facts.append(self.resizing)
        facts.append(self._classes_in_words())
        return "; ".join([", ".join(facts), *self.remarks])

    def check_varied(self) -> None:
        """Raise InvalidInput where all training images are the same: nothing is learnt of them."""
        first = self.train[:1]
        if all(bool((part == first).all()) for part in torch.split(self.train, CHUNK)):
            raise InvalidInput(
                f"{self.name} is constant: all of its {len(self.train):,} training images are the "
                "same, so that there is no distribution to learn; name other data"
            )

    @cached_property
    def fingerprint(self) -> str:
        """Return 16 hex digits of the sha256 over shapes and bytes of pixels and labels.

        Copies on another device or at another side keep it: it names the data set.
        """
        digest = hashlib.sha256()
        for part in (self.train, self.held_out):
            hash_shape(digest, tuple(part.shape))
            digest.update(part.contiguous().cpu().numpy().data)
        hash_labels(digest, self.train_labels, self.held_out_labels)
        return digest.hexdigest()[:16]

    def identity(self, sides: Sequence[int]) -> dict[str, Any]:
        """Return what a run's settings say of data that it uses at these sides.

        The filter is named where it is used, but for box, which older runs did not name.
        """
        said: dict[str, Any] = {
            "data": self.name,
            "data_fingerprint": self.fingerprint,
            "data_summary": self.summary,
        }
        if self.resize_by != "box" and any(side != self.side for side in sides):
            said["data_resize"] = self.resize_by
        if self.preparation is not None and self.preparation != Preparation():
            said["preparation"] = self.preparation.model_dump(mode="json")
        return said

    def to(self, device: torch.device | str) -> "Images":
        """Move pixels and labels to `device`; pixels that are too many for it stay on the CPU."""
        device = torch.device(device)
        train_labels, held_out_labels = (
            None if y is None else y.to(device) for y in (self.train_labels, self.held_out_labels)
        )
        stay = not fits(self.train.nbytes + self.held_out.nbytes, device)
        return self._same_set(
            replace(
                self,
                train=self.train if stay else self.train.to(device),
                held_out=self.held_out if stay else self.held_out.to(device),
                train_labels=train_labels,
                held_out_labels=held_out_labels,
            )
        )

    def at(self, side: int) -> "Images":
        """Return the same images at `side` pixels, made of the largest there were."""
        whole: Images = self.__dict__.get("_whole", self)
        if side == self.side:
            return self
        if side == whole.side:
            return whole
        by = whole.resize_by
        copy = replace(
            whole,
            train=resize(whole.train, side, by),
            held_out=resize(whole.held_out, side, by),
            resizing=resizing_to(side, whole.side, by, whole.resizing),
        )
        copy.__dict__["_whole"] = whole
        return self._same_set(copy)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process is sent: arrays, since shared memory may be small."""
        state = {**self.__dict__, "fingerprint": self.fingerprint}
        state.pop("_whole", None)
        tensors = {name: part for name, part in state.items() if isinstance(part, Tensor)}
        return state | {name: part.cpu().numpy() for name, part in tensors.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take in what was sent."""
        arrays = {name: part for name, part in state.items() if isinstance(part, np.ndarray)}
        self.__dict__.update(state | {name: torch.from_numpy(a) for name, a in arrays.items()})

    def _same_set(self, copy: "Images") -> "Images":
        copy.__dict__["fingerprint"] = self.fingerprint
        return copy

    def _classes_in_words(self) -> str:
        if self.num_classes is None:
            return "no classes"
        named = ", ".join(self.classes[:NUM_NAMED])
        more = " ..." if len(self.classes) > NUM_NAMED else ""
        return f"{self.num_classes:,} classes" + (f": {named}{more}" if named else "")


def resizing_to(side: int, own: int, by: Resize, known: str = AS_THEY_ARE) -> str:
    """Say how images come to `side` that are of `own` pixels, `known` having happened before."""
    if side == own:
        return known
    before = f"{own} px" if known == AS_THEY_ARE else known
    return f"{before}, to {side} px by {in_effect(by, own, side)}"


def fits(num_bytes: int, device: torch.device) -> bool:
    """Tell whether pixels may be moved to `device` as a whole: those of a CPU stay where they are.

    A GPU gives half of what is free: training needs the rest.
    """
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes <= SHARE_OF_DEVICE * free


def hash_shape(digest: Any, shape: tuple[int, ...]) -> None:
    """Let a fingerprint look at the shape of an array, before its bytes."""
    digest.update(str(shape).encode())


def hash_labels(digest: Any, *labels: Tensor | None) -> None:
    """Let a fingerprint look at labels, which come after all pixels."""
    for part in labels:
        if part is None:
            digest.update(b"none")
        else:
            hash_shape(digest, tuple(part.shape))
            digest.update(part.contiguous().cpu().numpy().data)
