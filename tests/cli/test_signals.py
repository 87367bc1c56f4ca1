import os
import signal
import subprocess
import sys

import pytest

from gan_nas.cli.signals import MESSAGE, stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


def test_the_second_interrupt_ends_at_once_with_130() -> None:
    script = (
        "import os, signal, time\n"
        "from gan_nas.cli.signals import stopping\n"
        "with stopping() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"  # a second SIGTERM waits as the first does
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
