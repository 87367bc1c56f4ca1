"""Forecasts: samples of any work are small, and predictions grow with what makes runs larger."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import bench_memory
import pytest
import tiny
import torch

from gan_nas.configs import resolve
from gan_nas.networks.simulation import META
from gan_nas.search import load_method
from gan_nas.spaces.published import published_genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.forecast import MOST_BYTES, MOST_MACS, Scale, Work, memory_bytes
from gan_nas.training.plan import work

TOP1 = published_genome("autogan-cifar10-top1")


def training(width: int, side: int, **changes: Any) -> Work:
    config = TrainingConfig.model_validate(changes)
    return work(TOP1.resized(width, width), config, side, 3, tiny.CPU)


def searching(name: str, side: int, preset: str) -> Work:
    method = load_method(name)
    return method.work(resolve(method.Config, method.presets[preset]), side, 3, tiny.CPU)


WORKS = {
    "training, tiny": lambda: training(8, 16, batch_size=8, generator_batch_size=8),
    "training, paper": lambda: training(256, 32),
    "training, paper at 256 px": lambda: training(256, 256),
    "training, widest": lambda: training(2048, 48),
    "autogan, demo": lambda: searching("autogan", 16, "demo"),
    "autogan, paper": lambda: searching("autogan", 48, "paper"),
    "adversarialnas, paper": lambda: searching("adversarialnas", 32, "paper"),
    "degas, paper": lambda: searching("degas", 48, "paper-stl10"),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * ("paper" in name)) for name in WORKS]
)
def test_a_sample_of_any_work_is_small(name: str) -> None:
    work = WORKS[name]()
    for number, full in enumerate(work.simulated):
        scale = work.scale_of(full)
        sample = Work(
            lambda _, device, scale=scale: work.build(scale, device),
            side=work.side // scale.side,
            batch_size=work.batch_size,
            device=META,
        ).simulated[number]
        assert sum(sample.macs) < 4 * MOST_MACS
        assert sample.training < 4 * MOST_BYTES
        if sum(full.macs) < MOST_MACS and full.training < MOST_BYTES:
            assert scale == Scale()


def test_on_a_gpu_only_memory_makes_a_sample_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    work = training(32, 32, batch_size=64, generator_batch_size=64)
    full = work.simulated[0]
    work.device = torch.device("cuda")
    for share, scale in ((40, Scale()), (2, Scale(2)), (0.1, Scale(16, 2))):
        free = int(share * full.training), 0
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: free)
        assert work.scale_of(full) == scale


def test_what_a_gpu_records_takes_the_memory_of_both_steps() -> None:
    images = tiny.digits()
    usual, recorded = (training(16, 16, batch_size=32) for _ in range(2))
    usual.device = recorded.device = torch.device("cuda")
    recorded.recorded = True
    assert recorded.simulated[0].training > 1.2 * usual.simulated[0].training
    assert memory_bytes(recorded, images, 16) > memory_bytes(usual, images, 16)


def test_times_are_scaled_up_by_the_multiply_adds() -> None:
    full = training(32, 32, batch_size=64, generator_batch_size=64)
    assert full.scale_of(full.simulated[0]).batch > 1
    _, shares = full.sample(0)
    half = training(32, 32, batch_size=32, generator_batch_size=32)
    whole = full.simulated[0].macs[0] / half.simulated[0].macs[0]
    assert whole == pytest.approx(2, rel=0.1)
    assert min(shares) > 1
    phase = full.times()[0]
    assert phase.seconds > 0
    assert phase.steps == TrainingConfig().steps * TrainingConfig().num_critic


@pytest.mark.parametrize(
    "larger",
    [{"width": 64}, {"side": 64}, {"batch_size": 64, "generator_batch_size": 64}],
    ids=lambda changes: next(iter(changes)),
)
def test_memory_grows_with_widths_sides_and_batches(larger: dict[str, int]) -> None:
    usual = {"width": 32, "side": 32, "batch_size": 32, "generator_batch_size": 32}
    images = tiny.digits()
    small, large = (
        memory_bytes(training(**settings), images, settings["side"])
        for settings in (usual, usual | larger)
    )
    assert small < large


def test_a_gpu_is_asked_for_less_than_a_process() -> None:
    """It holds tensors alone: neither libraries nor what malloc cannot use."""
    images = tiny.digits()
    on_cpu = training(64, 32)
    on_gpu = Work(on_cpu.build, side=32, batch_size=64, device=torch.device("cuda"))
    assert memory_bytes(on_gpu, images, 32) < memory_bytes(on_cpu, images, 32)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from Linux")
@pytest.mark.slow
def test_the_largest_dry_run_takes_no_memory_to_speak_of(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom gan_nas.cli import run\n"
        "code = run(sys.argv[1:])\n"
        "print(Path('/proc/self/status').read_text(), file=sys.stderr)\nsys.exit(code)"
    )
    program = [sys.executable, "-P", "-c", code, "retrain", "autogan-cifar10-top1"]
    program += ["--preset", "paper", "--resolution", "256", "--dry-run", "--json"]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=tmp_path)
    peak = re.search(r"VmHWM:\s*(\d+) kB", done.stderr)
    assert peak
    assert int(peak[1]) < 1 << 20  # kibibytes, all libraries included
    assert int(re.search(r'"memory_bytes": (\d+)', done.stdout)[1]) > 50 << 30  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="malloc's and the peak are Linux'")
@pytest.mark.parametrize("case", bench_memory.CASES, ids=lambda case: case.words)
def test_predicted_memory_is_within_a_third_of_the_peak_of_a_run(
    case: bench_memory.Case,
) -> None:
    planned = bench_memory.bytes_of("planned", case)
    assert planned == pytest.approx(bench_memory.bytes_of("measured", case), rel=0.3)
