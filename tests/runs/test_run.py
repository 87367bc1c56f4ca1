import errno
import json
import os
import resource
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_nas.errors import Incompatible, InvalidInput, MissingResource
from gan_nas.files import open_own, seal, unseal
from gan_nas.networks.states import (
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
    pack,
    unpack,
)
from gan_nas.runs.results import Result
from gan_nas.runs.run import Run
from gan_nas.runs.stored import stored_config

CONFIG = {"method": "autogan", "steps": 100, "betas": [0.0, 0.9], "versions": {"torch": "2.11"}}


def state_of(step: int) -> dict[str, Any]:
    return {"phase": "shared", "losses": [step / 3, float("inf")], "none": None}


def tensors_of(step: int) -> dict[str, dict[str, Tensor]]:
    return {"generator": {"w": torch.full((4, 3), float(step))}, "ema": {}}


def fill(run: Run, *steps: int) -> None:
    for step in steps:
        run.log(step=step, loss=1 / step)
        run.save(step, state_of(step), tensors_of(step))


def log_steps(directory: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (directory / "log.jsonl").read_text().splitlines()]


def checkpoints(run: Run) -> list[str]:
    return sorted(path.name for path in run.path("checkpoint").iterdir())


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.open(tmp_path / "runs" / "one", CONFIG) as run:
        yield run


def test_saved_state_comes_back_as_it_was(run: Run) -> None:
    tensors = {
        "networks": {
            "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
            "transposed": torch.randn(3, 2).T,
            "expanded": torch.ones(1).expand(4),
            "bfloat16": torch.randn(3).bfloat16(),
            "scalar": torch.tensor(7),
            "empty": torch.zeros(0, 2),
            "flags": torch.tensor([True, False]),
        },
        "ema": {},
    }
    tensors["networks"]["alias"] = tensors["networks"]["transposed"]
    run.save(12, state_of(12), tensors)
    checkpoint = run.latest()
    assert checkpoint is not None
    assert checkpoint.step == 12
    assert checkpoint.state == state_of(12)
    assert checkpoint.tensors.keys() == tensors.keys()
    for name, tensor in tensors["networks"].items():
        loaded = checkpoint.tensors["networks"][name]
        assert loaded.dtype == tensor.dtype
        assert torch.equal(loaded, tensor)
        loaded.zero_()  # ours to write to


def test_checkpoints_work_under_a_foreign_default_device(run: Run) -> None:
    tensors = {"networks": {"w": torch.randn(3), "empty": torch.zeros(0)}}
    with torch.device("meta"):
        run.save(1, {}, tensors)
        checkpoint = run.latest()
    assert checkpoint is not None
    assert all(t.device.type == "cpu" for t in checkpoint.tensors["networks"].values())


def test_a_step_can_be_saved_again_and_equal_states_give_identical_bytes(run: Run) -> None:
    fill(run, 1, 2)
    run.save(2, state_of(2), tensors_of(2))
    first, again = run.path("checkpoint", "000000002"), run.path("checkpoint", "000000002-2")
    for path in first.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()
    run.save(2, {"again": 3}, {})
    checkpoint = run.latest()
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.state) == (2, {"again": 3})
    fill(run, 3)
    assert checkpoints(run)[-1] == "000000003"


