from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from commands import Command


def test_draw_writes_a_picture_of_a_genome_from_anywhere(
    gan_nas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gan_nas("draw", "autogan-cifar10-top1").out == "autogan-cifar10-top1.svg\n"
    answer = gan_nas("draw", "degas-small", "-o", "x.svg")
    assert (answer.code, list(tmp_path.glob("x*"))) == (2, [])
    code = " ".join(["0"] * 14)
    options = ("--width", 8, "--resolution", 16, "--channels", 1, "--only", "generator", "--json")
    said = gan_nas("draw", code, "-o", tmp_path / "cell.svg", *options).json
    assert said["networks"] == ["generator"]
    text = (tmp_path / "cell.svg").read_text()
    assert "image 1x16x16" in text
    assert "discriminator" not in text
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - ours


def test_draw_refuses_what_it_cannot_draw(gan_nas: Command, tmp_path: Path) -> None:
    for options, words in (
        (("-o", tmp_path / "cell.png"), "does not end in .svg"),
        (("-o", tmp_path / "a.svg", "--only", "genertor"), "did you mean generator"),
        (("-o", tmp_path / "a.svg", "--resolution", 20), "use a multiple of 8"),
    ):
        answer = gan_nas("draw", "autogan-cifar10-top1", *options)
        assert answer.code == 2
        assert words in answer.err
    assert not list(tmp_path.iterdir())
