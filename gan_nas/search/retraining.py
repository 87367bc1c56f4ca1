"""Train the genomes a search found, each alone, and name the winner.

AutoGAN (Gong et al. 2019), sec. 3.3.3: the shared weights only rank architectures; the final
choice is made between the top K after each was trained alone.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path

import torch

from gan_nas.data import Images
from gan_nas.errors import Incompatible, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.progress import Progress, silent
from gan_nas.runs.results import Retraining, Trial
from gan_nas.runs.run import never
from gan_nas.scoring.protocols import differing, say_differences
from gan_nas.search.inheritance import Supernets, start_from
from gan_nas.spaces.frameworks import framework_of, suited
from gan_nas.spaces.genome import Genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.loop import train


def retrain_all(
    directory: Path,
    genomes: Sequence[Genome],
    images: Images,
    config: TrainingConfig,
    *,
    resolution: int,
    device: torch.device,
    backbone: Backbone,
    cache: Path | None = None,
    stop: Callable[[], bool] = never,
    progress: Progress = silent,
    supernets: Supernets | None = None,
    any_passport: bool = False,
    again: bool = False,
) -> Retraining:
    """Train every genome in `directory`/retrained/ID with equal budgets; best distance first.

    ID is of the genome as it suits the framework, whose name follows where the discriminator does
    not tell it; trials have the id it was found with. Training starts from scratch, or from the
    weights of `supernets`, then in retrained/ID-inherited.
    A trial that diverged or collapsed is listed with this outcome and stops nothing; one that is
    finished is not run again, and one that failed only if it is to run `again`. Raises Incompatible
    when trials were scored differently, as those of another day may be, unless `any_passport`.
    """
    keep_judge(directory / "retrained", backbone, images)
    trials: list[Trial] = []
    for number, genome in enumerate(genomes):
        trained, start = suited(genome, config.framework), None
        where = directory / "retrained" / trained.genome_id
        if config.framework != framework_of(trained.discriminator):
            where = where.with_name(f"{trained.genome_id}-{config.framework}")
        if supernets is not None:
            start = start_from(supernets, trained, resolution, images.channels)
            where = where.with_name(f"{where.name}-inherited")
        try:
            result = train(
                genome,
                images,
                config,
                where,
                resolution=resolution,
                device=device,
                backbone=backbone,
                cache=cache,
                stop=stop,
                progress=_numbered(progress, number, len(genomes)),
                start=start,
                again=again,
            )
        except RunFailed as error:
            trials.append(Trial(id=genome.genome_id, outcome=error.outcome, why=str(error)))
            continue
        trials.append(
            Trial(id=genome.genome_id, name=genome.title, outcome="completed", result=result)
        )
    differences = differing([t.result.passport for t in trials if t.result])
    if differences and not any_passport:
        raise Incompatible(
            f"the trials in {directory / 'retrained'} were scored differently "
            f"({say_differences(differences)}), so they cannot be ranked; move that folder away to "
            "train them anew, or allow any passport"
        )
    distance = backbone.distance_name

    def rank(trial: Trial) -> float:
        return trial.result.last[distance] if trial.result else inf

    trials.sort(key=rank)
    return Retraining(
        trials=trials,
        winner=trials[0].id if trials and trials[0].result else None,
        ranked_by=f"last {distance}",
        scored_differently={name: list(values) for name, values in differences.items()},
    )


def _numbered(progress: Progress, number: int, num_genomes: int) -> Progress:
    def numbered(phase: str, done: int, total: int, values: Mapping[str, float]) -> None:
        progress(f"genome {number + 1}/{num_genomes}: {phase}", done, total, values)

    return numbered