def test_what_a_kill_between_a_save_and_its_end_left_too_much_goes_with_the_finish(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(run, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr("gan_nas.runs.run.remove_old", lambda *_: None)  # killed before
        run.save(3, {}, {})
    assert len(checkpoints(run)) == 3
    run.finish(Result())
    assert checkpoints(run) == ["000000002", "000000003"]
    assert run.finished


def test_log_is_emptied_without_a_checkpoint(run: Run) -> None:
    run.log(step=1)
    run.latest()
    assert log_steps(run.directory) == []


def test_log_writes_null_for_what_json_cannot_say(run: Run) -> None:
    run.log(loss=float("nan"), window=[1.0, float("inf")], best={"a": float("-inf")})
    line = json.loads(run.path("log.jsonl").read_text())
    assert line == {"loss": None, "window": [1.0, None], "best": {"a": None}}


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "generator.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_newest_checkpoint_passes_to_the_one_before(
    run: Run, name: str, damage: str
) -> None:
    fill(run, 1, 2)
    path = run.path("checkpoint", "000000002", name)
    content = bytearray(path.read_bytes())
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "flip":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        case "gone":
            path.unlink()
    checkpoint = run.latest()
    assert checkpoint is not None
    assert checkpoint.step == 1
    assert torch.equal(checkpoint.tensors["generator"]["w"], tensors_of(1)["generator"]["w"])
    assert log_steps(run.directory) == [1]
    fill(run, 2)
    assert checkpoints(run) == ["000000001", "000000002"]


def test_every_bit_of_a_manifest_counts(run: Run) -> None:
    fill(run, 1, 2)
    path = run.path("checkpoint", "000000002", "manifest.json")
    text = path.read_text()
    for position in range(0, len(text), 7):
        for bit in range(7):
            flipped = bytearray(text.encode())
            flipped[position] ^= 1 << bit
            assert unseal(flipped.decode()) is None


def test_a_run_with_only_damaged_checkpoints_does_not_start_over(run: Run) -> None:
    fill(run, 1)
    run.path("checkpoint", "000000001", "state.json").unlink()
    with pytest.raises(InvalidInput, match="every checkpoint"):
        run.latest()
    assert log_steps(run.directory) == [1]


def test_a_checkpoint_of_another_run_is_refused(run: Run, tmp_path: Path) -> None:
    fill(run, 1)
    with Run.open(tmp_path / "other", CONFIG) as other:
        run.path("checkpoint").rename(other.path("checkpoint"))
        with pytest.raises(Incompatible, match="another run"):
            other.latest()


def test_changed_settings_are_named_and_refused(run: Run) -> None:
    run.close()
    changed = CONFIG | {"steps": 200, "betas": [0.5, 0.9], "data": {"name": "digits"}}
    with pytest.raises(Incompatible) as caught:
        Run.open(run.directory, changed)
    message = str(caught.value)
    assert "steps: 100 -> 200" in message
    assert "betas: [0.0, 0.9] -> [0.5, 0.9]" in message
    assert 'data: absent -> {"name": "digits"}' in message
    assert "another run" in message
    with Run.open(run.directory, CONFIG | {"betas": (0.0, 0.9)}):
        pass  # a tuple and a list are the same JSON


def test_changed_versions_only_warn(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.close()
    with Run.open(run.directory, CONFIG | {"versions": {"torch": "2.15"}}):
        pass
    assert 'torch: "2.11" -> "2.15"' in caplog.text


def test_a_strange_directory_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=r"not a run directory.*notes\.txt"):
        Run.open(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(InvalidInput, match="is a file"):
        Run.open(tmp_path / "notes.txt", CONFIG)
    with pytest.raises(InvalidInput, match="is a file"):
        Run.open(tmp_path / "notes.txt" / "run", CONFIG)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000])
