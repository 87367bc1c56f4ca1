"""`gan-nas reconstruct`, and its presets."""

import json
import re
from pathlib import Path

from commands import Command, sets

RECONSTRUCTION = {"resolution": 16, "iterations": 3, "batch_size": 8, "derive_every": 2}


def test_reconstruct_tells_the_loss_and_does_it_once(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    options = ("--width", 4, "--data", folder, "--run", tmp_path / "run", *sets(RECONSTRUCTION))
    first = gan_nas("reconstruct", "ctgan-cifar10", *options)
    assert first.code == 0
    assert "latent_start" in gan_nas("reconstruct", "--help-config").out
    assert first.out.startswith("loss: ")
    assert f"run:  {tmp_path / 'run'}" in first.out.replace("\n", " ")
    assert "3 iterations" in first.err
    assert re.search(r"^reconstruction  \d/3 iterations", first.err, re.MULTILINE)
    assert "search" not in first.err.lower()
    log = (tmp_path / "run" / "log.jsonl").read_bytes()
    result = gan_nas("reconstruct", "ctgan-cifar10", *options, "--json").json
    assert set(result) == {"method", "genome_id", "name", "loss", "iterations", "seconds"}
    assert f"loss: {result['loss']:.4f}" in first.out
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == log
    other = gan_nas("reconstruct", "ctgan-cifar10", *options, "--seed", 3)
    assert other.code == 4
    assert "config.seed: 0 -> 3" in " ".join(other.err.split())


def test_reconstruct_takes_twice_the_side_of_digits_by_default(
    gan_nas: Command, tmp_path: Path
) -> None:
    options = ("--width", 2, "--run", tmp_path / "run", "--set", "resolution=none")
    few = sets({"iterations": 1, "num_images": 20, "num_scored": 8})
    assert gan_nas("reconstruct", "ctgan-cifar10", *options, *few).code == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["image_side"] == 16


def test_what_cannot_be_reconstructed_is_one_sentence(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    for arguments, said in (
        ((), "needs a GENOME"),
        (("nobody",), "nobody"),
        (("ctgan-cifar10", "--preset", "dmeo"), "did you mean demo"),
        (("ctgan-cifar10", "--data", str(folder), *sets({"resolution": 20})), "multiple of 8"),
    ):
        answer = gan_nas("reconstruct", *arguments, "--run", str(tmp_path / "run"))
        assert answer.code in (2, 3)
        assert said in " ".join(answer.err.split())
        assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()
