"""Runs on media that cannot be written: what only reads works, the rest says so in a sentence."""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import Command, Searched
from torture import left

from gan_nas.search import load_method

VERSION_3 = 0x20080522  # of capset(2)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write below a folder, root neither: it gives up what sets it above permissions."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(modes[path] & ~0o222)
    system = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    before, none = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    assert system.capget(head, before) == 0
    none[:] = before
    none[0] = none[3] = 0  # what is in force; what is permitted stays, to come back
    assert system.capset(head, none) == 0
    try:
        assert not os.access(folder, os.W_OK, effective_ids=True)
        yield
    finally:
        assert system.capset(head, before) == 0
        for path in paths:
            path.chmod(modes[path])


@pytest.fixture
def training(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained.parent, tmp_path / "training")


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's"),
]


def test_a_finished_training_is_read_where_nothing_can_be_written(
    gan_nas: Command, training: Path, folder: Path, tmp_path: Path, training_options: list[str]
) -> None:
    generator, again = training / "generator.safetensors", tmp_path / "scores.json"
    data = ("--data", folder)
    retrain = ("retrain", "autogan-cifar10-top1", "--width", "4", *training_options)
    before = left(training)
    with read_only(training):
        for command in (
            ("runs", training),
            ("report", training, "-o", tmp_path / "report.html"),
            ("score", training, *data, "-n", "20", "-o", again),
            ("sample", generator, "-n", "4", "-o", tmp_path / "some.png"),
            ("export", training, "--to", "hub", "-o", tmp_path / "hub"),
            ("compare", training, training),
            ("build", training),
            ("genomes", training),
            ("draw", training, "-o", tmp_path / "both.svg"),
            (*retrain, "--run", training),
            (*retrain, "--run", training, "--dry-run"),
        ):
            answer = gan_nas(*command)
            assert answer.code == 0, (command, answer.err)
        for command in (("sample", generator, "-n", "4"), (*retrain, "--run", training / "new")):
            refused = gan_nas(*command)
            assert refused.code == 3
            assert "cannot be written: Permission denied" in refused.err
    assert left(training) == before


def test_a_finished_search_is_read_where_nothing_can_be_written(
    gan_nas: Command, searched: Searched, tmp_path: Path
) -> None:
    search = ("search", *searched.options, "--run", searched.run)
    before = left(searched.run)
    with read_only(searched.run):
        for command in (
            ("runs", searched.run),
            ("report", searched.run, "-o", tmp_path / "report.html"),
            search,
        ):
            answer = gan_nas(*command)
            assert answer.code == 0, (command, answer.err)
        derived = gan_nas("derive", searched.run, "--top-k", "1")
        if "derive" in load_method(searched.method).scores:  # what is drawn anew is written
            assert "cannot be written: Permission denied" in derived.err
        assert derived.code == 3 * ("derive" in load_method(searched.method).scores)
        assert gan_nas("derive", searched.run, "--retrain").code == 3
    assert left(searched.run) == before
