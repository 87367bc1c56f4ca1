"""Published genomes under one recipe: how much of the published order is how they were trained?

All get the same discriminator, width, losses, learning rates and number of images, none of which
the papers share (E2GAN trains three times as long as AutoGAN).
"""

from collections.abc import Mapping, Sequence
from math import exp, log
from pathlib import Path
from statistics import stdev
from typing import ClassVar

from pydantic import Field, JsonValue
from scipy.stats import kendalltau, spearmanr

from gan_nas.errors import InvalidInput
from gan_nas.networks.cost import generator_cost
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome, published_names
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.studies.noise import parts_of
from gan_nas.studies.pictures import save_dots
from gan_nas.studies.study import (
    Findings,
    Study,
    StudyTask,
    TableColumn,
    number_in,
    numbers_in,
)
from gan_nas.studies.trainings import TrainingsConfig, sampled, train_all, training_of
from gan_nas.trials.comparison import Standing, is_clear, ranked

FEWEST = 4  # genomes of which an order is compared


class LeaderboardConfig(TrainingsConfig):
    """Settings of the comparison."""

    genomes: tuple[str, ...] = ()
    """Published names, or files; none takes all that are published."""
    width: int = Field(default=16, ge=1, le=2048)
    """Of both networks of the genomes that are trained."""
    reported_on: str = "cifar10"
    """Data set whose reported FIDs are laid beside the distances."""


class LeaderboardStudy(Study[LeaderboardConfig]):
    """What `gan-nas study leaderboard` runs."""

    name = "leaderboard"
    question = "Trained alike, do the published genomes come in the published order?"
    Config = LeaderboardConfig
    presets: ClassVar = {"demo": {}}

    def check(self, task: StudyTask[LeaderboardConfig]) -> None:
        """Refuse names and settings that there are not, and a single genome."""
        training_of(task.config)
        if len(alike(task.config.genomes, task.config.width)) < 2:
            raise InvalidInput("genomes: a leaderboard needs two different ones or more")

    def work(self, task: StudyTask[LeaderboardConfig]) -> Findings:
        """Train all, rank them."""
        config = task.config
        genomes = alike(config.genomes, config.width)
        outcomes = train_all(task, list(genomes.values()))
        standings = ranked([one for each in outcomes.values() for one in each])
        places = {row.id: row for row in standings}
        rows: list[dict[str, JsonValue]] = []
        for name, genome in genomes.items():
            sample = sampled([genome], outcomes)
            source = load_genome(name).source
            reported = source.reported.get(config.reported_on, {}) if source else {}
            cost = generator_cost(genome.generator, config.resolution, task.real.channels)
            rows.append(
                {
                    "genome": name,
                    **sample.row(),
                    "spread": exp(stdev(sample.all)) if len(sample.all) > 1 else None,
                    "p_value": places[genome.genome_id].p_value,
                    "parameters": cost.parameters,
                    "reported": reported.get("fid"),
                    "id": genome.genome_id,
                }
            )
        rows.sort(key=_distance)
        return Findings(
            columns=[
                TableColumn(name="genome", words="genome"),
                TableColumn(name="distance", words="distance"),
                TableColumn(name="spread", words="spread", format=".2f"),
                TableColumn(name="second_distance", words="2nd judge"),
                TableColumn(name="failed", words="failed", format="d"),
                TableColumn(name="p_value", words="p, to the first", format=".2g"),
                TableColumn(name="parameters", words="parameters", format=",d"),
                TableColumn(name="reported", words="FID reported"),
            ],
            rows=rows,
            findings=[_winner(standings, genomes), *_order(rows, config.reported_on)],
            limits=[
                f"{config.training_seeds} seeds: small differences go unseen.",
                f"Width {config.width} and {training_of(config).steps:,} steps: the papers train "
                "wider networks for longer, and what is best may change with either.",
                "Reported numbers come of different recipes, lengths and protocols.",
            ],
        )

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw each training as a dot."""
        groups = {str(row["genome"]): numbers_in(row, "distances") for row in findings.rows}
        save_dots(groups, path, "distance of a training (lower is better)", self.question)


STUDY = LeaderboardStudy()


def alike(names: Sequence[str], width: int) -> dict[str, Genome]:
    """Return genomes by name, all of one width and with one discriminator.

    Without names those that are published. Of what is the same generator then the first counts.
    """
    found: dict[str, Genome] = {}
    for name in names or published_names():
        generator = load_genome(name).resized(width, width).generator
        discriminator = SNResNetDiscriminator(space="sn_resnet", width=width)
        genome = Genome(generator=generator, discriminator=discriminator)
        if all(genome.genome_id != other.genome_id for other in found.values()):
            found[name] = genome
    return found


def _distance(row: Mapping[str, JsonValue]) -> float:
    value = row["distance"]
    return value if isinstance(value, int | float) else float("inf")


def _winner(standings: Sequence[Standing], genomes: Mapping[str, Genome]) -> str:
    names = {genome.genome_id: name for name, genome in genomes.items()}
    first = names[standings[0].id]
    if is_clear(standings):
        return f"{first} is best, by more than seeds explain."
    return "No genome is best by more than seeds explain."


def _order(rows: Sequence[Mapping[str, JsonValue]], data: str) -> list[str]:
    """Say how the order agrees with the reported one."""
    known = [row for row in rows if row["reported"] is not None and row["distance"] is not None]
    both = [(log(_distance(row)), number_in(row, "reported")) for row in known]
    if len(both) < FEWEST:
        return []
    ours, theirs = zip(*both, strict=True)
    spearman, kendall = spearmanr(ours, theirs), kendalltau(ours, theirs)
    said = [
        f"Rank correlation with the FIDs reported on {data}, of {len(both)} genomes: Spearman "
        f"{spearman.statistic:.2f} (p = {spearman.pvalue:.2g}), Kendall {kendall.statistic:.2f}.",
    ]
    logs = [[log(distance) for distance in numbers_in(row, "distances")] for row in known]
    several = [values for values in logs if len(values) > 1]
    if len(several) > 1:
        between, within = map(exp, parts_of(several))
        said.append(f"Genomes differ by a factor of {between:.2f}, seeds of one by {within:.2f}.")
    return said
