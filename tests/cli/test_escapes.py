import io
import json
import logging
from pathlib import Path

import pytest
from commands import Command
from nasty import NAMES, OF_TERMINALS, is_safe
from rich.text import Text

from gan_nas.cli.printing import console, lines, remark, remark_log_records, show, show_json, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.errors import GanNasError, InvalidInput
from gan_nas.escapes import visible, visible_json


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_visible_text_shows_what_it_is_made_of(name: str) -> None:
    shown = visible(name)
    assert shown.isprintable()
    assert visible(shown) == shown
    if name.isprintable() and name.isascii():
        assert shown == name


def test_what_cannot_be_seen_is_spelled_as_python_spells_it() -> None:
    assert visible("\x1b]0;t\x07 \u202e \u200b \n \x9b \udcff \u3164") == (
        r"\x1b]0;t\x07 \u202e \u200b \n \x9b \xff \u3164"
    )
    assert visible("a\nb", keep="\n") == "a\nb"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_whatever_is_printed_is_shown_and_not_obeyed(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest would keep the record as it is, and its workers cannot tell one another such a name.
    monkeypatch.setattr(logging.getLogger("gan_nas"), "propagate", False)
    rows = table("name", name, title=name)
    rows.add_row(name, lines([name, name]))
    rows.add_row(Text(name), Text(name))
    show(name, rows)
    remark(name)
    remark_log_records()
    logging.getLogger("gan_nas.test").warning("%s is odd", name)
    with progress_on_stderr() as report:
        report(f"{name} images", 1, 2, {name: 1.0})
    printed = capsys.readouterr()
    for text in printed:
        assert is_safe(text)
        assert visible(name) in text
    first, *_ = printed.out.split("\n")
    assert first == visible(name)
    assert printed.err.startswith(f"{visible(name)}\nwarning: {visible(name)} is odd\n")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_terminal_gets_colours_of_ours_alone(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = console(force_terminal=True, width=200)
    out.print(name, style="red")
    printed = capsys.readouterr().out
    assert visible(name) in printed
    assert is_safe(printed.replace("\x1b[31m", "", 1).replace("\x1b[0m", "", 1))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_json_is_ascii_and_says_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_json({name: name})
    printed = capsys.readouterr().out
    assert is_safe(printed)
    assert printed.isascii()
    assert json.loads(printed) == {name: name}
    assert visible_json('"\x7f"') == '"\\u007f"'


def test_what_stdout_cannot_encode_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console(file=written).print("a ± b 码")
    written.flush()
    assert written.buffer.getvalue() == b"a \\xb1 b \\u7801\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", OF_TERMINALS)
def test_an_error_about_a_file_is_one_safe_line(
    gan_nas: Command, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    for command in (
        ("build", path),
        ("build", name),
        (name,),
        ("build", "sngan-cifar10", f"--{name}"),
        ("sample", path),
        ("derive", path),
        ("score", path),
        ("compare", path, "sngan-cifar10"),
        ("stats", path, "-o", tmp_path / "out.npz"),
        ("retrain", "sngan-cifar10", "--data", path),
        ("retrain", "sngan-cifar10", "--set", f"{name}=1"),
        ("search", "--method", name),
        ("--debug", "build", path),
    ):
        answer = gan_nas(*command)
        assert answer.code in (2, 3), command
        assert answer.out == ""
        assert is_safe(answer.err), command
        if command[0] != "--debug":
            assert answer.err.count("\n") == 1, command


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_error_shows_what_names_hide(name: str) -> None:
    error = InvalidInput(f"{name} is no image")
    assert str(error) == f"{visible(name)} is no image"
    assert str(GanNasError(str(error))) == str(error)
