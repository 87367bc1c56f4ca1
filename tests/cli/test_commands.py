"""How commands are found, completed, and given options by a file."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, Command

from gan_nas.cli import run

ROOT = Path(__file__).parents[2]


def completed(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    """Return what bash is told may follow."""
    monkeypatch.setenv("_GAN_NAS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"gan-nas {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(f"gan-nas {typed}.".split()) - 1))
    capsys.readouterr()
    assert run([]) == 0
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {name for name in COMMANDS if " " not in name}),
        ("re", {"retrain", "reconstruct", "report"}),
        ("table ", {"make", "show", "pack", "check", "export"}),
        ("table ma", {"make"}),
        ("bench s", {"score"}),
        ("table make --jo", {"--jobs"}),
        ("retrain sngan", {"sngan-cifar10"}),
        ("search --method ad", {"adversarialnas"}),
        ("search --data c", {"cifar10"}),
        ("retrain --fr", {"--framework", "--from"}),
    ],
)
def test_a_shell_completes_commands_options_and_names(
    typed: str,
    offered: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(completed(typed, monkeypatch, capsys)) == offered


def test_options_come_from_a_file_and_what_is_typed_counts(
    gan_nas: Command, tmp_path: Path
) -> None:
    file = tmp_path / "small.toml"
    file.write_text(
        'sample = "autogan"\ncount = 2\nseed = 1\njson = true\nschema = false\n', encoding="utf-8"
    )
    whole = gan_nas("genomes", "--sample", "autogan", "--count", 2, "--seed", 1, "--json")
    assert gan_nas("genomes", "--config", file).out == whole.out
    assert gan_nas("genomes", f"--config={file}", "--count", 1).json != whole.json
    listed = tmp_path / "set.toml"
    listed.write_text("top-k = 1\n[set]\niterations = 7\ngrow_at = [2, 4]\n", encoding="utf-8")
    refused = gan_nas("search", "--config", listed, "--method", "autogan", "--set", "grow_at=9,9")
    assert refused.code == 2
    assert "no option of gan-nas search" in refused.err  # top-k is derive's


def test_settings_of_a_file_stand_before_those_typed(gan_nas: Command, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('method = "autogan"\n[set]\niterations = 7\ngrow_at = [2, 4]\n')
    answer = gan_nas("search", "--config", file, "--set", "grow_at=9,8", "--dry-run")
    assert "grow_at is 9,8 with 7 iterations" in answer.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('sampel = "x"', "did you mean sample"),
        ("seed = {a = 1}", "has a table 'seed'; the only one it may have is set"),
        ("costs = 3", "says costs = 3; allowed are true and false"),
        ("seed = 1979-05-27", "says seed = 1979-05-27; allowed are texts"),
        ("seed = ", "is not a TOML file"),
        ('config = "other.toml"', "no option of gan-nas genomes"),
    ],
)
def test_what_a_file_says_wrongly_is_one_sentence(
    gan_nas: Command, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(content)
    answer = gan_nas("genomes", "--config", file)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err
    assert gan_nas("genomes", "--config", tmp_path / "absent.toml").code == 2


def test_quietly_only_errors_are_said(gan_nas: Command) -> None:
    assert gan_nas("genomes", "--quiet").err == ""
    assert gan_nas("--quiet", "build", "nothing").err.startswith("error: ")
    # Behind -- it is a name like any other.
    assert "'--quiet' is neither a genome file" in gan_nas("build", "--", "--quiet").err


@pytest.mark.slow
def test_from_a_clone_that_is_not_installed_all_is_found() -> None:
    script = (
        "import sys\n"
        "sys.meta_path = [f for f in sys.meta_path if 'ditable' not in f'{f}']\n"
        "import gan_nas, gan_nas.cli\n"
        "print(gan_nas.load_genome('autogan-cifar10-top1').genome_id)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "90b0e9f7cd\n")
    version = subprocess.run(
        [sys.executable, "-m", "gan_nas", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert version.stdout.startswith("gan-nas ")


def test_help_wraps_at_80_columns(gan_nas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in COMMANDS:
        said = gan_nas(*command.split(), "--help").out
        assert max(map(len, said.splitlines())) <= 80, command
    paragraph = gan_nas("search", "--help").out.partition("autogan is")[2].partition("supernet.")[0]
    lines = paragraph.splitlines()[1:-1]  # a paragraph is filled, whatever the source's lines are
    assert lines
    assert all(len(line.rstrip()) > 60 for line in lines), lines
