"""What TensorBoard is told is what the log says, and images are those of the samples."""

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import extras
import pytest
import torch
from tiny import CPU

from gan_nas.errors import MissingResource
from gan_nas.runs import tensorboard
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.run import Run
from gan_nas.runs.tensorboard import board


def events(folder: Path) -> list[Any]:
    """Read the events of all files of a folder: records with their length and checksums around."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack("<Q", data[at : at + 8])
            found.append(Event.FromString(data[at + 12 : at + 12 + length]))
            at += length + 16
    return found


@extras.needs_tensorboard
def test_scalars_and_samples_are_written_and_go_on_after_an_interruption(tmp_path: Path) -> None:
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8, device=CPU)
    for step in (2, 4):
        with Run.open(tmp_path, {}) as run, board(tmp_path, wanted=True) as writer:
            ledger = Ledger(run, board=writer)
            ledger.log(step=step, images=8 * step, d_loss=1.5, g_loss=float("nan"))
            ledger.log("architecture", step=step, generator=[], entropies={})
            ledger.grid(images, step)
    found = events(tmp_path / "tensorboard")
    told = [(one.step, value.tag) for one in found for value in one.summary.value]
    tags = {tag for _, tag in told}
    assert {"losses/d_loss"} <= tags
    assert "losses/g_loss" not in tags  # not finite: the log has null there
    assert any(tag.startswith("samples") for tag in tags)
    assert {step for step, _ in told} == {2, 4}


def test_without_the_extra_it_is_said_and_unasked_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with board(tmp_path, wanted=False) as none:
        assert none is None
    monkeypatch.setattr(
        tensorboard, "find_spec", lambda name: None if name == "tensorboardX" else find_spec(name)
    )
    with (
        pytest.raises(MissingResource, match=r"pip install 'gan-nas\[tensorboard\]'"),
        board(tmp_path, wanted=True),
    ):
        raise AssertionError
    assert not list(tmp_path.iterdir())
