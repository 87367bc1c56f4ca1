"""A kill at any boundary of a save, and the same command again: as if nobody had killed it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torture

QUICK = ("retrain", "stats")


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in torture.COMMANDS
    ],
)
def test_killed_at_any_boundary_and_gone_on_leaves_the_same_files(
    name: str, tmp_path: Path
) -> None:
    kills = "2" if name in QUICK else "8"
    command = [sys.executable, torture.__file__, "--kills", kills, "--folder", str(tmp_path), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
