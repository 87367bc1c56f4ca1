"""What several processes compute together, to be compared with what one does alone.

As a script, which torchrun starts, it saves the results of all KINDS into a folder. On a GPU, of
which there may be one, its processes talk by gloo: NCCL wants a GPU for each.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
import tiny

from gan_nas.machine.ranks import Ranks, launched
from gan_nas.runs.ledger import Ledger
from gan_nas.search import load_method
from gan_nas.search.method import Task
from gan_nas.spaces.frameworks import FRAMEWORKS
from gan_nas.training.config import TrainingConfig
from gan_nas.training.plan import new_gan
from gan_nas.training.steps import Steps

STEPS = 3
DTYPES = {"float32": torch.float32, "float64": torch.float64}
Results = dict[str, Tensor]


class WideSteps(Steps):
    """Steps whose images and latents have the networks' type."""

    dtype = torch.float32

    def latents(self, purpose: str, count: int, num: int) -> Tensor:
        return super().latents(purpose, count, num).to(self.dtype)

    def _prepared(self, *args: Any) -> Tensor:
        return super()._prepared(*args).to(self.dtype)


def trained(
    changes: dict[str, Any], ranks: Ranks, dtype: torch.dtype, device: torch.device = tiny.CPU
) -> Results:
    settings = tiny.TRAINING | {"num_critic": 1, "ema_decay": 0.0} | changes
    config = TrainingConfig.model_validate(settings)
    gan = new_gan(tiny.GENOME, config, 16, 1, device, ranks=ranks)
    gan.generator.to(dtype)
    gan.discriminator.to(dtype)
    latent_dim = tiny.GENOME.generator.latent_dim
    images = tiny.digits().at(16).train.to(device)
    steps = WideSteps(gan, config, images, latent_dim, device)
    steps.dtype = dtype
    losses = [loss for k in range(STEPS) for loss in steps.make(k)]
    z = steps.latents("norm latents", 0, 8)
    with torch.no_grad():
        images = gan.generator(z)
        scores = gan.discriminator(images)  # by the batch's statistics, which cancel biases
    weights = gan.discriminator.named_parameters()
    return {
        "losses": torch.stack([loss for loss in losses if loss is not None]),
        "images": images,
        "scores": scores,
        **{name: weight.detach().clone() for name, weight in weights if weight.dim() > 1},
    }


@contextmanager
def by_default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def searched(
    name: str,
    changes: dict[str, Any],
    ranks: Ranks,
    dtype: torch.dtype,
    device: torch.device = tiny.CPU,
) -> Results:
    method = load_method(name)
    config = method.Config.model_validate(tiny.SETTINGS[name] | changes)
    ledger = Ledger()
    with by_default(dtype):
        task = Task(
            config=config,
            images=tiny.digits(),
            device=device,
            backbone=tiny.backbone(),
            ranks=ranks,
            ledger=ledger,
        )
        work = method.start(task)
        while work.step < STEPS:
            work.advance()
    # Adam makes whole steps of gradients that are zero but for rounding: those of biases before a
    # norm and, in float32, of some weights.
    groups = work.saved()
    kept = ("generator", "discriminator", "network", "latents", "alpha")
    weights = {
        f"{group}.{name}": tensor.detach().clone()
        for group in kept
        if group in groups
        for name, tensor in groups[group].read().items()
        if tensor.dim() > 1 and dtype == torch.float64
    }
    losses = {name: window.values[: window.count] for name, window in ledger.windows.items()}
    return losses | weights


KINDS: dict[str, Callable[[Ranks, torch.dtype, torch.device], Results]] = {
    **{name: partial(trained, {"framework": name}) for name in FRAMEWORKS},
    "passes apart": partial(trained, {"passes": "apart"}),
    "diffaugment": partial(trained, {"augment": "diffaugment"}),
    "autogan": partial(searched, "autogan", {"idle_weights": "decayed"}),
    "adversarialnas": partial(searched, "adversarialnas", {}),
    "degas": partial(searched, "degas", {}),
    "shared": partial(searched, "evolution", {}),
}


def main(folder: Path, name: str = "cpu") -> None:
    torch.set_num_threads(1)
    device = torch.device(name, 0) if name == "cuda" else torch.device(name)
    if device.type == "cuda":
        begin = dist.init_process_group
        dist.init_process_group = lambda backend, **rest: begin("cpu:gloo,cuda:gloo", **rest)
    with launched(device) as ranks:
        for kind, compute in KINDS.items():
            for name, dtype in DTYPES.items():
                results = compute(ranks, dtype, device)
                if ranks.is_first:
                    contiguous = {key: value.contiguous() for key, value in results.items()}
                    save_file(contiguous, folder / f"{kind} {name}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
