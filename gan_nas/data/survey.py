"""Look through the files of a data set, without their pixels, and decide what becomes of them.

Whatever is unlike the rest is refused by name, or left out where that was asked for.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

from gan_nas.data.image_files import (
    BROKEN,
    EXTENSIONS,
    LABELS,
    ImageFiles,
    ImageHeader,
    name_some,
    read_image_header,
)
from gan_nas.data.images import AS_THEY_ARE
from gan_nas.data.layout import arrange, read_labels
from gan_nas.data.preparation import Crop, Preparation
from gan_nas.data.resizing import Resize, in_effect
from gan_nas.errors import Interrupted, InvalidInput
from gan_nas.progress import Progress
from gan_nas.streams import stream

MIN_IMAGES = 16
MIN_SIDE, MAX_SIDE = 8, 512
MOST_ODD = 0.5  # share of files that may be unlike the others and still be called odd
LABEL_LIMIT = 1 << 10  # bytes of a dataset.json for each file: a name and a number take 50
BATCH = 256  # files between looks at the clock

Stop = Callable[[], bool]


class Survey(NamedTuple):
    """What becomes of which files: those to train on, those held out, and how they are prepared."""

    train: list[str]
    held_out: list[str]
    class_of: dict[str, str] | None
    mode: str
    side: int
    crop: Crop
    resizing: str
    has_splits: bool
    remarks: list[str]


def look_through(
    files: ImageFiles,
    side: int | None,
    asked: Preparation,
    by: Resize,
    stop: Stop,
    progress: Progress,
) -> Survey:
    """Read all headers and decide what is taken, and how."""
    check_number(files.path, len(files.names))
    headers, unreadable = _headers(files, asked, stop, progress)
    layout = arrange(sorted(headers), _dataset_json(files))
    used = layout.train + (layout.held_out or [])
    odd = _odd_kinds(files, headers, used, asked)
    left = [name for name in used if name not in odd]
    odd |= _odd_sizes(files, headers, left, asked)
    left = [name for name in used if name not in odd]
    check_number(files.path, len(left))
    kinds = {headers[name].mode for name in left}
    target, crop, resizing = _shape(files.path, headers, left, side, asked, by)
    remarks = list(layout.remarks)
    transparent = sum(headers[name].transparent for name in left)
    if transparent:
        remarks.append(f"{transparent:,} transparent, laid on {asked.background}")
    small = sum(min(headers[name][1:3]) < target for name in left)
    if small:
        remarks.append(f"{small:,} smaller than {target} px and enlarged")
    skipped = sorted([*unreadable, *odd, *_strange(files.others)])
    if skipped:
        noun = "file" if len(skipped) == 1 else "files"
        remarks.append(f"{len(skipped):,} {noun} skipped: {name_some(skipped)}")
    train = [name for name in layout.train if name not in odd]
    if layout.held_out is None:
        rows, held_rows = draw_held_out(len(train))
        train, held_out = [train[i] for i in rows], [train[i] for i in held_rows]
    else:
        held_out = [name for name in layout.held_out if name not in odd]
    if min(len(train), len(held_out)) < 2:
        raise InvalidInput(
            f"{files.path} leaves {len(train)} images to train on and {len(held_out)} held out; "
            "at least 2 of each are needed"
        )
    return Survey(
        train,
        held_out,
        layout.class_of,
        kinds.pop(),
        target,
        crop,
        resizing,
        layout.held_out is not None,
        remarks,
    )


def _headers(
    files: ImageFiles, asked: Preparation, stop: Stop, progress: Progress
) -> tuple[dict[str, ImageHeader], list[str]]:
    """Read all headers; files that have none are named or, where asked for, left out."""
    headers, unreadable = {}, []
    for done, name in enumerate(files.names, 1):
        try:
            headers[name] = read_image_header(files, name)
        except InvalidInput:
            if not asked.skip_odd:
                raise
            unreadable.append(name)
        if done % BATCH == 0:
            check_stop(stop)
            progress("looking at images", done, len(files.names), {})
    check_number(files.path, len(headers))
    return headers, unreadable


def _dataset_json(files: ImageFiles) -> dict[str, int | None] | None:
    """Return the labels of the dataset.json nearest to the top, if there is one."""
    found = [name for name in files.others if PurePosixPath(name).name == LABELS]
    if not found:
        return None
    first = min(found, key=lambda name: name.count("/"))
    if files.size(first) > (limit := LABEL_LIMIT * (len(files.names) + 1)):
        raise InvalidInput(
            f"{files.path / first} has {files.size(first):,} bytes, to label {len(files.names):,} "
            f"images it may have {limit:,}: mend or remove it"
        )
    try:
        with files.open(first) as file:
            text = file.read(limit)
        return read_labels(json.loads(text), str(PurePosixPath(first).parent))
    except InvalidInput as error:
        raise InvalidInput(f"{files.path} cannot be understood: {error}") from error
    except (*BROKEN, RecursionError) as error:
        raise InvalidInput(
            f"{files.path / first} is no readable JSON: mend or remove it"
        ) from error


def _strange(others: list[str]) -> list[str]:
    return [name for name in others if PurePosixPath(name).name != LABELS]


def _odd_kinds(
    files: ImageFiles, headers: dict[str, ImageHeader], used: list[str], asked: Preparation
) -> set[str]:
    """Return the few grey images among colours, or the other way round; refused unless asked."""
    grey = [name for name in used if headers[name].mode == "L"]
    colour = [name for name in used if headers[name].mode != "L"]
    if not grey or not colour:
        return set()
    few, kind, others = (
        (grey, "grey", "colour") if len(grey) <= len(colour) else (colour, "colour", "grey")
    )
    if asked.skip_odd:
        return set(few)
    which = "it" if len(few) == 1 else f"all {len(few)} of its kind"
    raise InvalidInput(
        f"{files.path / few[0]} is {kind} while {len(used) - len(few)} other images are "
        f"{others}: convert or remove {which}, or let odd files be skipped"
    )


def _odd_sizes(
    files: ImageFiles, headers: dict[str, ImageHeader], left: list[str], asked: Preparation
) -> set[str]:
    """Return the few images of another size than most; refused unless asked.

    A crop that was asked for makes all sizes equal.
    """
    sizes = Counter(headers[name][1:3] for name in left)
    if len(sizes) == 1 or asked.crop is not None:
        return set()
    usual, num = sizes.most_common(1)[0]
    few = [name for name in left if headers[name][1:3] != usual]
    if len(few) > MOST_ODD * len(left):
        least, most = min(sizes, key=min), max(sizes, key=min)
        raise InvalidInput(
            f"{files.path} holds images of {len(sizes):,} sizes, from {_size(least)} to "
            f"{_size(most)}: ask for a crop, center or none, and name the side they shall have"
        )
    if asked.skip_odd:
        return set(few)
    others = f" and {len(few) - 1} more are not {_size(usual)} either" if len(few) > 1 else ""
    raise InvalidInput(
        f"{files.path / few[0]} has {_size(headers[few[0]][1:3])} while {num} other images have "
        f"{_size(usual)}{others}: remove it, let odd files be skipped, or ask for a crop, center "
        "or none, and name the side all shall have"
    )


def _shape(
    path: Path,
    headers: dict[str, ImageHeader],
    left: list[str],
    side: int | None,
    asked: Preparation,
    by: Resize,
) -> tuple[int, Crop, str]:
    """Return the side images are brought to, whether they are cropped, and both in words."""
    sizes = sorted({headers[name][1:3] for name in left}, key=lambda size: (min(size), size))
    square = all(width == height for width, height in sizes)
    crop = asked.crop or "center"
    own = {min(size) for size in sizes}
    if side is None and len(own) > 1:
        raise InvalidInput(
            f"{path} holds images of sides from {min(own)} to {max(own)} px: name the side they "
            "shall have"
        )
    largest = max(own)
    target = checked_side(path, min(largest, MAX_SIDE) if side is None else side, largest)
    how = "" if square else {"center": "centre-cropped", "none": "squeezed to a square"}[crop]
    came = f"{len(sizes):,} sizes from {_size(sizes[0])} to {_size(sizes[-1])}"
    if len(sizes) == 1:
        came = f"{largest} px" if square else _size(sizes[0])
    if len(sizes) > 1:
        return target, crop, resizing_in_words(came, how, 0, target, by)
    # Cropped images of the right side are taken as they are; squeezed ones never.
    before = largest if square or crop == "center" else 0
    return target, crop, resizing_in_words(came, how, before, target, by)


def checked_side(path: Path, side: int, own: int) -> int:
    """Return the side images are brought to; raises InvalidInput for one that no network takes."""
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise InvalidInput(
            f"{path} holds images of {own} px and a side of {side} was asked for: name one from "
            f"{MIN_SIDE} to {MAX_SIDE}"
        )
    return side


def resizing_in_words(came: str, how: str, before: int, side: int, by: Resize) -> str:
    """Say how images came to their side; `before` is 0 where they had several."""
    if before == side and not how:
        return AS_THEY_ARE
    parts = [came, *([how] if how else [])]
    if before != side:
        parts.append(f"to {side} px by {in_effect(by, before, side) if before else by}")
    return ", ".join(parts)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"


def check_number(path: Path, num: int) -> None:
    """Raise InvalidInput for fewer images than can be split."""
    if num < MIN_IMAGES:
        raise InvalidInput(
            f"{path} holds {num} images that can be used, at least {MIN_IMAGES} are needed; images "
            f"end in {', '.join(EXTENSIONS)}"
        )


def check_stop(stop: Stop) -> None:
    """Raise Interrupted when somebody asked to stop."""
    if stop():
        raise Interrupted("stopped while reading images; nothing was written")


def draw_held_out(num: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of images to train on, and of a tenth to hold out, each in order."""
    order = torch.randperm(num, generator=stream(0, "held-out images"), device="cpu")
    # Two at least: one image has no covariance.
    held_out, train = order.split_with_sizes([n := max(2, num // 10), num - n])
    return train.sort().values, held_out.sort().values
