from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Command

from gan_nas.data import cache_dir, load_images
from gan_nas.data.image_stream import open_images
from gan_nas.metrics.loading import load_backbone
from gan_nas.metrics.statistics import load_statistics
from gan_nas.scoring.reference import check_reference, make_statistics


def test_statistics_of_a_folder_are_written_with_their_passport(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    backbone = load_backbone("classifier", load_images(str(folder)), cache_dir(), "cpu")
    expected = make_statistics(backbone, open_images(folder))
    for name in ("a.npz", "b.safetensors"):
        made = gan_nas("stats", folder, "-o", tmp_path / name, "--json", "--device", "cpu")
        assert made.code == 0
        assert "60 images do not fill the covariance of 64 features" in made.err
        statistics = load_statistics(tmp_path / name)
        assert torch.equal(statistics.mean, expected.mean)
        assert torch.equal(statistics.covariance, expected.covariance)
        assert statistics.passport == expected.passport == made.json["passport"]
        assert made.json["file"] == str(tmp_path / name)
        assert made.json["fingerprint"] == statistics.fingerprint
        assert check_reference(statistics, backbone, 16) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.safetensors"]


def test_data_sets_have_splits_and_any_resolution(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    del folder  # for its cache
    path = tmp_path / "digits.npz"
    for options, num, side in (((), 1437, 8), (("--split", "all", "--resolution", 16), 1797, 16)):
        made = gan_nas("stats", "digits", "-o", path, *options)
        assert made.code == 0
        assert f"{num:,} images" in made.out
        assert f"of {side} px of digits" in made.out
        assert "embedding" in made.err
        statistics = load_statistics(path)
        assert (statistics.count, statistics.passport["image_side"]) == (num, side)
    with np.load(path, allow_pickle=False) as written:  # as pytorch-fid does
        assert written["mu"].shape == (64,)
        assert written["sigma"].shape == (64, 64)


@pytest.mark.parametrize(
    ("name", "said"),
    [("cut", "07.png cannot be read"), ("empty", "holds no images"), ("absent", "neither a data")],
)
def test_images_that_cannot_be_used_are_named_and_nothing_is_written(
    gan_nas: Command, folder: Path, name: str, said: str, tmp_path: Path
) -> None:
    if name != "absent":
        (tmp_path / name).mkdir()
    for file in sorted(folder.iterdir())[:20] if name == "cut" else ():
        content = file.read_bytes()
        (tmp_path / name / file.name).write_bytes(content[: -50 if file.stem == "07" else None])
    before = sorted(tmp_path.rglob("*"))
    refused = gan_nas("stats", tmp_path / name, "-o", tmp_path / "out.npz")
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err
    assert str(tmp_path / name) in refused.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-o", "out.txt"), "ends with .npz or .safetensors"),
        ((), "missing option '--output'"),
        (("-o", "out.npz", "--split", "held_out"), "did you mean held-out?"),
        (("-o", "out.npz", "--backbone", "clasifier"), "unknown backbone 'clasifier'"),
        (("-o", "out.npz", "--resolution", "0"), "invalid value for '--resolution'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    gan_nas: Command, options: tuple[str, ...], said: str
) -> None:
    refused = gan_nas("stats", "digits", *options)
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err
    assert "embedding" not in refused.err


def test_an_npz_trains_its_classifier_and_is_not_overwritten(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images.npz"
    np.savez(images, np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8))
    content = images.read_bytes()
    refused = gan_nas("stats", images, "-o", images)
    assert refused.code == 2
    assert "holds the images themselves" in refused.err
    assert images.read_bytes() == content
    assert gan_nas("stats", images, "-o", tmp_path / "out.npz").code == 0


def test_a_protocol_has_its_split_of_a_data_set(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    del folder  # for its cache
    for options, split, num in (
        (("--protocol", "sngan"), "held-out", 360),
        (("--protocol", "autogan"), "train", 1437),
        (("--protocol", "sngan", "--split", "all"), "all", 1797),
    ):
        made = gan_nas("stats", "digits", "-o", tmp_path / "x.npz", *options, "--json").json
        assert (made["passport"]["split"], made["passport"]["num_real"]) == (split, num)
    refused = gan_nas("stats", "digits", "-o", tmp_path / "y.npz", "--protocol", "clean-fid")
    assert (refused.code, refused.out) == (2, "")
    assert "did you mean cleanfid" in refused.err
