"""What folders mean: classes, splits, shards, labels of a dataset.json."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_nas.data import Images, load_images
from gan_nas.errors import InvalidInput

RANDOM = np.random.RandomState(0)


def write(root: Path, *folders: str, num: int = 10) -> Path:
    for folder in folders:
        for i in range(num):
            path = root / folder / f"img{i:08}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RANDOM.randint(0, 256, (16, 16, 3)).astype(np.uint8)).save(path)
    return root


def zipped(root: Path) -> Path:
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in root.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(root))
    return path


def counts(images: Images) -> list[int] | None:
    if images.train_labels is None or images.held_out_labels is None:
        return None
    return [
        int((images.train_labels == k).sum() + (images.held_out_labels == k).sum())
        for k in range(images.num_classes or 0)
    ]


def test_numbered_shards_are_no_classes_and_it_is_said(tmp_path: Path) -> None:
    root = write(tmp_path / "x", "00000", "00001", "00002")
    for path in (root, zipped(root)):
        images = load_images(str(path))
        assert images.num_classes is None
        assert "folders 00000 to 00002 are shards, no classes" in images.summary


def test_folders_of_single_digits_are_classes_in_their_order(tmp_path: Path) -> None:
    images = load_images(str(write(tmp_path / "x", "0", "2", "10")))
    assert images.classes == ("0", "2", "10")
    assert "3 classes: 0, 2, 10" in images.summary


@pytest.mark.parametrize("inside", ["", "wrapped/"])
def test_the_labels_of_a_dataset_json_are_the_classes(inside: str, tmp_path: Path) -> None:
    root = write(tmp_path / "x", f"{inside}00000", f"{inside}00001")
    names = [f"{shard}/img{i:08}.png" for shard in ("00000", "00001") for i in range(10)]
    labels = [[name, 7 if i % 4 else 3] for i, name in enumerate(names)]
    (root / inside / "dataset.json").write_text(json.dumps({"labels": labels}))
    for path in (root, zipped(root)):
        images = load_images(str(path))
        assert images.classes == ("3", "7")
        assert counts(images) == [5, 15]
        assert "classes from dataset.json" in images.summary
        assert "skipped" not in images.summary


def test_a_dataset_json_without_labels_leaves_none(tmp_path: Path) -> None:
    root = write(tmp_path / "x", "00000", "00001")
    for content in ({"labels": None}, {}):
        (root / "dataset.json").write_text(json.dumps(content))
        assert load_images(str(root)).num_classes is None


def test_labels_of_some_images_only_are_not_used_and_it_is_said(tmp_path: Path) -> None:
    root = write(tmp_path / "x", "a", "b")
    labels = [[f"a/img{i:08}.png", i] for i in range(10)]
    (root / "dataset.json").write_text(json.dumps({"labels": labels}))
    images = load_images(str(root))
    assert images.num_classes is None
    assert "dataset.json labels 10 of 20" in images.summary


@pytest.mark.parametrize(
    "text",
    [
        "[1",
        "[]",
        '{"labels": 5}',
        '{"labels": [["a/img00000000.png", "cat"]]}',
        "[" * 100_000,
        "\0",
    ],
)
def test_an_unreadable_dataset_json_is_named(text: str, tmp_path: Path) -> None:
    root = write(tmp_path / "x", "a", "b")
    (root / "dataset.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"dataset\.json") as refusal:
        load_images(str(root))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("second", ["val", "valid", "Validation", "test"])
def test_train_and_val_are_splits(second: str, tmp_path: Path) -> None:
    root = write(tmp_path / "x", "train/cats", "train/dogs", f"{second}/cats", f"{second}/dogs")
    images = load_images(str(root))
    assert (len(images.train), len(images.held_out)) == (20, 20)
    assert images.classes == ("cats", "dogs")
    assert images.held_out_labels is not None
    assert images.held_out_labels.bincount().tolist() == [10, 10]
    assert "is held out" in images.summary
    expected = {np.asarray(Image.open(file)).tobytes() for file in (root / "train").rglob("*.png")}
    found = {one.permute(1, 2, 0).numpy().tobytes() for one in images.train}
    assert found == expected


def test_of_val_and_test_the_former_is_held_out_and_the_latter_left_aside(tmp_path: Path) -> None:
    images = load_images(str(write(tmp_path / "x", "train", "val", "test", num=16)))
    assert (len(images.train), len(images.held_out)) == (16, 16)
    assert images.num_classes is None
    assert "test (16 images) is left aside" in images.summary


def test_only_train_and_a_stranger_are_classes(tmp_path: Path) -> None:
    assert load_images(str(write(tmp_path / "x", "train", "cats"))).classes == ("cats", "train")


def test_linked_class_folders_are_followed_once(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere", "real")
    root = write(tmp_path / "x", "a")
    (root / "b").symlink_to(elsewhere / "real")
    (root / "a" / "circle").symlink_to(root)
    images = load_images(str(root))
    assert counts(images) == [10, 10]


@pytest.mark.parametrize("name", ["0", "zzz"])
def test_a_link_to_the_folder_itself_adds_nothing_wherever_it_is_listed(
    name: str, tmp_path: Path
) -> None:
    root = write(tmp_path / "x", "a", "b")
    (root / name).symlink_to(root)
    (root / "nowhere").symlink_to(root / "missing")
    (root / "itself").symlink_to(root / "itself")
    images = load_images(str(root))
    assert counts(images) == [10, 10]
    assert images.classes == ("a", "b")


def test_folders_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    root = write(tmp_path / "x", "a", "b")
    (root / "lost+found").mkdir(mode=0)
    if os.access(root / "lost+found", os.R_OK):
        pytest.skip("root may read everything")
    assert counts(load_images(str(root))) == [10, 10]


def test_names_in_a_zip_may_begin_with_the_folder_they_are_in(tmp_path: Path) -> None:
    root, path = write(tmp_path / "x", "a", "b"), tmp_path / "dotted.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in root.rglob("*.png"):
            archive.writestr(f"./{file.relative_to(root).as_posix()}", file.read_bytes())
    assert counts(load_images(str(path))) == [10, 10]


def test_a_link_in_a_zip_is_refused_by_name(tmp_path: Path) -> None:
    path = zipped(write(tmp_path / "x", "a", "b"))
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("a/passwd.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InvalidInput, match=r"passwd\.png is a link"):
        load_images(str(path))
