"""What a user's own folder of images gets, from loading to scores."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from commands import Command, sets
from PIL import Image
from safetensors import safe_open
from tiny import DEGAS, TRAINING

TINY = sets(TRAINING | {"steps": 2})


def write(folder: Path, side: int, channels: int, num: int = 40, seed: int = 0) -> Path:
    random = np.random.RandomState(seed)
    folder.mkdir(parents=True)
    shape = (side, side, 3) if channels == 3 else (side, side)
    for i in range(num):
        pixels = random.randint(0, 256, shape).astype(np.uint8)
        pixels[: 1 + i % side] //= 3
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return folder


def distance(scores: dict[str, float]) -> float:
    (value,) = (v for name, v in scores.items() if name.startswith("frechet_distance"))
    return value


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "side", [8, 28, *(pytest.param(side, marks=pytest.mark.slow) for side in (13, 64, 100, 300))]
)
def test_a_set_against_itself_has_no_distance_at_any_side_both_ways(
    gan_nas: Command, side: int, channels: int, tmp_path: Path
) -> None:
    num = 16 + side % 3
    folder = write(tmp_path / "a set", side, channels, num)
    direct = gan_nas("score", folder, "--data", folder, "--metrics", "fid", "--json")
    assert direct.code == 0, direct.err
    assert direct.json["passport"]["real_resize"] == "as they are"
    reference = tmp_path / "reference.npz"
    assert gan_nas("stats", folder, "-o", reference).code == 0
    options = ("--data", folder, "--reference", reference, "--metrics", "fid", "--json")
    through = gan_nas("score", folder, *options)
    for scored in (direct, through):
        assert abs(distance(scored.json["scores"])) < 1e-6
        passport, comparison = scored.json["passport"], scored.json["comparison"]
        assert (passport["split"], passport["num_real"], passport["num_fake"]) == ("all", num, num)
        held_out = max(2, num // 10)
        assert (comparison["num"], comparison["num_real"]) == (held_out, num - held_out)


def test_the_dry_run_the_config_and_the_generator_tell_what_was_understood(
    gan_nas: Command, tmp_path: Path
) -> None:
    folder = write(tmp_path / "my images", 20, 3)
    (folder / "notes.txt").write_text("no image")
    train = ("retrain", "autogan-cifar10-top1", "--width", 4, "--data", folder, "--resolution", 16)
    options = ("--resize", "lanczos", "--background", "black", *TINY)
    planned = gan_nas(*train, *options, "--dry-run", "--json").json
    said = "40 images (4 held out), 16 px, colour, 20 px, to 16 px by lanczos, no classes"
    assert planned["data"] == f"{said}; 1 file skipped: notes.txt"
    assert planned["resolution"] == 16
    run = tmp_path / "run"
    trained = gan_nas(*train, *options, "--run", run)
    assert trained.code == 0, trained.err
    assert said in trained.err
    config = json.loads((run / "config.json").read_text())
    assert config["data_summary"] == planned["data"]
    assert config["preparation"]["resize"] == "lanczos"
    result = json.loads((run / "result.json").read_text())
    assert result["passport"]["real_resize"] == "20 px, to 16 px by lanczos"
    refused = gan_nas("score", run / "generator.safetensors", "-n", 60)
    assert (refused.code, refused.out) == (2, "")  # a file may not say what is read
    assert "name the real ones (--data)" in refused.err
    score = ("score", run / "generator.safetensors", "-n", 60, "--data", folder)
    scored = gan_nas(*score, "--json")
    assert scored.code == 0, scored.err
    again = scored.json["passport"]["real_resize"]
    assert again == result["passport"]["real_resize"]  # prepared as it was for training
    with safe_open(run / "generator.safetensors", framework="pt") as file:
        lineage = json.loads(file.metadata()["gan_nas"])["lineage"]
    assert lineage["preparation"]["background"] == "#000000"


def test_a_side_that_cells_cannot_make_becomes_the_next_that_they_can(
    gan_nas: Command, tmp_path: Path
) -> None:
    folder = write(tmp_path / "x", 28, 1)
    rest = sets({key: value for key, value in DEGAS.items() if key != "resolution"})
    for command in (
        ("retrain", "autogan-cifar10-top1", "--width", 4),
        ("search", "--method", "degas", "--preset", "small", *rest),
    ):
        assert gan_nas(*command, "--data", folder, "--dry-run", "--json").json["resolution"] == 32


def test_odd_files_and_their_options_are_named(gan_nas: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "x", 24, 3)
    Image.new("RGB", (9, 9)).save(folder / "tiny one.png")
    train = ("retrain", "autogan-cifar10-top1", "--width", 4, "--data", folder, "--dry-run")
    refused = gan_nas(*train)
    assert (refused.code, refused.out) == (2, "")
    for words in ("tiny one.png", "9 x 9", "40 other", "--skip-odd", "--crop", "--resolution"):
        assert words in refused.err
    skipped = gan_nas(*train, "--skip-odd")
    assert skipped.code == 0
    assert "1 file skipped: tiny one.png" in skipped.err
    cropped = gan_nas(*train, "--crop", "center", "--resolution", 24)
    assert cropped.code == 0
    assert "1 smaller than 24 px and enlarged" in cropped.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--crop", "middle"), "allowed are center and none"),
        (("--resize", "nearest"), "there are box, bilinear, bicubic, lanczos"),
        (("--background", "transparent"), "name a colour"),
        (("--data", "digits", "--skip-odd"), "for images of one's own"),
    ],
)
def test_preparations_that_there_are_not_are_refused(
    gan_nas: Command, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "x", 16, 3, num=16)
    refused = gan_nas("retrain", "autogan-cifar10-top1", "--data", folder, *options, "--dry-run")
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err


def test_a_run_goes_on_when_its_folder_has_moved(gan_nas: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "before", 16, 3)
    train = ("retrain", "autogan-cifar10-top1", "--width", 4, "--run", tmp_path / "run", *TINY)
    assert gan_nas(*train, "--data", folder).code == 0
    folder.rename(tmp_path / "after")
    again = gan_nas(*train, "--data", tmp_path / "after", "--json")
    assert again.code == 0, again.err
    other = write(tmp_path / "other", 16, 3, seed=1)
    refused = gan_nas(*train, "--data", other)
    assert refused.code == 4
    assert "data_fingerprint" in refused.err


def test_a_search_suggests_to_train_on_the_same_pixels(gan_nas: Command, tmp_path: Path) -> None:
    folder = write(tmp_path / "my images", 24, 3)
    options = (*sets(DEGAS | {"iterations": 2}), "--background", "black", "--resize", "box")
    searched = gan_nas(
        "search", "--method", "degas", "--data", folder, *options, "--run", tmp_path / "run"
    )
    assert searched.code == 0, searched.err
    (line,) = (line for line in searched.err.splitlines() if "gan-nas retrain" in line)
    words = shlex.split(line.split("gan-nas ")[1])
    planned = gan_nas(*words, "--width", 4, "--dry-run", "--json")
    assert planned.code == 0, planned.err
    assert planned.json["data"].startswith(
        "40 images (4 held out), 16 px, colour, 24 px, to 16 px by box"
    )
    derived = gan_nas("derive", tmp_path / "run", "--top-k", 1)
    assert derived.code == 0, derived.err


def test_folders_that_are_splits_keep_their_parts_apart_in_scores(
    gan_nas: Command, tmp_path: Path
) -> None:
    write(tmp_path / "x" / "train", 16, 3, num=30)
    write(tmp_path / "x" / "val", 16, 3, num=20, seed=1)
    options = ("--data", tmp_path / "x", "--metrics", "fid", "--json")
    scored = gan_nas("score", tmp_path / "x" / "train", *options)
    assert scored.code == 0, scored.err
    assert "val is held out" in scored.err
    assert (scored.json["passport"]["split"], scored.json["passport"]["num_real"]) == ("train", 30)
    assert abs(distance(scored.json["scores"])) < 1e-6


@pytest.mark.parametrize(
    "told", [{"crop": "diagonal"}, {"background": "no colour"}, {"mirror": True}, 7, [], "x"]
)
def test_a_strangers_preparation_that_is_none_is_explained(
    gan_nas: Command, trained: Path, folder: Path, told: object, tmp_path: Path
) -> None:
    from gan_nas.networks.weights import load_generator_file, save_generator

    about, tensors = load_generator_file(trained)
    generator = tmp_path / "g.safetensors"
    save_generator(
        generator,
        tensors,
        about.genome,
        about.resolution,
        about.image_channels,
        about.lineage | {"preparation": told},
    )
    refused = gan_nas("score", generator, "-n", 20, "--data", folder)
    assert (refused.code, refused.out) == (4, "")
    assert "tells of a preparation" in refused.err
    assert refused.err.count("\n") == 1
    asked = ("--data", folder, "--crop", "center")
    assert gan_nas("score", generator, "-n", 60, *asked).code == 0
