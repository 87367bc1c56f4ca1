import os
import time
from pathlib import Path

import pytest
from strange_files import GENOTYPE, STRANGE, TYPED, make

from gan_nas.errors import InvalidInput
from gan_nas.formats.foreign import Kind, Wanted, identify, parse_integers, refuse_foreign


@pytest.mark.parametrize("name", STRANGE)
def test_a_file_is_known_by_its_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name)
    thing = identify(path)
    assert STRANGE[name][1] in thing.words
    if not path.is_dir() and path.suffix != ".onnx":
        for other in ("genome.json", "generator.safetensors", "matrix.npy", "noname"):
            path = path.rename(tmp_path / other)
            assert identify(path) == thing


@pytest.mark.parametrize("wanted", Wanted)
@pytest.mark.parametrize("name", STRANGE)
def test_whatever_is_wanted_a_refusal_is_one_sentence(
    tmp_path: Path, name: str, wanted: Wanted
) -> None:
    path = make(tmp_path, name)
    thing = identify(path)
    with pytest.raises(InvalidInput) as caught:
        refuse_foreign(path, wanted)
    said = str(caught.value)
    assert said.startswith(f"{path} is {thing.words}: ")
    assert len(said) > len(f"{path} is {thing.words}: ") + 20
    assert said.isprintable()
    refuse_foreign(path, wanted, thing.kind)  # what is allowed is let through


@pytest.mark.parametrize("text", TYPED)
def test_what_is_typed_and_no_path_is_known_too(text: str) -> None:
    assert TYPED[text] in identify(text).words


@pytest.mark.parametrize("path", ["no such file", "\0", "a" * 5000, "a:b", "http:", "Genotype"])
def test_what_is_unknown_is_left_to_its_reader(path: str) -> None:
    assert identify(path).kind == Kind.UNKNOWN


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY\x01\x00",
        b"PK\x03\x04" + bytes(30),
        (1 << 40).to_bytes(8, "little") + b"{" + bytes(30),
        (20).to_bytes(8, "little") + b"{" + bytes(30),
        b"(a text in brackets",
        b"] of a text",
        b"\xff\xfe\x00",
        b"\x80",
        b"{}",
        b"[1.5]",
        b"7",
    ],
)
def test_what_is_damaged_is_left_to_its_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert identify(path).kind == Kind.UNKNOWN


def test_a_device_a_loop_and_a_locked_file_are_not_read(tmp_path: Path) -> None:
    assert identify("/dev/zero").kind == Kind.SPECIAL
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert identify(loop).kind == Kind.UNKNOWN
    if os.geteuid():
        locked = tmp_path / "locked"
        locked.touch(0)
        assert identify(locked).kind == Kind.UNKNOWN


def test_a_huge_file_is_told_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    for start in (
        b"\x80\x02",
        b"(dp0\n",
        b"",
        b"\x93NUMPY",
        (1 << 50).to_bytes(8, "little") + b"{",
    ):
        with path.open("wb") as file:
            file.write(start)
            file.truncate(1 << 40)
        begin = time.perf_counter()
        identify(path)
        assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    ("text", "integers"),
    [
        ("1,0", [1, 0]),
        ("[1, -2, 3]", [1, -2, 3]),
        ("((1 2)\n (3,4),)", [1, 2, 3, 4]),
        ("1", None),
        ("1.5, 2", None),
        ("1e3 2", None),
        ("a1,2", None),
        ("1-2", None),
        ("", None),
        ("9" * 5000 + ",1", None),
        (GENOTYPE, None),
    ],
)
def test_integers_are_read_between_commas_spaces_and_brackets(
    text: str, integers: list[int] | None
) -> None:
    assert parse_integers(text) == integers


def test_reading_integers_takes_no_longer_than_the_text() -> None:
    for text in ("1 " * 200_000 + "x", "1," * 200_000 + ".", "[" * 400_000, " " * 400_000):
        begin = time.process_time()  # others may use the machine
        assert parse_integers(text) is None
        assert time.process_time() - begin < 1
