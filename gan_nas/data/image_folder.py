"""Any folder, zip or npz of images as a data set: looked through, prepared once, split.

What does not fit together is refused by name. Sets that are large are decoded into the cache and
mapped from there, so that they may exceed the memory.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan_nas.data import store
from gan_nas.data.image_files import ImageFiles, decode_image, open_image_files, stamp_of_zip
from gan_nas.data.image_stream import ImageStream, open_npz
from gan_nas.data.images import Images, hash_labels, hash_shape
from gan_nas.data.preparation import Crop, Preparation
from gan_nas.data.resizing import Resize, in_effect, resize
from gan_nas.data.survey import (
    BATCH,
    Stop,
    Survey,
    check_number,
    check_stop,
    checked_side,
    draw_held_out,
    look_through,
    resizing_in_words,
)
from gan_nas.errors import InvalidInput, MissingResource
from gan_nas.files import warn_not_kept
from gan_nas.machine.cores import available_cores
from gan_nas.progress import Progress, silent

STORED_FROM = 64 << 20  # bytes; smaller sets are decoded each time, and leave no file
DEFAULT_RESIZE: Resize = "bilinear"  # torchvision's on PIL images, in both papers' loaders
PILLOW = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# Shape of a set, what is known of it, and its batches: first those of the training images.
Making = tuple[tuple[int, int, int, int], dict[str, Any], Iterator[Tensor]]


def load(
    path: Path,
    side: int | None = None,
    preparation: Preparation | None = None,
    cache: Path | None = None,
    *,
    stop: Stop = lambda: False,
    progress: Progress = silent,
) -> Images:
    """Load the images under a folder (recursively), in a zip or in an npz, without extracting it.

    They keep their own side, up to 512 px, or are brought to `side` once. A tenth of a seeded
    permutation is held out, unless folders say what is. Large sets are kept in `cache`. Raises
    InvalidInput naming the file that cannot be used.
    """
    asked = preparation or Preparation()
    by = asked.resize or DEFAULT_RESIZE
    settings = {"side": side, "asked": asked.model_dump(mode="json")}
    if path.suffix == ".npz" and path.is_file():
        images = open_npz(path)
        key = store.key_of(npz=stamp_of_zip(path), **settings)
        make = partial(_from_npz, path, images, side, asked, by, stop, progress)
        return _images(str(path), _stored(cache, key, make), asked)
    with open_image_files(path) as files:
        key = store.key_of(files=files.stamp, **settings)
        make = partial(_from_files, files, side, asked, by, stop, progress)
        return _images(str(path), _stored(cache, key, make), asked)


def _stored(cache: Path | None, key: str, make: Callable[[], Making]) -> store.Stored:
    """Return a set from the cache, or make it; large ones are then kept there."""
    found = None if cache is None else store.find(cache, key)
    if found is not None:
        return found
    shape, facts, batches = make()
    if cache is None or prod(shape) < STORED_FROM:
        return store.Stored(torch.cat(list(batches)), facts)
    try:
        return store.keep(cache, key, shape, _hashed(batches, shape, facts), facts)
    except MissingResource as error:
        warn_not_kept(cache, error)
    shape, facts, batches = make()  # some of the batches are gone
    return store.Stored(torch.cat(list(_hashed(batches, shape, facts))), facts)


def _from_files(
    files: ImageFiles,
    side: int | None,
    asked: Preparation,
    by: Resize,
    stop: Stop,
    progress: Progress,
) -> Making:
    """Look through image files, and decode them when their batches are asked for."""
    survey = look_through(files, side, asked, by, stop, progress)
    channels = 1 if survey.mode == "L" else 3
    names = survey.train + survey.held_out
    shape = (len(names), channels, survey.side, survey.side)
    labels, classes = _labels(names, survey.class_of)
    facts = _facts(
        len(survey.train),
        by,
        survey.resizing,
        labels=labels,
        classes=classes,
        has_splits=survey.has_splits,
        remarks=survey.remarks,
    )
    return shape, facts, _decoded(files, survey, asked, by, stop, progress)


def _from_npz(
    path: Path,
    images: ImageStream,
    side: int | None,
    asked: Preparation,
    by: Resize,
    stop: Stop,
    progress: Progress,
) -> Making:
    """Prepare the array of an npz, which is read when its batches are asked for."""
    if asked.changes_files:
        raise InvalidInput(
            f"crop, background and odd files are for image files, and {path} is an npz: leave "
            "them out"
        )
    check_number(path, images.num)
    target = checked_side(path, images.side if side is None else side, images.side)
    train, held_out = draw_held_out(images.num)
    shape = (images.num, images.channels, target, target)
    resizing = resizing_in_words(f"{images.side} px", "", images.side, target, by)

    def batches() -> Iterator[Tensor]:
        # Read once for each part: held-out images come from all over the file and go last.
        for rows in (train, held_out):
            for numbers, batch in _numbered(images.batches(BATCH), stop, progress, images.num):
                chosen = batch[torch.isin(numbers, rows)]
                if len(chosen):
                    yield resize(chosen, target, by)

    return shape, _facts(len(train), by, resizing), batches()


def _numbered(
    batches: Iterable[Tensor], stop: Stop, progress: Progress, total: int
) -> Iterator[tuple[Tensor, Tensor]]:
    done = 0
    for batch in batches:
        check_stop(stop)
        yield torch.arange(done, done + len(batch), device="cpu"), batch
        done += len(batch)
        progress("reading images", done, total, {})


def _facts(
    num_train: int,
    by: Resize,
    resizing: str,
    *,
    labels: list[int] | None = None,
    classes: Sequence[str] = (),
    has_splits: bool = False,
    remarks: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what is known of a set beside its pixels, in JSON."""
    return {
        "num_train": num_train,
        "labels": labels,
        "classes": list(classes),
        "has_splits": has_splits,
        "resize_by": by,
        "resizing": resizing,
        "remarks": list(remarks),
    }


