"""Make the first steps of a run, or plan it, and print its memory in bytes: called by a parent.

Called as: python memory_run.py measured|planned KIND SIDE CHANNELS SETTINGS GENOME WIDTH DIRECTORY
with a KIND of autogan, adversarialnas, degas, retrain or reconstruct, and SETTINGS in JSON.
Measured is the peak of a whole short run above what the loaded libraries take.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch

from gan_nas.configs import resolve
from gan_nas.data import Images
from gan_nas.machine.allocator import keep_freed_memory
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import SmallCNN
from gan_nas.search import load_method
from gan_nas.search.degas import config as degas
from gan_nas.search.degas.reconstruct import reconstruct, reconstruction_plan
from gan_nas.search.drive import plan as plan_search
from gan_nas.search.drive import search
from gan_nas.search.method import Task
from gan_nas.spaces.frameworks import framework_of
from gan_nas.spaces.published import load_genome
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.loop import train
from gan_nas.training.plan import plan

CPU = torch.device("cpu")
NUM_IMAGES = 512
FEW: dict[str, dict[str, Any]] = {
    "autogan": {"iterations": 3, "grow_at": (1, 2), "discriminator_steps": 8, "num_candidates": 3}
    | {"controller_steps": 2, "num_scored": 300, "num_critic": 1, "top_k": 1},
    "adversarialnas": {"iterations": 4, "num_scored": 300, "num_critic": 1, "top_k": 1}
    | {"score_every": 4, "derive_every": 4},
    "degas": {"iterations": 4, "num_scored": 100, "top_k": 1, "derive_every": 4},
    "retrain": {"steps": 6, "num_scored": 300, "num_critic": 1, "score_every": 6},
}


def kibibytes(name: str) -> int:
    """Return a number of this process; unlike rusage's, its peak knows nothing of the parent's."""
    found = re.search(rf"^{name}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def noise(side: int, channels: int) -> Images:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(
        256, (NUM_IMAGES, channels, side, side), generator=random, dtype=torch.uint8
    )
    labels = torch.arange(NUM_IMAGES) % 10
    return Images("noise", pixels, pixels[:64], labels, labels[:64], 10)


def main() -> None:
    what, kind, side, channels, settings, genome_name, width, directory = sys.argv[1:]
    images = noise(int(side), int(channels))
    values = FEW["degas" if kind == "reconstruct" else kind] | json.loads(settings)
    resolution = {"resolution": int(side)}
    genome = load_genome(genome_name).resized(int(width), int(width))
    keep_freed_memory()
    network = SmallCNN(images.side, images.channels, 10).eval().requires_grad_(False)
    features = Backbone("classifier", "untrained", images.side, images.channels, True, network)
    run: dict[str, Any] = {"device": CPU}
    before = kibibytes("VmRSS")
    if kind in ("autogan", "adversarialnas", "degas"):
        method = load_method(kind)
        config = resolve(method.Config, method.presets["demo"] | values | resolution)
        task = Task(config=config, images=images, backbone=features)
        if what == "planned":
            print(plan_search(method, task).memory_bytes)
            return
        search(method, task, Path(directory))
    elif kind == "reconstruct":
        config = resolve(degas.Config, degas.PRESETS["demo"] | values | resolution)
        if what == "planned":
            print(reconstruction_plan(genome, config, images, device=CPU).memory_bytes)
            return
        reconstruct(genome, config, images, Path(directory), **run)
    else:
        framework = values.pop("framework", None) or framework_of(genome.discriminator)
        presets = presets_for(genome.generator.space, framework)
        trained = resolve(TrainingConfig, presets["demo"] | values)
        run |= resolution
        if what == "planned":
            print(plan(genome, images, trained, **run).memory_bytes)
            return
        train(genome, images, trained, Path(directory), backbone=features, **run)
    print(1024 * (kibibytes("VmHWM") - before))


if __name__ == "__main__":
    main()
