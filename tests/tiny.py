"""The smallest runs that pass through every phase, and how to tell two of them apart."""

import atexit
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gan_nas.data import Images, load_images
from gan_nas.metrics.backbone import Backbone
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.results import Found, ReconstructionResult, SearchResult, TrainingResult
from gan_nas.runs.run import Run, never, read_log
from gan_nas.scoring.scorer import Scorer
from gan_nas.search import FOLDERS, drive, load_method
from gan_nas.search.best import Limit
from gan_nas.search.degas.reconstruct import reconstruct
from gan_nas.search.method import Method, Task
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.spaces.published import published_genome
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.loop import train

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
MMD = {
    "framework": "mmd",
    "passes": "apart",
    "score_every": 1,
    "mmd_patience": 1,
    "augment": "diffaugment",
}
R3GAN = {
    "framework": "r3gan",
    "generator_batch_size": 6,
    "schedule_images": 64,
    "final_lr_factor": 0.5,
    "final_beta2": 0.99,
    "final_gamma": 0.01,
    "ema_half_life": 30,
    "ema_warm_start": False,
    "augment": "flip",
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


HILL = {"resolution": 16, "derived_width": 4, "derived_discriminator_width": 4, "top_k": 2}

FEW = ("batch_size=8", "generator_batch_size=8", "num_critic=1", "num_scored=50", "save_every=2")
TRIALS = HILL | {"width": 4, "discriminator_width": 4, "trial_images": 32, "training_set": FEW}
# A warm supernet, then two whole generations of parents and children, and the next one's first.
SHARED = {
    "evaluator": "shared",
    "supernet_images": 40,
    "generation_images": 24,
    "selection": "elitist",
    "variation": "single",
}
# A warm-up against discriminators drawn anew, then two generations of four pairs, all trained.
PAIRS = SHARED | {
    "space": "adversarialnas",
    "generator": published_genome("eagan-cifar10").generator,
    "evaluator": "pairs",
    "children": "trained",
    "generation_images": 64,
    "training_set": (*FEW[:2], "num_critic=2", *FEW[3:]),
    "trials": 8,
}
ALONE = {"evaluator": "train", "generation_images": 0, "selection": "aged"}

SETTINGS: dict[str, dict[str, Any]] = {
    "autogan": SEARCH,
    "adversarialnas": ADVERSARIAL,
    "degas": DEGAS,
    "random": TRIALS | {"trials": 5},
    "evolution": TRIALS | SHARED | {"trials": 9, "population": 2, "crossover": 0.5},
    "nsga2": TRIALS | {"trials": 7, "population": 3},
    "halving": TRIALS | {"trials": 8, "eta": 2, "rungs": 2},
    "reinforce": TRIALS | {"trials": 5, "controller_batch_size": 2},
    "optuna": TRIALS | {"trials": 5, "startup": 2},
    "hill-climbing": HILL | {"iterations": 7, "save_every": 2},  # of the tests' own package
}

# The published side of every setting, at these sizes; each of the search's iterations is reset.
OF_SIZE = ("iterations", "grow_at", "batch_size", "generator_batch_size", "steps", "score_every")
PUBLISHED = {
    name: {key: value for key, value in preset.items() if key not in (*OF_SIZE, *others)}
    for name, preset, others in (
        ("autogan", load_method("autogan").presets["published"], ()),
        ("adversarialnas", load_method("adversarialnas").presets["published"], ("derive_every",)),
        ("training", presets_for("autogan")["published"], ("num_scored",)),
    )
}


class Searched(NamedTuple):
    """A finished search."""

    directory: Path
    result: SearchResult

    @property
    def moved(self) -> SearchResult:
        """The result as it is where the directory is now, which may be a copy."""
        return self.result.portable(Path(self.result.run)).placed(self.directory)

    @property
    def log(self) -> list[dict[str, Any]]:
        return read_log(self.directory)

    @property
    def genomes(self) -> list[Genome]:
        return [read_genome(Path(row.file)) for row in self.result.genomes]


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
def cache_dir() -> Path:
    """Return a folder with what scores rest on of real images, which all runs of a process share.

    A run that is stopped again and again would else never come further than embedding them.
    """
    folder = tempfile.TemporaryDirectory(prefix="gan-nas-tests-")
    atexit.register(folder.cleanup)
    for side in (4, 8, 16):
        Scorer(backbone(), digits().at(side), side, cache=Path(folder.name))
    return Path(folder.name)


@cache
def digits() -> Images:
    return load_images("digits")


def few_images() -> Images:
    """Keep a few digits, under another name: a classifier is trained on them in a moment."""
    images = digits()
    assert images.train_labels is not None
    return replace(
        images, name="few", train=images.train[:60], train_labels=images.train_labels[:60]
    )


def run_training(
    directory: Path, stop: Callable[[], bool] = never, again: bool = False, **changes: Any
) -> TrainingResult:
    config = TrainingConfig.model_validate(TRAINING | changes)
    return train(
        GENOME,
        digits(),
        config,
        directory,
        resolution=16,
        device=CPU,
        backbone=backbone(),
        cache=cache_dir(),
        stop=stop,
        again=again,
    )


def search_task(method: str, stop: Callable[[], bool] = never, **changes: Any) -> Task[Any]:
    config = load_method(method).Config.model_validate(SETTINGS[method] | changes)
    task = Task(config=config, images=digits(), device=CPU, backbone=backbone(), stop=stop)
    return replace(task, cache=cache_dir())


def run_search(
    method: str,
    directory: Path,
    stop: Callable[[], bool] = never,
    *,
    plain: bool = True,
    **changes: Any,
) -> SearchResult:
    """Search without drawing at the end, which takes longer than some searches here."""
    return drive.search(method, search_task(method, stop, **changes), directory, plain=plain)


def derive(directory: Path, count: int, limit: Limit | None = None) -> list[Found]:
    result = drive.derive(directory, count=count, limit=limit, images=digits(), backbone=backbone())
    return result.genomes


def ranking(method: Method[Any, Any], rows: list[Found]) -> list[tuple[float, float]]:
    """Return what rows are ranked by, the higher the better."""
    sign = -1 if method.columns[0].best == "lowest" else 1
    values = [row.values for row in rows]  # of trials, the longest ones come first
    return [(row.get("images", 0), sign * row[method.columns[0].name]) for row in values]


def run_reconstruction(
    directory: Path, stop: Callable[[], bool] = never, genome: Genome = GENOME, **changes: Any
) -> ReconstructionResult:
    config = load_method("degas").Config.model_validate(DEGAS | changes)
    return reconstruct(genome, config, digits(), directory, device=CPU, stop=stop)


# All that can be interrupted, by kind.
RUNS: dict[str, Callable[..., Any]] = {
    "training": run_training,
    "ctgan": lambda *run, **changes: run_training(*run, **(CTGAN | changes)),
    "mmd": lambda *run, **changes: run_training(*run, **(MMD | changes)),
    "r3gan": lambda *run, **changes: run_training(*run, **(R3GAN | changes)),
    "reconstruction": run_reconstruction,
    **{method: partial(run_search, method, plain=False) for method in FOLDERS},
    "shared": partial(run_search, "evolution"),
    "pairs": partial(run_search, "evolution", **PAIRS),
}
# The same as published, quirks included.
PUBLISHED_RUNS: dict[str, Callable[..., Any]] = {
    "training": partial(run_training, **PUBLISHED["training"]),
    "autogan": partial(run_search, "autogan", **PUBLISHED["autogan"] | {"reset_threshold": 1e9}),
    "adversarialnas": partial(run_search, "adversarialnas", **PUBLISHED["adversarialnas"]),
}


def ledger_after(run: Run, seconds: float) -> Ledger:
    """Return the ledger of a run that has taken so long already."""
    ledger = Ledger(run)
    ledger.load({"seconds": seconds, "losses": {}}, {})
    return ledger


def state_of(directory: Path) -> dict[str, Any]:
    """Return what the newest checkpoint keeps beside tensors."""
    newest = sorted((directory / "checkpoint").iterdir())[-1]
    state: dict[str, Any] = json.loads((newest / "state.json").read_text())["state"]
    return state


def traces(directory: Path) -> dict[str, Any]:
    """Return all that a run leaves behind, times and its own path aside."""
    newest, state = sorted((directory / "checkpoint").iterdir())[-1], state_of(directory)
    state["ledger"].pop("scores")  # the last ones may come after the last checkpoint
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
        times = ("seconds", "time", "processor_seconds", "images_per_second")
        timed = (*times, "file", "files", "run")
        return {key: timeless(item) for key, item in value.items() if key not in timed}
    if isinstance(value, list):
        return [timeless(item) for item in value]
    return value


class Looks:
    """Counts how often a run asks whether to stop, and says yes from a place on."""

    def __init__(self, place: float = float("inf")) -> None:
        self.place, self.count = place, 0

    def __call__(self) -> bool:
        self.count += 1
        return self.count >= self.place
