"""Proxies that cost a training, though not each genome's own as a GAN.

What AutoGAN (Gong et al. 2019, Fig. 7) and DEGAS (Doveh & Giryes 2019, sec. 3.2) rest on: scores on
weights that all genomes share, and how well a genome learns to reconstruct images. Both are runs in
the study's directory, which the same command goes on with.
"""

from typing import Any, TypeVar

from gan_nas.configs import find_preset
from gan_nas.errors import Incompatible
from gan_nas.search import drive, load_method
from gan_nas.search.degas.reconstruct import reconstruct
from gan_nas.search.method import Task
from gan_nas.studies.study import StudyConfig, StudyTask
from gan_nas.trials.table import Table

C = TypeVar("C", bound=StudyConfig)


def refuse_other_images(task: StudyTask[C], table: Table) -> None:
    """Raise Incompatible for images on which the table was not made."""
    if task.real.fingerprint != table.data_fingerprint:
        raise Incompatible(
            f"{task.real.name} is not what the table {table.name} was trained on; take --data "
            f"{table.recipe.data}"
        )


def on_shared_weights(task: StudyTask[C], table: Table, images: int) -> dict[str, dict[int, float]]:
    """Return distance and score of all genomes on one supernet, by what they are and by number.

    Its discriminator has seen so many real images, each step of a path drawn uniformly (SPOS). A
    score is negative: lower is better.
    """
    recipe, method = table.recipe, load_method("random")
    config = method.Config.model_validate(
        {
            "seed": task.config.seed,
            "space": recipe.space,
            "resolution": recipe.resolution,
            "trials": len(table.genomes),
            "top_k": len(table.genomes),
            "evaluator": "shared",
            "supernet_images": images,
            "training_set": recipe.training,
            "width": recipe.width,
            "discriminator_width": recipe.discriminator_width,
            "derived_width": recipe.width,
            "derived_discriminator_width": recipe.discriminator_width,
        }
    )
    job: Task[Any] = Task(
        config=config,
        images=task.real,
        device=task.device,
        backbone=task.judge,
        cache=task.cache,
        stop=task.stop,
    )
    result = drive.search(method, job, task.directory / "shared", progress=task.progress)
    numbers = {entry.id: number for number, entry in enumerate(table.genomes)}
    found: dict[str, dict[int, float]] = {"distance": {}, "score": {}}
    for one in result.genomes:
        found["distance"][numbers[one.id]] = one.values["distance"]
        if (score := (one.scores or {}).get(task.judge.score_name or "")) is not None:
            found["score"][numbers[one.id]] = -score
    return found


def reconstruction_losses(
    task: StudyTask[C], table: Table, iterations: int, numbers: list[int]
) -> dict[int, float]:
    """Return the losses of genomes, by number, each trained alone to reconstruct the images."""
    recipe, degas = table.recipe, load_method("degas")
    config = degas.Config.model_validate(
        find_preset(degas.presets, "demo")
        | {
            "seed": task.config.seed,
            "resolution": recipe.resolution,
            "iterations": iterations,
            "derive_every": iterations,
        }
    )
    genomes, losses = recipe.genomes(), {}
    for place, number in enumerate(numbers):
        done = reconstruct(
            genomes[number],
            config,
            task.real,
            task.directory / "reconstructions" / f"{number:03d}",
            device=task.device,
            stop=task.stop,
        )
        losses[number] = done.loss
        task.progress("genomes reconstructing", place + 1, len(numbers), {"loss": done.loss})
    return losses
