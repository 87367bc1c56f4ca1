"""Trials that memory does not suffice for: in whole batches, or in any."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from gan_nas.configs import resolve
from gan_nas.errors import Interrupted
from gan_nas.machine.memory import is_out_of_memory
from gan_nas.training.config import TrainingConfig
from gan_nas.trials.evaluator import failure
from gan_nas.trials.training import TrainEvaluator
from gan_nas.trials.trial import Trial

TRIAL = Trial(genome=tiny.GENOME, images=32, seed=0)


@contextmanager
def memory_for(num: int) -> Iterator[None]:
    """Let every module that trains run out of memory on more images than these."""

    def look(module: torch.nn.Module, given: object) -> None:
        if module.training and isinstance(given, tuple) and len(given[0]) > num:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    handle = register_module_forward_pre_hook(look)
    try:
        yield
    finally:
        handle.remove()


def evaluator(folder: Path, **changes: object) -> TrainEvaluator:
    return TrainEvaluator(
        config=resolve(TrainingConfig, tiny.TRAINING | {"num_scored": 20} | changes),
        folder=folder,
        images=tiny.few_images(),
        resolution=16,
        device=tiny.CPU,
        backbone=tiny.backbone(),
        plain=True,
    )


@pytest.mark.slow
def test_a_trial_goes_on_in_half_batches_and_is_taken_up_so(tmp_path: Path) -> None:
    judge = evaluator(tmp_path)
    with memory_for(8):  # eight real images and as many fakes pass the discriminator together
        outcome = judge(TRIAL)
    assert (outcome.status, outcome.micro_batch) == ("completed", 4)
    timeless = {"seconds": 0.0, "processor_seconds": 0.0}
    again = judge(TRIAL)
    assert again.model_copy(update=timeless) == outcome.model_copy(update=timeless)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["hinge-sn", "mmd"])
def test_a_trial_that_no_memory_suffices_for_is_an_outcome(tmp_path: Path, framework: str) -> None:
    with memory_for(2):
        outcome = evaluator(tmp_path, framework=framework)(TRIAL)
    assert outcome.status == "out_of_memory"
    assert outcome.why is not None
    assert ("compares all images of a batch" in outcome.why) == (framework == "mmd")
    assert outcome.micro_batch == (None if framework == "mmd" else 4)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        RuntimeError("could not create a primitive"),
        OSError(12, "Cannot allocate memory"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_want_of_memory_is_known_in_all_its_words(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert failure(error)["status"] == "out_of_memory"


def test_what_is_no_end_of_a_trial_is_raised() -> None:
    for error in (KeyError("a bug"), Interrupted("out of memory, says a file's name")):
        with pytest.raises(type(error)):
            failure(error)
