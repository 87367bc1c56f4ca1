"""The smallest runs that pass through every phase, and how to tell two of them apart."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_nas.data import Images, load_images
from gan_nas.metrics.backbone import Backbone
from gan_nas.runs.run import never, read_log
from gan_nas.search.adversarialnas import search as adversarialnas
from gan_nas.search.autogan import search as autogan
from gan_nas.search.degas import search as degas
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import published_genome
from gan_nas.training.loop import TrainingConfig, presets_for, train

CPU = torch.device("cpu")
GENOME = published_genome("autogan-cifar10-top3").resized(4, 4)  # batch norm in a cell
TRAINING = {
    "steps": 7,
    "batch_size": 8,
    "generator_batch_size": 8,
    "num_critic": 2,
    "ema_warm_start": True,
    "score_every": 3,
    "num_scored": 150,
    "save_every": 2,
    "log_every": 2,
}
CTGAN = {
    "framework": "ctgan",
    "lr_decay": "linear",
    "ema_decay": 0.0,
    "generator_init": "he",
    "discriminator_init": "he",
    "dequantise": True,
    "norm_statistics": "reestimated",
}
SEARCH = {
    "resolution": 16,
    "iterations": 4,
    "grow_at": (1, 2),
    "width": 4,
    "discriminator_width": 4,
    "derived_width": 4,
    "derived_discriminator_width": 4,
    "discriminator_steps": 6,
    "batch_size": 8,
    "generator_batch_size": 8,
    "num_critic": 2,
    "ema_warm_start": True,
    "ema_decay": 0.9,
    "reset_window": 2,
    "reset_threshold": 0.0,
    "reset_check_every": 2,
    "log_every": 2,
    "controller_steps": 3,
    "controller_lr": 1e-2,
    "num_candidates": 4,
    "top_k": 2,
    "num_scored": 150,
    "num_norm_latents": 16,
    "normalise_advantage": True,
    "save_every": 4,
}


ADVERSARIAL = {
    "resolution": 16,
    "iterations": 6,
    "width": 4,
    "discriminator_width": 4,
    "derived_width": 4,
    "derived_discriminator_width": 4,
    "batch_size": 8,
    "generator_batch_size": 8,
    "num_critic": 2,
    "architecture_lr": 0.1,
    "ema_decay": 0.9,
    "ema_warm_start": True,
    "derive_every": 2,
    "score_every": 3,
    "num_scored": 150,
    "top_k": 2,
    "save_every": 2,
    "log_every": 2,
}

DEGAS = {
    "resolution": 16,
    "num_images": 40,
    "iterations": 6,
    "width": 4,
    "derived_width": 4,
    "derived_discriminator_width": 4,
    "batch_size": 8,
    "clip_norm": 0.5,
    "architecture_lr": 0.1,
    "derive_every": 2,
    "num_scored": 20,
    "top_k": 2,
    "save_every": 2,
    "log_every": 2,
}


# The published side of every setting, at these sizes; each of the search's iterations is reset.
OF_SIZE = ("iterations", "grow_at", "batch_size", "generator_batch_size", "steps", "score_every")
PUBLISHED = {
    name: {key: value for key, value in preset.items() if key not in (*OF_SIZE, *others)}
    for name, preset, others in (
        ("autogan", autogan.PRESETS["published"], ()),
        ("adversarialnas", adversarialnas.PRESETS["published"], ("derive_every",)),
        ("training", presets_for("autogan")["published"], ("num_scored",)),
    )
}


class Features(nn.Module):
    """A random linear network: scores need features, not good ones."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator(device="cpu").manual_seed(0)
        self.weight = nn.Parameter(torch.randn(14, 64, generator=random, device="cpu") / 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.flatten(1) @ self.weight.t()
        return y[:, :4], y[:, 4:]


def backbone() -> Backbone:
    return Backbone("classifier", "tiny", side=8, channels=1, labelled=True, network=Features())


@cache
def digits() -> Images:
    return load_images("digits")


def run_training(
    directory: Path, stop: Callable[[], bool] = never, again: bool = False, **changes: Any
) -> dict[str, Any]:
    config = TrainingConfig.model_validate(TRAINING | changes)
    return train(
        GENOME,
        digits(),
        config,
        directory,
        resolution=16,
        device=CPU,
        backbone=backbone(),
        stop=stop,
        again=again,
    )


def run_ctgan(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> dict[str, Any]:
    return run_training(directory, stop, **(CTGAN | changes))


def run_search(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> dict[str, Any]:
    config = autogan.Config.model_validate(SEARCH | changes)
    return autogan.search(config, digits(), directory, device=CPU, backbone=backbone(), stop=stop)


def run_adversarial(
    directory: Path, stop: Callable[[], bool] = never, **changes: Any
) -> dict[str, Any]:
    config = adversarialnas.Config.model_validate(ADVERSARIAL | changes)
    return adversarialnas.search(
        config, digits(), directory, device=CPU, backbone=backbone(), stop=stop
    )


def run_published_training(
    directory: Path, stop: Callable[[], bool] = never, **changes: Any
) -> dict[str, Any]:
    return run_training(directory, stop, **(PUBLISHED["training"] | changes))


def run_published_search(
    directory: Path, stop: Callable[[], bool] = never, **changes: Any
) -> dict[str, Any]:
    published = PUBLISHED["autogan"] | {"reset_threshold": 1e9}
    return run_search(directory, stop, **(published | changes))


def run_published_adversarial(
    directory: Path, stop: Callable[[], bool] = never, **changes: Any
) -> dict[str, Any]:
    return run_adversarial(directory, stop, **(PUBLISHED["adversarialnas"] | changes))


def run_degas(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> dict[str, Any]:
    config = degas.Config.model_validate(DEGAS | changes)
    return degas.search(config, digits(), directory, device=CPU, stop=stop)


def run_reconstruction(
    directory: Path, stop: Callable[[], bool] = never, genome: Genome = GENOME, **changes: Any
) -> dict[str, Any]:
    config = degas.Config.model_validate(DEGAS | changes)
    return degas.reconstruct(genome, config, digits(), directory, device=CPU, stop=stop)


def traces(directory: Path) -> dict[str, Any]:
    """Return all that a run leaves behind, times and its own path aside."""
    newest = sorted((directory / "checkpoint").iterdir())[-1]
    state = json.loads((newest / "state.json").read_text())["state"]
    state.pop("scores", None)  # the last ones may come after the last checkpoint
    files = [
        path
        for pattern in ("genomes/*.json", "history/*.json", "samples/*.png", "*.png")
        for path in directory.glob(pattern)
    ]
    return {
        "log": timeless(read_log(directory)),
        "result": timeless(json.loads((directory / "result.json").read_text())),
        "state": timeless(state),
        "tensors": {
            f"{path.name}/{name}": tensor.tolist()
            for path in [*newest.glob("*.safetensors"), *directory.glob("*.safetensors")]
            for name, tensor in load_file(path).items()
        },
        "files": {path.name: path.read_bytes() for path in files},
    }


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        timed = ("seconds", "images_per_second", "file", "files", "run")
        return {key: timeless(item) for key, item in value.items() if key not in timed}
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return value
