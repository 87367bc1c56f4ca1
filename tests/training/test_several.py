"""Several processes that train or search together: equal to one, and none outlives another."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import several
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from gan_nas.errors import InvalidInput
from gan_nas.machine.group import joined
from gan_nas.machine.ranks import ALONE, Ranks, launched
from gan_nas.streams import stream
from gan_nas.training.splitting import Split, batch_norm, split

TESTS = Path(several.__file__).parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--"]
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
# A critic's loss does not know its last bias, whose gradient is zero but for rounding: of that Adam
# makes steps of the learning rate, 1e-4 or 2e-4, by which all scores, and generator losses, differ.
OF_CRITICS = {"wasserstein", "wgan-gp", "ctgan"}
RETRAIN = ["retrain", "autogan-cifar10-top3", "--width", "4", "--set", "score_every=100000"]
LONG = ["--set", "steps=100000", "--set", "save_every=5"]


def test_without_torchrun_one_process_works_alone_and_no_group_is_made() -> None:
    with launched(torch.device("cpu")) as ranks:
        assert ranks is ALONE
    network = nn.Linear(2, 2)
    assert split(network, ALONE) is network
    assert not torch.distributed.is_initialized()


def test_batches_that_cannot_be_split_are_refused() -> None:
    ranks = Ranks()
    ranks.size = 3
    with pytest.raises(InvalidInput, match=r"batch_size = 64 with 3 processes: .* multiple of 3"):
        ranks.check({"generator_batch_size": 63, "batch_size": 64})
    ranks.check({}, None)
    with pytest.raises(InvalidInput, match="micro_batch = 4 with 3 processes"):
        ranks.check({}, 4)


def test_a_split_network_is_the_network_with_its_norms_written_out() -> None:
    random = stream(0, "x")
    x = torch.randn(6, 3, 4, 4, generator=random, dtype=torch.float64, requires_grad=True)
    norm = nn.BatchNorm2d(3, dtype=torch.float64)
    network = nn.Sequential(nn.Conv2d(3, 3, 3, dtype=torch.float64), norm, nn.Tanh())
    found = []
    for computed in (network, Split(network, ALONE)):
        norm.reset_running_stats()
        y = computed(x)
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        second = torch.autograd.grad(slope.square().sum(), list(network.parameters()))
        found.append([y, slope, *second, *(buffer.clone() for buffer in norm.buffers())])
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*found, strict=True))
    norm.eval()
    assert torch.equal(
        batch_norm(ALONE, x, norm.running_mean, norm.running_var),
        F.batch_norm(x, norm.running_mean, norm.running_var),
    )


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two processes."""
    folder = tmp_path_factory.mktemp("together")
    command = [*TORCHRUN, str(TESTS / "several.py"), str(folder)]
    subprocess.run(command, check=True, timeout=600)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("dtype", several.DTYPES)
@pytest.mark.parametrize("kind", several.KINDS)
def test_two_processes_compute_what_one_does(kind: str, dtype: str, together: Path) -> None:
    alone = several.KINDS[kind](ALONE, several.DTYPES[dtype], torch.device("cpu"))
    both = load_file(together / f"{kind} {dtype}.safetensors")
    assert both.keys() == alone.keys()
    shifted = {"losses", "scores"} if kind in OF_CRITICS and dtype == "float32" else set()
    for name, tensor in alone.items():
        near = 1e-3 if name in shifted else TOLERANCE[dtype]
        assert torch.allclose(both[name], tensor, near, near), name


@pytest.mark.cuda
def test_two_processes_on_a_gpu_compute_what_one_does(tmp_path: Path) -> None:
    """In float64: a GPU's float32 is coarser than what is asked of a CPU's."""
    subprocess.run([*TORCHRUN, several.__file__, str(tmp_path), "cuda"], check=True, timeout=600)
    cuda = torch.device("cuda", 0)
    for kind, compute in several.KINDS.items():
        alone = compute(ALONE, torch.float64, cuda)
        both = load_file(tmp_path / f"{kind} float64.safetensors")
        assert both.keys() == alone.keys()
        for name, tensor in alone.items():
            torch.testing.assert_close(both[name], tensor.cpu(), rtol=1e-8, atol=1e-8, msg=kind)


