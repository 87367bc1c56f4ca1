import errno
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from commands import COMMANDS, Command

from gan_nas.cli.commands import app, code_and_sentence, options_of
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, MissingResource, RunFailed


def test_every_command_is_tested() -> None:
    group: Any = typer.main.get_command(app)
    assert set(COMMANDS) == set(group.commands)


def test_help_lists_commands_and_exit_codes(gan_nas: Command) -> None:
    answer = gan_nas()
    assert answer.code == 0
    assert all(command in answer.out for command in COMMANDS)
    assert "75 interrupted" in " ".join(answer.out.split())


def test_help_and_genomes_do_not_import_torch() -> None:
    script = (
        "import sys\n"
        "from gan_nas.cli import run\n"
        f"calls = [['--help'], ['genomes'], ['genomes', '--json'], ['--version']]\n"
        f"calls += [[name, '--help'] for name in {COMMANDS}]\n"
        "calls += [['genomes', '--sample', 'autogan'], ['genomes', 'sngan-cifar10'], ['build']]\n"
        "print([run(call) for call in calls], 'torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    codes = [0] * (len(COMMANDS) + 6) + [2]
    assert done.stdout.endswith(f"{codes} False False\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no such command 'nothing'; see gan-nas --help"),
        (["build"], "missing argument 'GENOME'; see gan-nas build --help"),
        (["build", "x", "--foo"], "no such option: --foo"),
        (["search"], "missing option '--method'"),
        (["genomes", "--count", "0"], "invalid value for '--count'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(
    gan_nas: Command, arguments: list[str], said: str
) -> None:
    answer = gan_nas(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InvalidInput("so"), 2, "so"),
        (MissingResource("so"), 3, "so"),
        (Incompatible("choose another run directory"), 4, "another run directory"),
        (RunFailed("so"), 5, "so"),
        (Interrupted("so"), 75, "so"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "the disk is full"),
        (OSError(errno.EACCES, "Permission denied", "there"), 3, "there: Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "xxx"), 2, "xxx: File name too long"),
        (torch.OutOfMemoryError("CUDA out of memory"), 3, "the memory does not"),
        (RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory"), 3, "memory"),
        (RuntimeError("upsample: less than INT_MAX elements, but got [9]"), 3, "memory"),
        (MemoryError(), 3, "the memory does not suffice: free some"),
        (KeyError("oops"), 70, "bug in gan-nas (KeyError: 'oops')"),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: int, said: str) -> None:
    assert code_and_sentence(error)[0] == code
    assert said in code_and_sentence(error)[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_advises_only_options_that_the_command_has(command: str) -> None:
    options = options_of([command])
    assert "--json" in options
    advised = set()
    for error in (
        MemoryError(),
        Incompatible("choose another run directory"),
        Incompatible("allow any passport"),
    ):
        advised |= set(
            re.findall(r"(?<!\S)[(]?(--?[a-z][a-z-]*)", code_and_sentence(error, options)[1])
        )
    assert advised <= options
    assert ("--run" in advised) == ("--run" in options)
    assert ("--any-passport" in advised) == ("--any-passport" in options)
    assert ("--dry-run" in advised) == ("--dry-run" in options)


def test_debug_shows_the_traceback_wherever_it_stands(gan_nas: Command) -> None:
    for arguments in (["--debug", "build", "nothing"], ["build", "nothing", "--debug"]):
        answer = gan_nas(*arguments)
        assert answer.code == 2
        assert "Traceback" in answer.err
    assert "Traceback" not in gan_nas("build", "nothing").err


def test_a_broken_pipe_is_silent() -> None:
    script = "from gan_nas.cli import main; main()"
    command = [sys.executable, "-P", "-c", script, "genomes", "--sample", "autogan"]
    command += ["--count", "5000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_under_stdout_is_exit_3() -> None:
    script = "import sys; from gan_nas.cli import run; sys.exit(run(['genomes', '--json']))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-c", script],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == "error: the disk is full: free some space and try again\n"
