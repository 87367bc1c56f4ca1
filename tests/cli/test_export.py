from pathlib import Path

import pytest
import torch
from checkpoints import plain_state
from commands import Command
from extras import needs_onnx

from gan_nas.networks.weights import read_metadata


@pytest.mark.slow
def test_a_run_becomes_a_folder_that_commands_read(
    gan_nas: Command, trained: Path, training_options: list[str], tmp_path: Path
) -> None:
    hub = tmp_path / "hub"
    answer = gan_nas("export", trained.parent, "--to", "hub", "-o", hub, "--license", "mit")
    assert (answer.code, answer.out) == (0, f"{hub}\n")
    assert "no scores" not in answer.err
    assert f"gan-nas score {hub}" in answer.err
    assert gan_nas("sample", hub, "-n", 2).out == f"{hub.with_suffix('.png')}\n"
    data = training_options[:2]
    scored = gan_nas("score", hub, *data, "-n", 150, "-o", tmp_path / "s.json", "--json")
    best = trained.with_name("best.safetensors")
    assert (
        scored.json["scores"] == gan_nas("score", best, *data, "-n", 150, "--json").json["scores"]
    )
    options = ("--to", "hub", "-o", tmp_path / "again", "--scores", tmp_path / "s.json")
    answer = gan_nas("export", hub, *options, "--json")
    assert answer.json["scored"]
    assert '"num_fake": 150' in (tmp_path / "again" / "README.md").read_text()


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_a_generator_becomes_a_program(
    gan_nas: Command, trained: Path, tmp_path: Path, to: str
) -> None:
    path = tmp_path / f"g.{to}"
    answer = gan_nas("export", trained, "--to", to, "-o", path, "--json")
    assert answer.json["largest_difference"] <= 1e-5
    assert answer.json["scored"]
    assert path.is_file()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "onyx", "-o", "g.onnx"), "unknown format 'onyx', did you mean onnx?"),
        (("--to", "pt2", "-o", "g.onnx"), "does not end in .pt2"),
        (("--to", "hub", "-o", "hub", "--license", "My"), "no licence"),
    ],
)
def test_what_cannot_be_exported_is_said(
    gan_nas: Command, trained: Path, options: tuple[str, ...], said: str
) -> None:
    answer = gan_nas("export", trained, *options)
    assert answer.code == 2
    assert said in answer.err


def test_import_reads_a_checkpoint_and_says_how_to_check_it(
    gan_nas: Command, tmp_path: Path
) -> None:
    checkpoint, path = tmp_path / "ckpt.pth", tmp_path / "generator.safetensors"
    torch.save({"avg_gen_state_dict": plain_state("derived top1")[1]}, checkpoint)
    options = ("import", checkpoint, "-o", path, "--genome")
    answer = gan_nas(*options, "autogan-cifar10-top1")
    assert (answer.code, answer.out) == (0, f"{path}\n")
    assert f"gan-nas score {path} --data cifar10 --protocol autogan" in answer.err
    told = gan_nas(*options, "1,0,1,1,1,0,0,1,1,1,0,1,0,3", "--json").json
    assert (told["layout"], told["state"]) == ("autogan, derived", "avg_gen_state_dict")
    assert told["sha256"] == read_metadata(path).sha256
    answer = gan_nas(*options, "autogan-cifar10-top2")
    assert answer.code == 4
    assert f"{checkpoint} lacks cell3.c_sc.weight, which autogan-cifar10-top2 needs" in answer.err
    assert gan_nas("import", checkpoint, "--genome", "sngan-cifar10", "-o", "g.pth").code == 2


def test_a_folder_that_holds_anything_else_is_not_written_into(
    gan_nas: Command, trained: Path, tmp_path: Path
) -> None:
    config = (trained.parent / "config.json").read_bytes()
    (tmp_path / "README.md").write_text("mine")
    for folder in (trained.parent, tmp_path):
        answer = gan_nas("export", trained.parent, "--to", "hub", "-o", folder)
        assert answer.code == 2
        assert "holds other files" in answer.err
    assert (trained.parent / "config.json").read_bytes() == config
    assert (tmp_path / "README.md").read_text() == "mine"
    for _ in range(2):  # its own folder is written over
        assert gan_nas("export", trained, "--to", "hub", "-o", tmp_path / "hub-1.5").code == 0
    assert gan_nas("draw", tmp_path / "hub-1.5", "-o", tmp_path / "cell.svg").code == 0
    assert gan_nas("compare", tmp_path / "hub-1.5", trained.parent).code == 0
    gan_nas("sample", tmp_path / "hub-1.5", "-n", 4)
    assert (tmp_path / "hub-1.5.png").exists()
