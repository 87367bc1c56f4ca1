"""A run directory from a stranger: nothing outside it changes, and nothing hangs."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from old_runs import copy, resume

from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.files import seal
from gan_nas.runs.results import SearchResult, TrainingResult
from gan_nas.runs.run import Run, read_log
from gan_nas.search import drive

CONFIG = {"method": "a test"}


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail rather than hang: opening a FIFO waits for ever."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"{number} after {seconds} s: it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tree(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else None,
        )
        for path in folder.rglob("*")
    }


def entries(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


def replace(run: Path, name: str, kind: str, outside: Path) -> None:
    """Put something else in the place of an entry; a link leads to its copy, or to more."""
    path, target = run / name, outside / Path(name).name
    if path.exists():
        shutil.move(path, target)
    else:
        target.touch() if target.suffix else target.mkdir()
    if target.is_dir():
        for victim in (".000000009.tmp", "000000005", "genomes"):
            (target / victim).mkdir(exist_ok=True)
            (target / victim / "mine.txt").write_text("mine")
    match kind:
        case "link":
            path.symlink_to(target)
        case "dangling link":
            path.symlink_to(outside / "not there")
        case "FIFO":
            os.mkfifo(path)
        case "other":
            path.touch() if target.is_dir() else path.mkdir()


def derive(run: Path) -> SearchResult:
    return drive.derive(run, count=1)


ADDED = ["samples", "retrained", "history", "genomes", "outcome.json", "judge.safetensors"]


@pytest.mark.parametrize("kind", ["link", "dangling link", "FIFO", "other"])
@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("degas-finished", derive),
        ("degas-interrupted", resume),
        ("retrain-interrupted", resume),
    ],
)
def test_no_entry_of_a_run_leads_out_of_it(
    tmp_path: Path, name: str, work: Callable[[Path], object], kind: str
) -> None:
    whole = copy(name, tmp_path / "whole")
    for number, entry in enumerate(dict.fromkeys([*entries(whole), *ADDED])):
        run, outside = tmp_path / f"{name}-{number}", tmp_path / f"outside-{number}"
        shutil.copytree(whole, run)
        outside.mkdir()
        replace(run, entry, kind, outside)
        before = tree(outside)
        with within(60), pytest.raises(InvalidInput) as caught:
            work(run)
        assert Path(entry).name in str(caught.value) or "not a run directory" in str(caught.value)
        assert tree(outside) == before, entry
        shutil.rmtree(run)


def test_links_to_a_run_hard_links_and_what_is_not_of_a_run_are_left_alone(tmp_path: Path) -> None:
    run = copy("degas-finished", tmp_path / "elsewhere")
    (tmp_path / "degas").symlink_to(run)
    (tmp_path / "log").hardlink_to(run / "log.jsonl")
    (run / "notes").mkdir()
    (run / "notes" / "mine.txt").write_text("mine")
    assert derive(tmp_path / "degas").genomes
    assert (run / "notes" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.json", r"config\.json is larger than"),
        ("result.json", r"result\.json is larger than"),
        ("checkpoint/000000004/manifest.json", "every checkpoint"),
        ("checkpoint/000000004/state.json", "every checkpoint"),
        ("checkpoint/000000004/network.safetensors", "every checkpoint"),
    ],
)
def test_a_giant_is_refused_unread(tmp_path: Path, name: str, said: str) -> None:
    run = copy("degas-finished", tmp_path / "degas")
    os.truncate(run / name, 10 << 30)
    with within(20), pytest.raises(InvalidInput, match=said):
        derive(run)


NO_FILES = ("/dev/zero", "../../outside.safetensors", "../state.json", "inner/x.safetensors", "")
NO_FILES += (".", "..", "x.safetensors\n", "x.safetensors\0", "other.txt")


@pytest.mark.parametrize(
    "change",
    [
        *({"files": {"state.json": "0" * 64, name: "0" * 64}} for name in NO_FILES),
        {"files": []},
        {"files": "state.json"},
        {"files": {"state.json": 3}},
        {"files": {}},
        {"sizes": []},
        {"sizes": {"state.json": "x"}},
        {"sizes": {"state.json": 1}},
        {"sizes": {"state.json": -1}},
    ],
    ids=ascii,
)
def test_a_manifest_that_is_odd_or_lists_more_than_plain_names_is_damage(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    with Run.open(tmp_path / "run", CONFIG) as run:
        run.save(1, {}, {})
        path = run.path("checkpoint", "000000001", "manifest.json")
        manifest = json.loads(path.read_text())
        assert manifest["sizes"].keys() == manifest["files"].keys()
        manifest.pop("seal")
        path.write_text(seal(manifest | change))
        with within(20), pytest.raises(InvalidInput, match="every checkpoint"):
            run.latest()


def test_files_that_no_manifest_lists_are_not_read(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", CONFIG) as run:
        run.save(1, {"a": 1}, {})
        run.path("checkpoint", "000000001", "extra.safetensors").write_bytes(b"noise")
        checkpoint = run.latest()
    assert checkpoint is not None
    assert (checkpoint.state, checkpoint.tensors) == ({"a": 1}, {})


# The log.


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda data: None,
    "empty": lambda data: b"",
    "cut": cut,
    "cut at its end": lambda data: data[:-1],
    "binary": lambda data: bytes(range(256)) * (len(data) // 256),
    "other json": lambda data: b'[1]\n"x"\nnull\n{"event": "architecture"}\n{"images": "x"}\n' * 20,
    "deep": lambda data: b"[" * len(data) + b"\n",
    "odd rows": lambda data: data.replace(b'"entropies": {', b'"entropies": {"x": 3, "y": {'),
    "one row lost": lambda data: data[: data.find(b"\n") + 1] + b"garbage\n" + data[200:],
}


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SearchResult | TrainingResult]:
    """Return what runs whose log is whole end with."""
    folder = tmp_path_factory.mktemp("whole")
    names = ("degas", "adversarialnas", "retrain")
    return {name: resume(copy(f"{name}-interrupted", folder / name)) for name in names}


@pytest.mark.parametrize(
    ("name", "damage"),
    [*product(["degas"], DAMAGE), *product(("adversarialnas", "retrain"), ("gone", "cut"))],
)
def test_a_damaged_log_ends_no_run(
    tmp_path: Path,
    name: str,
    damage: str,
    wholes: dict[str, SearchResult | TrainingResult],
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = wholes[name]
    run = copy(f"{name}-interrupted", tmp_path / "run")
    path = run / "log.jsonl"
    left = DAMAGE[damage](path.read_bytes())
    before = path.stat().st_size
    path.unlink() if left is None else path.write_bytes(left)
    caplog.clear()
    result = resume(run)
    timed = {"seconds", "processor_seconds", "images_per_second", "run", "files", "genomes"}
    assert result.model_dump(exclude=timed) == whole.model_dump(exclude=timed)
    short = left is None or len(left) < before
    said = [r for r in caplog.records if "shorter than at the last checkpoint" in r.message]
    assert len(said) == short
    assert all(isinstance(row, dict) for row in read_log(run))
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[-1])


def test_a_log_goes_on_after_a_whole_line(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", CONFIG) as run:
        run.log(step=1)
        run.log(step=2)
        run.save(2, {}, {})
        os.truncate(run.path("log.jsonl"), run.path("log.jsonl").stat().st_size - 4)
        run.latest()
        run.log(step=3)
    assert read_log(tmp_path / "run") == [{"step": 1}, {"step": 3}]


def test_a_log_that_became_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    with Run.open(tmp_path / "run", CONFIG) as run:
        run.path("log.jsonl").symlink_to(tmp_path / "outside")
        with pytest.raises(Exception, match="cannot be written"):
            run.log(step=1)
    assert (tmp_path / "outside").read_text() == "mine"


def test_a_run_of_another_method_is_named(tmp_path: Path) -> None:
    run = copy("adversarialnas-finished", tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"method": "degas"}))
    with pytest.raises(Incompatible):
        derive(run)
