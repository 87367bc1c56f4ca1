"""What a process may use: the tightest of affinity, control groups and the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_nas.machine.cores import available_cores, available_memory, idle_cores

MEMINFO = "MemTotal:       16000000 kB\nMemFree: 100 kB\nMemAvailable:    8000000 kB\n"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="no groups"),
        pytest.param({"proc/self/cgroup": "0::/a/b\n"}, id="nothing said"),
        pytest.param(
            {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"}, id="max"
        ),
        pytest.param(
            {
                "proc/self/cgroup": "1:cpu,cpuacct:/a\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            },
            id="version 1 without limit",
        ),
    ],
)
def test_without_a_quota_all_cores_of_the_affinity_are_there(
    files: dict[str, str], tmp_path: Path
) -> None:
    assert available_cores(write(tmp_path, files)) == affinity()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "50000 100000\n"},
            id="its own",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
            },
            id="that of the group above",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/outer/path\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"},
            id="that of a container's top",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/x\n1:cpu,cpuacct:/a\n0::/\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "100000\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            },
            id="version 1",
        ),
    ],
)
def test_a_quota_of_a_core_leaves_one(files: dict[str, str], tmp_path: Path) -> None:
    assert available_cores(write(tmp_path, files)) == 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_a_process_held_on_one_core_has_one(tmp_path: Path) -> None:
    code = (
        "import os\nfrom gan_nas.machine.cores import available_cores\n"
        f"os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})\nprint(available_cores())"
    )
    program = [sys.executable, "-P", "-c", code]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["1"]


def test_busy_cores_are_not_counted_as_idle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cores, every = affinity(), os.cpu_count() or 1
    for load, expected in (
        (0.0, cores),
        (float(every), 1),
        (100.0 * every, 1),
        (every / 2, max(1, round(cores / 2))),
    ):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert idle_cores(tmp_path) == expected


def test_available_memory_is_the_least_that_anyone_leaves(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None
    write(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/a/b\n"})
    assert available_memory(tmp_path) == 8_000_000 * 1024
    group = tmp_path / "sys/fs/cgroup/a"
    write(group, {"memory.max": "max\n", "memory.current": "5000\n"})
    assert available_memory(tmp_path) == 8_000_000 * 1024
    write(group, {"memory.max": "9000\n", "memory.stat": "active_file 7\ninactive_file 1500\n"})
    assert available_memory(tmp_path) == 9000 - 5000 + 1500
    write(group / "b", {"memory.max": "4000\n", "memory.current": "4500\n"})
    assert available_memory(tmp_path) == 0


def test_version_1_of_control_groups_is_read_too(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory/a"
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "4:memory:/a\n",
        f"{group}/memory.limit_in_bytes": "9223372036854771712\n",
        f"{group}/memory.usage_in_bytes": "5000\n",
    }
    assert available_memory(write(tmp_path, files)) == 8_000_000 * 1024
    write(tmp_path, {f"{group}/memory.limit_in_bytes": "6000\n"})
    assert available_memory(tmp_path) == 1000


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux tells")
def test_this_machine_has_memory_and_cores() -> None:
    memory = available_memory()
    assert memory is not None
    assert memory > 0
    assert 1 <= idle_cores() <= available_cores() <= (os.cpu_count() or 1)
