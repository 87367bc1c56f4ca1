import errno
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import save_file

from gan_nas.data import cache_dir
from gan_nas.errors import InvalidInput, MissingResource
from gan_nas.files import (
    SEEK_HOLE,
    entries_below,
    kind_of,
    open_regular,
    read_bytes,
    read_text,
    remove_strays,
    write_atomically,
    write_folder,
    write_json,
    write_text,
)
from gan_nas.networks.weights import load_generator_file, read_metadata
from gan_nas.spaces.genome import read_genome


def test_a_written_file_is_there_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.json"
    write_json(path, {"a": [1, "é"]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": [1, "é"]}
    write_text(path, "other")
    assert read_text(path) == "other"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MissingResource, match="the disk is full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_writer_leaves_nothing(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "a.txt", write)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("holds", [(), ("other",)])
@pytest.mark.parametrize("where", ["folder", "link", ".", "new"])
def test_folders_are_filled_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, holds: tuple[str, ...]
) -> None:
    folder = tmp_path / ("new" if where == "new" else "folder")
    for name in holds:
        folder.mkdir()
        (folder / name).touch()
    if where != "new":
        folder.mkdir(exist_ok=True)
        (tmp_path / "link").symlink_to("folder")
        monkeypatch.chdir(folder if where == "." else tmp_path)
    write_folder(Path(where) if where != "new" else folder, lambda at: (at / "a").touch())
    assert sorted(path.name for path in folder.iterdir()) == sorted(["a", *holds])
    assert sorted(path.name for path in tmp_path.iterdir()) == (
        ["new"] if where == "new" else ["folder", "link"]
    )


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingResource, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "text")


def test_unreadable_texts_are_explained(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file"):
        read_text(tmp_path / "missing")
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        read_text(tmp_path)
    path = tmp_path / "latin"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_text(path)
    with pytest.raises(InvalidInput, match="larger than 1 bytes"):
        read_text(path, limit=1)


@pytest.fixture(params=["FIFO", "socket", "device"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Something that has a path and is no file: reading it would hang, fail or never end."""
    path = tmp_path / "special"
    match request.param:
        case "FIFO":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        case "device":
            path.symlink_to("/dev/zero")
    return path


@pytest.mark.parametrize("read", [read_text, read_genome, read_metadata, load_generator_file])
def test_what_is_no_plain_file_is_refused_at_once(
    special: Path, read: Callable[[Path], object]
) -> None:
    with pytest.raises(
        InvalidInput, match=r"special is (a|not a) \w+(, a plain file| or a device)"
    ):
        read(special)


def test_a_link_is_refused_where_it_could_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    assert read_text(tmp_path / "link") == "text"
    for limit in (0, 100):
        with pytest.raises(InvalidInput, match="link is a link, a plain file is needed"):
            read_bytes(tmp_path / "link", limit, follow=False)


def test_a_sparse_giant_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "giant").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidInput, match=r"larger than 1,000 bytes"):
        open_regular(tmp_path / "giant", 1000)


def makes_holes(path: Path) -> bool:
    if SEEK_HOLE is None:
        return False
    with path.open("rb") as file:
        return os.lseek(file.fileno(), 0, SEEK_HOLE) < path.stat().st_size


def test_a_file_that_is_nearly_all_holes_is_refused(tmp_path: Path) -> None:
    path, size = tmp_path / "file", 64 << 20
    with path.open("wb") as file:
        file.write(b"head")
        file.seek(size - 1)
        file.write(b"\0")
    if not makes_holes(path):
        pytest.skip("this file system makes no holes")
    with pytest.raises(InvalidInput, match="were ever written, as of a download that was cut"):
        read_bytes(path, size)
    with path.open("r+b") as file:  # a twelfth of it
        for place in range(0, size, 12 << 16):
            file.seek(place)
            file.write(bytes(1 << 16))
    assert len(read_bytes(path, size)) == size


def test_a_temporary_name_that_is_a_link_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("mine")
    (tmp_path / f".a.{os.getpid()}.tmp").symlink_to("outside")
    write_text(tmp_path / "a", "text")
    assert (tmp_path / "outside").read_text() == "mine"
    assert read_text(tmp_path / "a", follow=False) == "text"


def test_entries_are_listed_as_they_are(tmp_path: Path, special: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "loop").symlink_to(tmp_path)
    (tmp_path / "folder" / "inner" / "file").touch()
    found = {
        str(path.relative_to(tmp_path)): kind_of(mode) for path, mode in entries_below(tmp_path)
    }
    assert found.pop("special") in ("a FIFO", "a socket", "a link")
    assert found == {
        "folder": "a folder",
        "folder/inner": "a folder",
        "folder/inner/file": "a file",
        "folder/loop": "a link",
    }


def test_a_file_is_for_whom_the_user_says_whoever_wrote_it(tmp_path: Path) -> None:
    """Safetensors makes files anew, for the user alone."""
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.json", "{}")
        tensors = {"x": torch.zeros(2, device="cpu")}
        write_atomically(tmp_path / "b.safetensors", lambda path: save_file(tensors, path))
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o640}


def test_strays_of_dead_processes_of_this_machine_are_removed_and_no_others(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    seen: list[str] = []
    write_atomically(tmp_path / "a.json", lambda path: seen.append(path.name))
    mine, other = seen[0].split(".")[-3], "0123abcd"
    gone = [f".a.json.{mine}.{dead.pid}.tmp", f".b.c.json.{mine}.{dead.pid}.tmp"]
    stay = [
        *(f".a.json.{mine}.{os.getppid()}.tmp", f".a.json.{other}.{dead.pid}.tmp"),
        *(".tmp", ".a.tmp", "a.json", f".a.json.{mine}.{10**30}.tmp", f".a.json.{mine}.x.tmp"),
    ]
    for name in (*gone, *stay):
        (tmp_path / name).write_text("half")
    write_text(tmp_path / "a.json", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {*stay, gone[1]}
    remove_strays(tmp_path)  # of a folder that is ours alone
    assert {path.name for path in tmp_path.iterdir()} == {".tmp", ".a.tmp", "a.json", stay[-1]}
    remove_strays(tmp_path / "no such folder")


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = RuntimeError("Could not determine home directory.")
    monkeypatch.setattr(Path, "expanduser", Mock(side_effect=nobody))
    assert str(cache_dir()).startswith(os.devnull)