def _images(name: str, stored: store.Stored, asked: Preparation) -> Images:
    pixels, about = stored
    cut = about["num_train"]
    labels = None if about["labels"] is None else torch.tensor(about["labels"], device="cpu")
    images = Images(
        name,
        pixels[:cut],
        pixels[cut:],
        None if labels is None else labels[:cut],
        None if labels is None else labels[cut:],
        None if labels is None else len(about["classes"]),
        resize_by=about["resize_by"],
        classes=tuple(about["classes"]),
        resizing=about["resizing"],
        remarks=tuple(about["remarks"]),
        has_splits=about["has_splits"],
        preparation=asked,
    )
    if "fingerprint" in about:
        images.__dict__["fingerprint"] = about["fingerprint"]
    return images


def _hashed(
    batches: Iterable[Tensor], shape: tuple[int, int, int, int], facts: dict[str, Any]
) -> Iterator[Tensor]:
    """Pass batches on, and write their fingerprint into the facts after the last."""
    num, *rest = shape
    cut, done, digest = facts["num_train"], 0, sha256()
    hash_shape(digest, (cut, *rest))
    for batch in batches:
        if done == cut:
            hash_shape(digest, (num - cut, *rest))
        digest.update(batch.contiguous().numpy().data)
        done += len(batch)
        yield batch
    labels = None if facts["labels"] is None else torch.tensor(facts["labels"], device="cpu")
    parts = (None, None) if labels is None else (labels[:cut], labels[cut:])
    hash_labels(digest, *parts)
    facts["fingerprint"] = digest.hexdigest()[:16]


def _decoded(
    files: ImageFiles,
    survey: Survey,
    asked: Preparation,
    by: Resize,
    stop: Stop,
    progress: Progress,
) -> Iterator[Tensor]:
    """Decode, crop and resize files, uint8 (B, C, S, S); no batch is of both parts."""

    def pixels(name: str) -> np.ndarray:
        image = decode_image(files, name, survey.mode, asked.background)
        return np.asarray(squared(image, survey.side, survey.crop, by))

    total, done = len(survey.train) + len(survey.held_out), 0
    with ThreadPoolExecutor(available_cores()) as pool:  # Pillow decodes without Python's lock
        for names in (survey.train, survey.held_out):
            for start in range(0, len(names), BATCH):
                check_stop(stop)
                batch = np.stack(list(pool.map(pixels, names[start : start + BATCH])))
                images = torch.from_numpy(batch.reshape(len(batch), survey.side, survey.side, -1))
                yield images.permute(0, 3, 1, 2).contiguous()  # (B, C, S, S)
                done += len(batch)
                progress("reading images", done, total, {})


def squared(image: Image.Image, side: int, crop: Crop, by: Resize) -> Image.Image:
    """Crop or squeeze an image to a square and bring it to `side`, once."""
    if crop == "center":
        width, height = image.size
        shorter = min(width, height)
        left, top = (width - shorter) // 2, (height - shorter) // 2
        image = image.crop((left, top, left + shorter, top + shorter))
    if image.size == (side, side):
        return image
    return image.resize((side, side), PILLOW[in_effect(by, min(image.size), side)])


def _labels(
    names: list[str], class_of: dict[str, str] | None
) -> tuple[list[int] | None, tuple[str, ...]]:
    """Return the class of each image by number, and what the numbers stand for."""
    if class_of is None:
        return None, ()
    found = {class_of[name] for name in names}
    are_numbers = all(one.lstrip("-").isdecimal() for one in found)
    classes = sorted(found, key=lambda one: (int(one) if are_numbers else 0, one))
    number_of = {one: number for number, one in enumerate(classes)}
    return [number_of[class_of[name]] for name in names], tuple(classes)
