from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gan_nas.data import Images, load_images
from gan_nas.data.image_stream import open_images
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.metrics.backbone import Backbone, custom_backbone
from gan_nas.metrics.frechet import FrechetReference
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics, load_statistics, save_statistics
from gan_nas.scoring.reference import REFERENCE_SPLITS, check_reference, make_statistics
from gan_nas.scoring.scorer import Scorer

DIGITS = load_images("digits")


class Patches(nn.Module):
    """Means over quarters of the image, of its values and of their squares."""

    def __init__(self, fault: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("fault", torch.tensor(fault, device="cpu"))

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(images.float() / 255, 4).flatten(1)
        return torch.cat([x, x**2], 1) + self.fault


BACKBONE = custom_backbone("patches", Patches(), channels=1, resize="mean of blocks")


def as_files(folder: Path, images: Tensor) -> Path:
    for i, image in enumerate(images):
        folder.mkdir(exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / f"{i:05}.png")
    return folder


def equal(a: Statistics, b: Statistics) -> bool:
    return torch.equal(a.mean, b.mean) and torch.equal(a.covariance, b.covariance)


@pytest.mark.parametrize("side", [8, 16])
def test_the_training_images_statistics_are_a_scorers_reference(side: int, tmp_path: Path) -> None:
    statistics = make_statistics(BACKBONE, DIGITS, side=side)
    fakes = DIGITS.at(side).held_out[:200]
    scorer = Scorer(BACKBONE, DIGITS, side)
    expected = scorer.score([fakes])[BACKBONE.distance_name]
    path = tmp_path / "reference.npz"
    save_statistics(path, statistics)
    moments = Moments.of(BACKBONE.embed(fakes)[0])
    for reference in (statistics, load_statistics(path)):
        distance = FrechetReference(reference.moments).distance(moments)
        assert distance == pytest.approx(expected, rel=1e-9)


def test_statistics_carry_a_complete_passport() -> None:
    passport = make_statistics(BACKBONE, DIGITS, side=16).passport
    assert passport.pop("torch").startswith(torch.__version__)  # type: ignore[attr-defined]
    assert passport.pop("gan_nas")  # type: ignore[attr-defined]
    assert passport == {
        "backbone": "patches",
        "weights": BACKBONE.fingerprint,
        "resize": "mean of blocks",
        "features_precision": "float32",
        "image_side": 16,
        "image_channels": 1,
        "real_resize": "8 px, to 16 px by bilinear",
        "num_real": 1437,
        "reference": "digits",
        "reference_fingerprint": DIGITS.fingerprint,
        "split": "train",
    }


def test_a_folder_gives_what_the_same_images_of_a_data_set_give(tmp_path: Path) -> None:
    images = small()
    folder = as_files(tmp_path / "x", images.train)
    np.savez(tmp_path / "x.npz", images=images.train.numpy())
    expected = make_statistics(BACKBONE, images, split="train")
    for path in (folder, tmp_path / "x.npz"):
        statistics = make_statistics(BACKBONE, open_images(path))
        assert equal(statistics, expected)
        assert statistics.passport["split"] == "all"
        assert statistics.passport["reference"] == str(path)
    enlarged = make_statistics(BACKBONE, open_images(folder), side=16)
    assert equal(enlarged, make_statistics(BACKBONE, images, side=16))


def test_the_splits_together_are_all() -> None:
    train, held_out, both = (
        make_statistics(BACKBONE, DIGITS, split=split) for split in REFERENCE_SPLITS
    )
    merged = train.moments.merge(held_out.moments)
    assert (train.count, held_out.count, both.count) == (1437, 360, 1797)
    torch.testing.assert_close(both.covariance, merged.covariance, rtol=1e-12, atol=1e-12)
    assert both.passport["split"] == "all"


def test_splits_that_there_are_not_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'tain', did you mean train"):
        make_statistics(BACKBONE, DIGITS, split="tain")
    stream = open_images(as_files(tmp_path / "x", DIGITS.train[:5]))
    with pytest.raises(InvalidInput, match="are all taken"):
        make_statistics(BACKBONE, stream, split="train")


def test_progress_is_told_and_a_stop_obeyed_between_batches() -> None:
    told: list[tuple[int, int]] = []
    make_statistics(BACKBONE, DIGITS, progress=lambda *numbers: told.append(numbers))
    assert told == [(500, 1437), (1000, 1437), (1437, 1437)]
    told.clear()
    with pytest.raises(Interrupted, match="nothing was written"):
        make_statistics(
            BACKBONE, DIGITS, stop=lambda: len(told) > 1, progress=lambda *n: told.append(n)
        )
    assert told == [(500, 1437), (1000, 1437)]


def test_features_that_are_not_finite_are_named() -> None:
    broken = custom_backbone("broken", Patches(float("nan")), channels=1)
    with pytest.raises(RunFailed, match="backbone broken turned digits into NaN"):
        make_statistics(broken, DIGITS)


def test_statistics_fit_the_backbone_and_side_that_made_them(tmp_path: Path) -> None:
    statistics = make_statistics(BACKBONE, DIGITS, side=16)
    assert check_reference(statistics, BACKBONE, 16) == []
    for suffix in ("npz", "safetensors"):
        path = tmp_path / f"reference.{suffix}"
        save_statistics(path, statistics)
        assert check_reference(load_statistics(path), BACKBONE, 16) == []


@pytest.mark.parametrize(
    ("change", "side", "said"),
    [
        ({"fingerprint": "0123"}, 16, "backbone 'patches .* there and 'patches 0123' here"),
        ({"own_resize": "another"}, 16, "resizing 'mean of blocks' there and 'another' here"),
        ({}, 8, "pixels along a side 16 there and 8 here"),
        ({"fingerprint": "0123"}, 8, "backbone .*, pixels along a side 16"),
    ],
)
def test_statistics_of_something_else_are_refused(
    change: dict[str, Any], side: int, said: str
) -> None:
    statistics = make_statistics(BACKBONE, DIGITS, side=16)
    other: Backbone = replace(BACKBONE, **change)
    with pytest.raises(
        Incompatible, match=rf"^ref\.npz do not fit: .*{said}.*make statistics anew"
    ):
        check_reference(statistics, other, side, "ref.npz")


def test_statistics_without_a_passport_are_taken_with_a_remark(tmp_path: Path) -> None:
    statistics = make_statistics(BACKBONE, DIGITS)
    path = tmp_path / "fid_stats.npz"
    np.savez(path, mu=statistics.mean.numpy(), sigma=statistics.covariance.numpy())
    (remark,) = check_reference(load_statistics(path), BACKBONE, 8)
    for unknown in ("backbone", "resizing", "pixels along a side", "number of images", "32"):
        assert unknown in remark
    np.savez(path, mu=statistics.mean[:-1].numpy(), sigma=statistics.covariance[:-1, :-1].numpy())
    with pytest.raises(Incompatible, match="have 31 features and the backbone patches 32"):
        check_reference(load_statistics(path), BACKBONE, 8)


def test_half_a_passport_is_checked_as_far_as_it_goes() -> None:
    made = make_statistics(BACKBONE, DIGITS)
    partial = replace(made, passport={"weights": BACKBONE.fingerprint, "image_side": 8})
    (remark,) = check_reference(partial, BACKBONE, 8)
    assert "resizing" in remark
    assert "pixels" not in remark
    for nonsense in (None, [1], {"a": 1}, "8"):
        with pytest.raises(Incompatible, match="pixels along a side"):
            check_reference(replace(made, passport={"image_side": nonsense}), BACKBONE, 8)


def test_a_data_set_on_no_default_device_is_no_matter() -> None:
    with torch.device("meta"):
        statistics = make_statistics(BACKBONE, small(), side=4)
        assert check_reference(statistics, BACKBONE, 4) == []


def small() -> Images:
    return Images("digits", DIGITS.train[:20], DIGITS.held_out[:5])