def test_broken_settings_are_named(run: Run, text: str) -> None:
    run.close()
    run.path("config.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"config\.json"):
        Run.open(run.directory, CONFIG)


def test_a_directory_left_by_a_kill_during_creation_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.json.123.tmp").write_text("{")
    with Run.open(tmp_path, CONFIG) as run:
        assert stored_config(run.directory).items() >= CONFIG.items()


def test_two_processes_cannot_work_on_one_run(run: Run) -> None:
    with pytest.raises(InvalidInput, match=rf"another process \({os.getpid()} on .+\) is working"):
        Run.open(run.directory, CONFIG)
    run.path(".lock").write_text("whoever\n")
    with pytest.raises(InvalidInput, match="another process is working"):
        Run.open(run.directory, CONFIG)
    run.close()
    with Run.open(run.directory, CONFIG):
        pass
    assert run.path(".lock").read_text() == "whoever\n"  # not ours to write over
    run.path(".lock").write_text("7 on elsewhere\n")
    with Run.open(run.directory, CONFIG):
        assert run.path(".lock").read_text().startswith(f"{os.getpid()} on ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("make", [lambda path: path.symlink_to("../outside"), os.mkfifo])
def test_nothing_in_the_place_of_the_lock_is_followed(
    run: Run, make: Callable[[Path], None]
) -> None:
    (run.directory.parent / "outside").write_text("mine")
    run.close()
    assert run.path(".lock").is_file()
    run.path(".lock").unlink()
    make(run.path(".lock"))
    with pytest.raises(InvalidInput, match=r"\.lock is a (link|FIFO)"):
        Run.open(run.directory, CONFIG)
    with pytest.raises(OSError, match=r"symbolic|it is a FIFO"):
        open_own(run.path(".lock"), os.O_RDWR | os.O_CREAT)  # put there after it was looked at


def test_a_forgotten_run_lets_go_of_its_directory(run: Run) -> None:
    run.close()
    Run.open(run.directory, CONFIG)
    with Run.open(run.directory, CONFIG):
        pass


KILLED = """
import os, sys
from pathlib import Path
import torch
from gan_nas.runs.run import Run

torch.set_num_threads(1)
root = Path(sys.argv[1])


def save(run, step):
    run.log(step=step)
    run.save(step, {"step": step}, {"networks": {"w": torch.full((1000,), float(step))}, "ema": {}})


def check(directory, allowed):
    with Run.open(directory, {"seed": 0}) as run:  # the lock died with its process
        checkpoint = run.latest()
        step = checkpoint.step if checkpoint else 0
        assert step in allowed, (directory, step, allowed)
        if checkpoint:
            assert checkpoint.state == {"step": step}
            assert (checkpoint.tensors["networks"]["w"] == step).all()
        assert len(run.path("log.jsonl").read_bytes().splitlines()) == step, directory
        assert not list(run.path("checkpoint").glob(".*")), directory
        save(run, step + 1)
        assert run.latest().step == step + 1
        return step


def dying(function, calls, death):
    def call(*args, **kwargs):
        calls.append(function)
        if len(calls) == death:
            if function is fsync:  # the disk has only half of the file
                try:
                    os.ftruncate(args[0], os.fstat(args[0]).st_size // 2)
                except OSError:
                    pass
            os._exit(9)
        return function(*args, **kwargs)
    return call


fsync = os.fsync
names = ["fsync", "rename", "replace", "unlink", "rmdir", "mkdir", "truncate"]
reached, seen = True, set()
death = 0
while reached:
    death += 1
    directory = root / f"point-{death}"
    pid = os.fork()
    if not pid:
        with Run.open(directory, {"seed": 0}) as run:
            save(run, 1), save(run, 2)
            calls = []
            for name in names:
                setattr(os, name, dying(getattr(os, name), calls, death))
            save(run, 3)
        os._exit(0)
    reached = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    seen.add(check(directory, {2, 3} if reached else {3}))
assert death > 10 and seen == {2, 3}, (death, seen)
"""


def test_kill_9_at_any_instant_never_loses_the_last_good_checkpoint(tmp_path: Path) -> None:
    """Die before every call that changes the disk; then go on."""
    subprocess.run(
        [sys.executable, "-P", "-c", KILLED, str(tmp_path)], cwd=tmp_path, check=True, timeout=120
    )


@contextmanager
def full_disk_at(call: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    calls = 0
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        yield lambda: calls


def test_a_full_disk_leaves_the_previous_checkpoint(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(run, 1)
    files = sorted(run.directory.rglob("*"))
    call, failed, message = 0, True, ""
    while failed:
        call += 1
        with full_disk_at(call, monkeypatch) as calls:
            try:
                run.save(2, state_of(2), tensors_of(2))
            except MissingResource as error:
                message = str(error)
            failed = calls() >= call
        assert not failed or "the disk is full" in message
        if failed and not run.path("checkpoint", "000000002").exists():
            assert sorted(run.directory.rglob("*")) == files
            checkpoint = run.latest()
            assert checkpoint is not None
            assert checkpoint.step == 1
    assert call > 5


def test_a_file_too_large_for_the_disk_leaves_nothing_half_written(run: Run) -> None:
    fill(run, 1)
    files = {path: path.stat().st_size for path in run.directory.rglob("*")}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(MissingResource):
            run.save(2, {}, {"large": {"w": torch.zeros(100_000)}})
        with pytest.raises(MissingResource):
            run.log(text="x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path: path.stat().st_size for path in run.directory.rglob("*")} == files


def new_net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    layers = OrderedDict(used=nn.Conv2d(4, 8, 3, padding=1), norm=nn.BatchNorm2d(8))
    return nn.Sequential(layers).to(memory_format=torch.channels_last)


def new_adam(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.0, 0.9), fused=True)


def test_state_that_does_not_fit_is_named() -> None:
    net = new_net(0)
    state = module_state(net)
    with pytest.raises(Incompatible, match=r"1 missing \(used\.bias\)"):
        load_module_state(net, {k: v for k, v in state.items() if k != "used.bias"})
    with pytest.raises(Incompatible, match=r"1 unexpected \(other\)"):
        load_module_state(net, state | {"other": torch.zeros(1)})
    with pytest.raises(Incompatible, match=r"used\.bias has shape \(3,\) where \(8,\)"):
        load_module_state(net, state | {"used.bias": torch.zeros(3)})
    adam = new_adam(net)
    for name in ("other.weight.exp_avg", "used.bias.exp_avg"):
        with pytest.raises(Incompatible, match=name):
            load_optimizer_state(adam, net.named_parameters(), {name: torch.zeros(3)})


def test_loading_keeps_the_memory_format_and_the_tensor() -> None:
    net = new_net(0)
    parameter = net.get_parameter("used.weight")
    load_module_state(net, unpack(pack(module_state(new_net(1)))))
    assert net.get_parameter("used.weight") is parameter
    assert parameter.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(parameter, new_net(1).get_parameter("used.weight"))


@pytest.mark.cuda
def test_state_goes_back_to_the_gpu() -> None:
    net = new_net(0).to("cuda")
    adam = new_adam(net)
    net(torch.randn(2, 4, 5, 5, device="cuda")).sum().backward()
    adam.step()
    saved = unpack(pack(optimizer_state(adam, net.named_parameters())))
    load_optimizer_state(adam, net.named_parameters(), saved)
    state = optimizer_state(adam, net.named_parameters())
    assert all(tensor.is_cuda for tensor in state.values())
    assert all(torch.equal(tensor.cpu(), saved[name]) for name, tensor in state.items())


def test_sealed_content_comes_back_as_it_was() -> None:
    content = {"b": [1, 2.5, None, float("inf")], "a": {"ü": "é"}}
    assert unseal(seal(content)) == content
    assert unseal("[" * 100_000) is None
    assert unseal("{}") is None
