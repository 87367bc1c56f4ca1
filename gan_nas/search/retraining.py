"""Train the genomes a search found, each alone, and name the winner.

AutoGAN (Gong et al. 2019), sec. 3.3.3: the shared weights only rank architectures; the final
choice is made between the top K after each was trained alone.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gan_nas.data import Images
from gan_nas.errors import Incompatible, RunFailed
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.classifier import keep_judge
from gan_nas.progress import Progress, silent
from gan_nas.runs.run import never
from gan_nas.scoring.protocols import Passport, describe, differing
from gan_nas.search.inheritance import Supernets, start_from
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome
from gan_nas.training.loop import TrainingConfig, train

# What a row tells of a trial.
KEPT = (
    "inherited_from",
    "first",
    "best",
    "last",
    "real",
    "compared",
    "passport",
    "steps",
    "seconds",
    "files",
)


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
) -> dict[str, Any]:
    """Train every genome in `directory`/retrained/ID with equal budgets; best distance first.

    ID is of the genome as it suits the framework; rows have the id it was found with. Training
    starts from scratch, or from the weights of `supernets`, then in retrained/ID-inherited.
    A trial that diverged or collapsed is listed with this outcome and stops nothing; one that is
    finished is not run again, and one that failed only if it is to run `again`. Raises Incompatible
    when trials were scored differently, as those of another day may be, unless `any_passport`.
    Returns {"retrained": rows, "winner": id or None, "scored_differently": field -> values}.
    """
    keep_judge(directory / "retrained", backbone, images)
    rows: list[dict[str, Any]] = []
    for number, genome in enumerate(genomes):
        trained, start = suited(genome, config.framework), None
        where = directory / "retrained" / trained.genome_id
        if supernets is not None:
            start = start_from(supernets, trained, resolution, images.channels)
            where = where.with_name(f"{trained.genome_id}-inherited")
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
            rows.append({"id": genome.genome_id, "outcome": error.outcome, "why": str(error)})
            continue
        row = {"id": genome.genome_id, "name": genome.title, "outcome": "completed"}
        rows.append(row | {key: result[key] for key in KEPT})
    passports = [Passport.model_validate(row["passport"]) for row in rows if "passport" in row]
    differences = differing(passports)
    if differences and not any_passport:
        raise Incompatible(
            f"the trials in {directory / 'retrained'} were scored differently "
            f"({describe(differences)}), so they cannot be ranked; move that folder away to train "
            "them anew, or allow any passport"
        )
    distance = backbone.distance_name
    rows.sort(key=lambda row: float(row["last"][distance]) if "last" in row else float("inf"))
    winner = rows[0]["id"] if rows and "last" in rows[0] else None
    return {
        "retrained": rows,
        "winner": winner,
        "ranked_by": f"last {distance}",
        "scored_differently": {name: list(values) for name, values in differences.items()},
    }


def _numbered(progress: Progress, number: int, num_genomes: int) -> Progress:
    def numbered(phase: str, done: int, total: int, values: Mapping[str, float]) -> None:
        progress(f"genome {number + 1}/{num_genomes}: {phase}", done, total, values)

    return numbered
