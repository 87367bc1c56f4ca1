"""Simulated steps: what they keep alive and multiply is what real ones do."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import tiny
import torch
from torch import Tensor, nn

from gan_nas.networks.simulation import META, HalfPrecision, LiveBytes
from gan_nas.search import FOLDERS, load_method
from gan_nas.search.degas.config import Config
from gan_nas.search.degas.reconstruct import reconstruction_phases
from gan_nas.spaces.frameworks import FRAMEWORKS, Framework
from gan_nas.training.config import TrainingConfig
from gan_nas.training.plan import new_gan, training_phase
from gan_nas.training.precision import autocast
from gan_nas.training.timing import Phase

CPU = tiny.CPU
Made = Callable[[torch.device], Sequence[Phase]]


def test_storages_are_counted_while_they_live_and_once() -> None:
    live = LiveBytes()
    with live:
        x = torch.zeros(1000, device=META)
        assert live.now == 4000
        view = x.view(10, 100)[2:]
        assert live.now == 4000
        y = view + 1
        assert live.now == 4000 + 3200
        del y
        assert (live.now, live.most) == (4000, 7200)
        live.start()
        z = x.double()
        assert live.beyond == 8000
        del x, z
        assert live.now == 4000  # its view still holds it
        del view
    assert live.now == 0


def test_multiply_adds_of_a_step_are_three_of_a_pass() -> None:
    live = LiveBytes()
    layers = nn.Sequential(*[nn.Linear(20, 20, bias=False, device=META) for _ in range(3)])
    z = torch.empty(7, 20, device=META, requires_grad=True)
    one = 7 * 20 * 20 * 3
    with live:
        assert live.count(lambda: layers(z).sum().backward()) == 3 * one
        with torch.no_grad():
            assert live.count(lambda: layers(z)) == one


def phases(framework: Framework, precision: str) -> Made:
    config = TrainingConfig.model_validate(
        tiny.TRAINING | {"framework": framework, "precision": precision}
    )

    def made(device: torch.device) -> list[Phase]:
        gan = new_gan(tiny.GENOME, config, 16, 1, device)
        return [training_phase(gan, tiny.GENOME, config, 16, 1)]

    return made


def phases_of(name: str, device: torch.device) -> Sequence[Phase]:
    method = load_method(name)
    return method.phases(method.Config(**tiny.SETTINGS[name]), 16, 1, device)


SEARCHES: list[Made] = [
    *(partial(phases_of, name) for name in FOLDERS),
    lambda device: reconstruction_phases(tiny.GENOME, Config(**tiny.DEGAS), 16, 1, device),
]


MOSTLY_FAST = [  # AdversarialNAS' step is the longest, and a degas search mixes operations, too
    pytest.param(made, marks=pytest.mark.slow) if name == "adversarialnas" else made
    for name, made in zip((*FOLDERS, "reconstruction"), SEARCHES, strict=True)
]


@pytest.mark.parametrize(
    "made", [*MOSTLY_FAST, *(phases(f, "float32") for f in FRAMEWORKS), phases("ctgan", "bf16")]
)
def test_a_simulated_step_is_like_a_real_one(made: Made) -> None:
    found = []
    for device in (META, CPU):
        live = LiveBytes()
        with live:
            phase = made(device)[-1]
            row = []
            for step in (phase.first, phase.second, phase.generate):
                live.start()
                macs = live.count(step)
                row.append((macs, live.beyond))
        found.append((live.now, row))
    (kept, simulated), (kept_really, real) = found
    assert kept == pytest.approx(kept_really, rel=0.1)
    for (macs, beyond), (real_macs, real_beyond) in zip(simulated, real, strict=True):
        assert macs == pytest.approx(real_macs, rel=0.1)
        assert beyond == pytest.approx(real_beyond, rel=0.35, abs=2**16)


@pytest.mark.parametrize(
    "compute",
    [
        pytest.param(lambda x: nn.Conv2d(3, 4, 3, device=x.device)(x), id="convolution"),
        pytest.param(lambda x: nn.ConvTranspose2d(3, 4, 3, device=x.device)(x), id="transposed"),
        pytest.param(lambda x: nn.Linear(8, 5, device=x.device)(x), id="linear"),
        pytest.param(lambda x: x @ x, id="product"),
        pytest.param(lambda x: torch.matmul(x, x), id="matmul"),
        pytest.param(lambda x: x + x, id="sum"),
        pytest.param(lambda x: nn.functional.avg_pool2d(x, 2), id="pooling"),
        pytest.param(lambda x: nn.BatchNorm2d(3, device=x.device)(x), id="norm"),
    ],
)
def test_half_precision_on_meta_is_that_of_autocast(compute: Callable[[Tensor], Tensor]) -> None:
    types = []
    for device in (META, CPU):
        with autocast(device, "bf16"):
            types.append(compute(torch.zeros(2, 3, 8, 8, device=device)).dtype)
    assert types[0] == types[1]


def test_full_precision_on_meta_stays() -> None:
    x = torch.zeros(2, 3, 8, 8, device=META)
    with autocast(META, "float32"):
        assert (x @ x).dtype == torch.float32
    with HalfPrecision():
        assert (x @ x).dtype == torch.bfloat16
    assert (x @ x).dtype == torch.float32
