"""The package asks no system for what only POSIX has; whoever lacks it gets a fallback."""

import subprocess
import sys
from pathlib import Path

WITHOUT = """
import importlib, importlib.metadata, os, pkgutil, signal, sys
import filelock, numpy, scipy, torch, typer

for name in ("fcntl", "resource", "pwd", "grp", "termios", "posix"):
    sys.modules[name] = None
for name in dir(os):
    if name.startswith(("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "sched_", "getlo")):
        delattr(os, name)
for name in ("mkfifo", "fork", "sysconf", "statvfs", "uname", "getuid", "geteuid", "fchmod"):
    delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGUSR1"):
    delattr(signal, name)

import gan_nas
for module in pkgutil.walk_packages(gan_nas.__path__, "gan_nas."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        extras = "ray", "submitit", "optuna", "tensorboardX"  # where they are, they may want POSIX
        assert error.name in extras or module.name == "gan_nas.trials.engines.ray", error
"""

USED = """
from pathlib import Path
from gan_nas.errors import InvalidInput
from gan_nas.machine.cores import available_cores, idle_cores
from gan_nas.runs.run import Run, read_log

assert 1 <= idle_cores() <= available_cores()
directory = Path("a run")
with Run.open(directory, {"seed": 0}) as run:
    run.log(step=1)
    run.save(1, {}, {"group": {"weight": torch.zeros(2)}})
with Run.open(directory, {"seed": 0}) as run:
    assert run.latest().step == 1
    try:
        Run.open(directory, {"seed": 0})
    except InvalidInput as error:
        assert "another process" in str(error)
    else:
        raise AssertionError("one process at a time")
assert read_log(directory) == [{"step": 1}]

from gan_nas.files import open_own
Path("link").symlink_to("outside")
try:
    open_own(Path("link"), os.O_RDWR | os.O_CREAT)
except OSError:
    assert not Path("outside").exists()
else:
    raise AssertionError("a link was followed")
"""


def test_every_module_imports_and_runs_work_without_what_only_posix_has(tmp_path: Path) -> None:
    program = [sys.executable, "-P", "-W", "error", "-c", WITHOUT + USED]
    result = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