@pytest.mark.cuda
def test_a_group_talks_by_nccl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of one, as there may be one GPU: what it is told is what it said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": "0", "WORLD_SIZE": "1"}
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    cuda = torch.device("cuda", 0)
    with joined(cuda) as group:
        for tensor in (
            torch.randn(4, 3, 5, 5, device=cuda).to(memory_format=torch.channels_last),
            torch.arange(6, dtype=torch.uint8, device=cuda).view(3, 2),
            torch.randn(4, 2, device=cuda, dtype=torch.bfloat16),
        ):
            assert torch.equal(group.gathered(tensor), tensor)
            assert group.gathered(tensor).stride() == tensor.stride()
            kept = tensor.clone()
            group.add(tensor)
            assert torch.equal(tensor, kept)
        weight = torch.randn(3, device=cuda, requires_grad=True)
        weight.square().sum().backward()
        group.add_gradients([weight, torch.ones(2, device=cuda, requires_grad=True)])
        torch.testing.assert_close(weight.grad, 2 * weight.detach())
        assert group.any(True)
        assert not group.any(False)
        assert group.told(lambda: b"words") == b"words"
        assert group.first(lambda: {"a": 1}) == {"a": 1}


def gan_nas(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("gan-nas")), *arguments]


def of_rank(rank: int, run: Path) -> int:
    """Return the number of a process that works on a run."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_it = f"RANK={rank}".encode() in (path / "environ").read_bytes().split(b"\0")
            if is_it and str(run).encode() in (path / "cmdline").read_bytes().split(b"\0"):
                return int(path.name)
        except OSError:
            continue
    raise AssertionError(f"no process {rank} works on {run}")


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A training of two processes that has saved, and its run directory."""
    run = tmp_path / "run"
    command = [*TORCHRUN, *gan_nas(*RETRAIN, *LONG, "--run", str(run))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        begun = time.monotonic()
        while not list(run.glob("checkpoint/000*")):
            assert process.poll() is None
            assert time.monotonic() - begun < 120
            time.sleep(0.2)
        yield process, run
        process.kill()


def is_resumable(run: Path) -> bool:
    """Tell whether one process comes to the end of what two have begun."""
    done = max(int(path.name[:9]) for path in run.glob("checkpoint/000*"))
    longer = ["--set", f"steps={done + 2}", "--set", "save_every=5", "--run", str(run)]
    config = run / "config.json"
    config.write_text(config.read_text().replace('"steps": 100000', f'"steps": {done + 1}'))
    return subprocess.run(gan_nas(*RETRAIN, *longer), timeout=300).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_the_others_and_the_run_goes_on(
    rank: int, under_way: tuple[subprocess.Popen[str], Path]
) -> None:
    process, run = under_way
    os.kill(of_rank(rank, run), signal.SIGKILL)
    said = process.communicate(timeout=120)[1]
    assert process.returncode
    assert "another process of this run has ended or cannot be reached" in said
    assert is_resumable(run)


@pytest.mark.slow
def test_one_signal_stops_all_processes_with_the_state_saved(
    under_way: tuple[subprocess.Popen[str], Path],
) -> None:
    process, run = under_way
    process.send_signal(signal.SIGTERM)
    assert f"the state is saved in {run}" in process.communicate(timeout=120)[1]
    assert is_resumable(run)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["doctor"], "only retrain and search share their work"),
        (["search", "--method", "random"], "trains no network that they could share"),
        ([*RETRAIN, "--set", "batch_size=9"], "batch_size = 9 with 2 processes"),
        ([*RETRAIN, "--set", "compile=true"], "compile = true with 2 processes"),
    ],
)
def test_what_several_processes_cannot_share_is_refused(
    arguments: list[str], refused: str, tmp_path: Path
) -> None:
    run = [] if arguments == ["doctor"] else ["--run", str(tmp_path / "run")]
    command = [*TORCHRUN, *gan_nas(*arguments, *run)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode
    assert refused in done.stderr
    assert not (tmp_path / "run").exists()
