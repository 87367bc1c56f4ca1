"""Every command that writes files, as small as can be, for tests that end it before its time.

All of a command happens in one folder: what is `before` it, then the command. Whatever writes is
here, or says in NOT_HERE why not; `tests/runs/test_torture.py` holds that.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tables
import tiny
import torch
from checkpoints import plain_state
from commands import sets
from PIL import Image

from gan_nas.search import FOLDERS

RUN = "a run 1"
CACHE = "cache"  # a folder of that name takes the place of the cache


class Command(NamedTuple):
    """What is typed, and what has to be there."""

    words: tuple[str, ...]
    before: tuple[tuple[str, ...] | Callable[[Path], None], ...] = ()

    @property
    def works_in_a_run(self) -> bool:
        """Tell whether what it writes is a run, which may be moved and copied."""
        return "--run" in self.words or self.words[0] == "derive"


def search(method: str, settings: dict[str, Any], *options: str) -> Command:
    return Command(("search", "--method", method, *options, *sets(settings), "--run", RUN))


def made_up_table(folder: Path) -> None:
    tables.made_up().save(folder / "made up.json")


def authors_checkpoint(folder: Path, name: str = "theirs.pth") -> None:
    torch.manual_seed(0)
    plain_state.cache_clear()
    torch.save(plain_state("derived top1")[1], folder / name)


def images_and_no_cache(folder: Path) -> None:
    """Draw images that no classifier has been trained on yet."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    (folder / CACHE).mkdir()
    for number in range(60):
        pixels = random.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels // (1 + number % 3)).save(folder / "images" / f"{number:02}.png")


FEW = ("batch_size=8", "generator_batch_size=8", "num_critic=1", "num_scored=50", "save_every=2")
TRAINED = {
    "seeds": 2,
    "training_seeds": 1,
    "width": 4,
    "training_set": (*FEW, "steps=2", "score_every=2"),
}
METHODS = TRAINED | {
    "searches": ("draw:degas", "random:degas", "degas"),
    "seconds": "none",  # else it measures lengths, by a clock
    "search_set": (
        *("trials=2", "trial_images=16", "num_images=40", "num_scored=20", "batch_size=8"),
        *("iterations=4", "derive_every=2"),
    ),
}
# No setting of searches can be a tuple there, as grow_at is: it is the preset's, 3 and 6.
RESET = TRAINED | {
    "searches": ("autogan@reset_threshold=0", "autogan"),
    "search_set": (
        *("iterations=8", "discriminator_steps=2", "controller_steps=1", "num_candidates=2"),
        *("batch_size=8", "generator_batch_size=8", "num_scored=50", "top_k=1", "save_every=4"),
    ),
}
TRIALS = tiny.SETTINGS["random"] | {"trials": 2}
PAIRS = tiny.SETTINGS["evolution"] | {k: v for k, v in tiny.PAIRS.items() if k != "generator"}
TRAINING = sets(tiny.TRAINING)
BOTH = ("--retrain", "--seeds", "2", "--top-k", "2", *TRAINING)
RETRAIN = ("retrain", "autogan-cifar10-top1", "--width", "4", *TRAINING, "--run", RUN)
RANDOM = search("random", TRIALS).words
GENERATOR = f"{RUN}/generator.safetensors"
STUDY = ("study", "strategies", "--set", "strategies=evolution", "--set", "table=made up.json")
TABLE = ("table", "make", "tied-digits", *[f"--set={one}" for one in tables.TINY], "--run")

COMMANDS: dict[str, Command] = {
    "retrain": Command(RETRAIN),
    **{name: search(name, tiny.SETTINGS[name]) for name in FOLDERS},
    "random": search("random", TRIALS),
    **{name: search(name, tiny.SETTINGS[name]) for name in ("nsga2", "reinforce", "optuna")},
    "halving": search("halving", tiny.SETTINGS["halving"] | {"trials": 4}),
    "evolution": search("evolution", tiny.SETTINGS["evolution"] | tiny.ALONE | {"trials": 4}),
    "shared": search("random", TRIALS, "--evaluator", "shared", "--set", "supernet_images=32"),
    "eagan": search("evolution", tiny.SETTINGS["evolution"], "--preset", "eagan-demo"),
    "pairs": search(
        *("evolution", PAIRS, "--genome", "eagan-cifar10"),
        *("--preset", "eagan-discriminators-demo"),
    ),
    "table": search(
        "evolution",
        {"population": 2, "trials": 4, "resolution": 16, "trial_images": 36_000},
        *("--space", "autogan-tied", "--evaluator", "table:tied-digits"),
    ),
    "jobs": search("random", TRIALS, "--jobs", "2"),
    "derive": Command(("derive", RUN, "--top-k", "2"), ((*RANDOM, "--set", "top_k=1"),)),
    "derive and retrain": Command(("derive", RUN, *BOTH), (RANDOM,)),
    "reconstruct": Command(
        ("reconstruct", "ctgan-cifar10", "--width", "4", *sets(tiny.DEGAS), "--run", RUN)
    ),
    "table make": Command((*TABLE, RUN)),
    "table pack": Command(("table", "pack", RUN), ((*TABLE, RUN),)),
    "table check": Command(
        ("table", "check", "tiny.json", "-n", "1", "--run", RUN),
        ((*TABLE, "made"), ("table", "pack", "made", "-o", "tiny.json")),
    ),
    "study": Command(
        (*STUDY, *sets({"runs": 10, "budget": 2}), "--jobs", "1", "--run", RUN), (made_up_table,)
    ),
    "study methods": Command(("study", "methods", *sets(METHODS), "--run", RUN)),
    "study reset": Command(("study", "reset", *sets(RESET), "--run", RUN)),
    "stats": Command(("stats", "digits", "-o", "some stats.npz")),
    "stats without a cache": Command(
        ("stats", "images", "-o", "some stats.safetensors"), (images_and_no_cache,)
    ),
    "report": Command(("report", RUN, "-o", "a report.html"), (RETRAIN,)),
    "score": Command(("score", GENERATOR, "-n", "20", "-o", "s.json"), (RETRAIN,)),
    "sample": Command(("sample", GENERATOR, "-o", "some.png"), (RETRAIN,)),
    "sample a folder": Command(("sample", GENERATOR, "-n", "9", "-o", "some"), (RETRAIN,)),
    "sample an array": Command(("sample", GENERATOR, "-n", "9", "-o", "some.npz"), (RETRAIN,)),
    "export": Command(("export", RUN, "--to", "hub", "-o", "for others"), (RETRAIN,)),
    "import": Command(
        ("import", "theirs.pth", "--genome", "autogan-cifar10-top1", "-o", "ours.safetensors"),
        (authors_checkpoint,),
    ),
    "build": Command(("build", "sngan-cifar10", "--width", "4", "-o", "fresh.safetensors")),
    "draw": Command(("draw", "adversarialnas-cifar10", "-o", "both.svg")),
    "genomes": Command(("genomes", "--sample", "degas", "--count", "3", "-o", "drawn")),
}
# Commands that are not killed, and why; of those that write, options.
NOT_HERE = {
    "runs": "prints",
    "compare": "prints",
    "schema": "prints",
    "doctor": "prints",
    "bench": "prints",
    "bench score": "prints",
    "bench load": "prints",
    "table": "prints",
    "table show": "prints",
    "table export": "needs pandas and fastparquet to write, which no extra brings",
}
