"""What the folders of a data set mean: splits, classes, or shards that mean nothing.

`train`, `val` and `test` at the top are splits. Below, sub-folders are classes where every image
lies in one of at least two, unless a dataset.json (StyleGAN's) gives labels, or they are numbered
shards (00000, 00001, ...), as StyleGAN's tools write them.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from gan_nas.errors import InvalidInput, shorten

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
SHARD_DIGITS = 4  # at least; folders called 0 to 9 are classes


class Layout(NamedTuple):
    """Which images are trained on and held out, and the class of each, where there are any.

    `held_out` is None where the folders do not say, `remarks` are what was understood, in words.
    """

    train: list[str]
    held_out: list[str] | None
    class_of: dict[str, str] | None
    remarks: list[str]


def arrange(names: list[str], labels: Mapping[str, int | None] | None) -> Layout:
    """Read the meaning of sorted relative names; `labels` are those of a dataset.json, if any."""
    inside = _without_common_folders(names)
    train, held_out, remarks = names, None, []
    found = {SPLITS.get(parts[0].lower()) for parts in inside.values() if len(parts) > 1}
    if "train" in found and None not in found and all(len(p) > 1 for p in inside.values()):
        parts_of: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for name in names:
            parts_of[SPLITS[inside[name][0].lower()]].append(name)
        inside = {name: parts[1:] for name, parts in inside.items()}
        train = parts_of["train"]
        second = "val" if parts_of["val"] else "test"
        if parts_of[second]:
            held_out = parts_of[second]
            remarks.append(f"{second} is held out")
            if second == "val" and parts_of["test"]:
                remarks.append(f"test ({len(parts_of['test']):,} images) is left aside")
    used = train + (held_out or [])
    if labels is not None:
        class_of, remark = _labelled(used, labels)
    else:
        class_of, remark = _classes({name: inside[name] for name in used})
    return Layout(train, held_out, class_of, remarks + ([remark] if remark else []))


def read_labels(content: Any, folder: str) -> dict[str, int | None] | None:
    """Read the JSON of a dataset.json in `folder`; None where it gives no labels.

    Raises InvalidInput for one that is not StyleGAN's: {"labels": [[name, class], ...]}.
    """
    if not isinstance(content, dict):
        raise InvalidInput(f"its dataset.json is no object but {shorten(content)}")
    labels = content.get("labels")
    if labels is None:
        return None
    try:
        return {str(PurePosixPath(folder, name)): _class(label) for name, label in labels}
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            'its dataset.json does not say {"labels": [[name, class], ...]} with whole numbers as '
            "classes: mend or remove it"
        ) from error


def _class(label: object) -> int | None:
    if label is not None and type(label) is not int:
        raise TypeError
    return label


def _labelled(
    used: list[str], labels: Mapping[str, int | None]
) -> tuple[dict[str, str] | None, str | None]:
    known = {name: str(label) for name in used if (label := labels.get(name)) is not None}
    if len(known) == len(used):
        return known, "classes from dataset.json"
    if not known:
        return None, None
    return None, f"dataset.json labels {len(known):,} of {len(used):,}: there are no classes"


def _classes(inside: Mapping[str, tuple[str, ...]]) -> tuple[dict[str, str] | None, str | None]:
    """Return each image's class: its first folder, below those that hold all images."""
    if not all(len(parts) > 1 for parts in inside.values()):
        return None, None
    folders = {parts[0] for parts in inside.values()}
    if len(folders) < 2:
        return None, None
    if _are_shards(folders):
        return None, f"folders {min(folders)} to {max(folders)} are shards, no classes"
    return {name: parts[0] for name, parts in inside.items()}, None


def _are_shards(folders: set[str]) -> bool:
    lengths = {len(folder) for folder in folders}
    return all(map(str.isdigit, folders)) and len(lengths) == 1 and min(lengths) >= SHARD_DIGITS


def _without_common_folders(names: list[str]) -> dict[str, tuple[str, ...]]:
    inside = {name: PurePosixPath(name).parts for name in names}
    while inside and all(len(p) > 1 for p in inside.values()):
        if len({p[0] for p in inside.values()}) > 1:
            break
        inside = {name: p[1:] for name, p in inside.items()}
    return inside
