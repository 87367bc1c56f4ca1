"""Signals, and streams that cannot be written, in and outside of work."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gan_nas.cli.signals import AT_ONCE, MESSAGE, stopping

PROGRAM = (sys.executable, "-P", "-c", "from gan_nas.cli import main; main()")
NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_an_answer_not_an_end(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stopping() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
    assert signal.getsignal(number) is before
    assert capfd.readouterr().err == f"{MESSAGE}\n"


def test_what_nohup_has_silenced_stays_silent() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_second_interrupt_ends_at_once_with_130_and_other_signals_wait() -> None:
    script = (
        "import os, signal, time\n"
        "from gan_nas.cli.signals import obey, stopping\n"
        "obey()\n"
        "with stopping() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print(stop(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stdout) == (130, "True\n")


@pytest.mark.parametrize("other", ["SIGTERM", "SIGHUP"])
def test_one_interrupt_is_one_whatever_comes_with_it(other: str) -> None:
    script = (
        "import os, signal\n"
        "from gan_nas.cli.signals import heard, stopping\n"
        "with stopping() as stop:\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, heard())\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        f"    os.kill(os.getpid(), signal.{other})\n"
        "    signal.pthread_sigmask(signal.SIG_UNBLOCK, heard())\n"
        "    print(stop())\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_outside_of_work_a_signal_ends_at_once_with_75_and_at_the_end_changes_nothing() -> None:
    for call, code, said in (("obey", 75, f"{AT_ONCE}\n"), ("ignore", 3, "")):
        script = (
            "import os, signal, sys\n"
            f"from gan_nas.cli.signals import {call}\n"
            f"{call}()\n"
            "os.kill(os.getpid(), signal.SIGTERM)\n"
            "sys.exit(3)\n"
        )
        done = subprocess.run(
            [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (code, said)


def hears(pid: int) -> bool:
    """Tell whether the interpreter has come so far that a process answers SIGTERM itself."""
    caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


COMMANDS = {
    "list": ["genomes", "--costs"],
    "dry run": ["retrain", "autogan-cifar10-top1", "--dry-run"],
    "training": ["retrain", "autogan-cifar10-top1", "--width", "8", "--run", "run"],
    "jobs": ["search", "--method", "random", "--jobs", "2", "--run", "run"],
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells when signals are heard")
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_is_exit_75_and_no_traceback(
    tmp_path: Path, name: str, number: signal.Signals
) -> None:
    moments = random.Random(f"{name} {number}")
    for _ in range(3):
        with subprocess.Popen(
            [*PROGRAM, *COMMANDS[name]], stdout=-3, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        ) as process:
            while not hears(process.pid):
                time.sleep(0.01)
            time.sleep(8 * moments.random())
            process.send_signal(number)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=120)
        assert process.returncode in (75, 0), said
        assert "Traceback" not in said


@pytest.mark.slow
def test_a_terminal_that_is_gone_and_a_full_disk_end_no_training(tmp_path: Path) -> None:
    words = [*PROGRAM, "retrain", "autogan-cifar10-top1", "--width", "4", "--set", "steps=2"]
    words += ["--set", "num_scored=50", "--json", "--run"]
    mine, theirs = os.openpty()
    with subprocess.Popen([*words, tmp_path / "a"], stdout=-3, stderr=theirs) as process:
        os.close(theirs)
        os.close(mine)
        assert process.wait(200) == 0
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*words, tmp_path / "b"], stdout=-3, stderr=full, check=False)
    assert done.returncode == 0
    assert all((tmp_path / run / "result.json").exists() for run in "ab")


@pytest.mark.slow
@pytest.mark.parametrize("ends", [">&-", ">&- 2>&-", "| head -c0; exit ${PIPESTATUS[0]}"])
@pytest.mark.parametrize(("other", "code"), [("autogan-cifar10-top1", 0), ("sngan-cifar10", 1)])
def test_compare_answers_the_same_wherever_it_prints(ends: str, other: str, code: int) -> None:
    command = " ".join(f"'{word}'" for word in PROGRAM)
    line = f"{command} compare autogan-cifar10-top1 {other} --json {ends}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode in ((code, 141) if "head" in ends else (code,))
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a limit on addresses is Linux's")
@pytest.mark.parametrize("mebibytes", [30, 60, 100, 300, 900, 2_000, 3_400])
def test_whatever_the_limit_on_memory_is_it_is_told_in_a_sentence(
    tmp_path: Path, mebibytes: int
) -> None:
    import resource

    limit = mebibytes << 20
    done = subprocess.run(
        [*PROGRAM, "retrain", "autogan-cifar10-top1", "--dry-run", "--run", tmp_path / "run"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr
    if done.returncode == 3:
        assert done.stderr.splitlines()[-1].startswith("error: the memory does not suffice")
