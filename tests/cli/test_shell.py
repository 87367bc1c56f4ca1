import shlex
import subprocess
from pathlib import Path

import pytest
from nasty import NAMES, OF_SHELLS, is_safe

from gan_nas.cli.printing import suggest
from gan_nas.cli.shell import command_line


def split(line: str) -> list[str]:
    """Let a shell take the line apart."""
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@pytest.mark.parametrize(
    "name", [*NAMES, "", *(f"{a}/{b}" for a in NAMES[:4] for b in NAMES)], ids=ascii
)
def test_a_shell_splits_a_command_line_into_its_words(name: str) -> None:
    line = command_line("gan-nas", "score", name, "-n", "8")
    assert split(line) == ["gan-nas", "score", name, "-n", "8"]
    assert is_safe(line)


@pytest.mark.parametrize("name", ["", *OF_SHELLS])
def test_what_can_be_seen_is_quoted_as_python_quotes_it(name: str) -> None:
    line = command_line("gan-nas", "score", name)
    assert line == shlex.join(["gan-nas", "score", name])


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_path_is_never_an_option_and_names_the_same_file(name: str) -> None:
    (word,) = split(command_line(Path(name)))
    assert not word.startswith("-")
    assert Path(word) == Path(name)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_suggestions_are_lines_that_a_shell_takes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suggest(look=("sample", Path("runs") / name), go_on=("derive", name))
    printed = capsys.readouterr().err
    assert is_safe(printed)
    first, _, second = printed.removesuffix("\n").partition("\ngo on  ")
    assert split(first.removeprefix("look   ")) == ["gan-nas", "sample", f"runs/{name}"]
    assert split(second) == ["gan-nas", "derive", name]
