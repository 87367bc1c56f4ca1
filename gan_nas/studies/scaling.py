"""Genomes at several widths: does what is best stay best (AdversarialNAS, Figs. 5 and 6)?"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from pydantic import Field, JsonValue
from scipy.stats import spearmanr

from gan_nas.errors import InvalidInput
from gan_nas.networks.cost import generator_cost
from gan_nas.studies.leaderboard import alike
from gan_nas.studies.pictures import save_lines
from gan_nas.studies.study import Findings, Study, StudyTask, TableColumn, number_in
from gan_nas.studies.trainings import TrainingsConfig, sampled, train_all, training_of

FEWEST = 3  # genomes whose order at two widths is compared


class ScalingConfig(TrainingsConfig):
    """Settings of the comparison."""

    genomes: tuple[str, ...] = ("autogan-cifar10-top1", "adversarialnas-cifar10", "sngan-cifar10")
    """Published names, or files."""
    widths: tuple[int, ...] = Field(default=(8, 16, 32), min_length=2)
    """Of both networks."""


class ScalingStudy(Study[ScalingConfig]):
    """What `gan-nas study scaling` runs."""

    name = "scaling"
    question = "Does a wider network train better, and does the best genome stay the best?"
    Config = ScalingConfig
    presets: ClassVar = {"demo": {}}

    def check(self, task: StudyTask[ScalingConfig]) -> None:
        """Refuse names and settings that there are not."""
        training_of(task.config)
        if len(set(task.config.widths)) < len(task.config.widths):
            raise InvalidInput(f"widths: {task.config.widths} holds one twice")
        for width in task.config.widths:
            alike(task.config.genomes, width)

    def work(self, task: StudyTask[ScalingConfig]) -> Findings:
        """Train all genomes at all widths."""
        config = task.config
        each = {width: alike(config.genomes, width) for width in sorted(config.widths)}
        outcomes = train_all(task, [genome for of in each.values() for genome in of.values()])
        rows: list[dict[str, JsonValue]] = [
            {
                "genome": name,
                "width": width,
                "parameters": generator_cost(
                    genome.generator, config.resolution, task.real.channels
                ).parameters,
                **sampled([genome], outcomes).row(),
            }
            for width, genomes in each.items()
            for name, genome in genomes.items()
        ]
        return Findings(
            columns=[
                TableColumn(name="genome", words="genome"),
                TableColumn(name="width", words="width", format="d"),
                TableColumn(name="parameters", words="parameters", format=",d"),
                TableColumn(name="distance", words="distance"),
                TableColumn(name="second_distance", words="2nd judge"),
                TableColumn(name="failed", words="failed", format="d"),
            ],
            rows=rows,
            findings=[*_growth(rows), *_orders(rows)],
            limits=[
                f"{config.training_seeds} seeds: small differences go unseen.",
                "All widths see as many images: what is wider may need more.",
            ],
        )

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw distance against parameters, a line a genome."""
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in _known(findings.rows):
            point = number_in(row, "parameters"), number_in(row, "distance")
            lines.setdefault(str(row["genome"]), []).append(point)
        labels = "parameters of the generator", "distance (lower is better)"
        save_lines(lines, path, *labels, self.question)


STUDY = ScalingStudy()


def _known(rows: Sequence[dict[str, JsonValue]]) -> list[dict[str, JsonValue]]:
    return [row for row in rows if row["distance"] is not None]


def _growth(rows: Sequence[dict[str, JsonValue]]) -> list[str]:
    """Say what the widest gives over the narrowest."""
    said = []
    for name in dict.fromkeys(str(row["genome"]) for row in rows):
        own = [row for row in _known(rows) if row["genome"] == name]
        if len(own) > 1:
            first, last = own[0], own[-1]
            ratio = number_in(last, "distance") / number_in(first, "distance")
            said.append(
                f"{name}: {ratio:.2f} times the distance at width {last['width']} as at "
                f"{first['width']}."
            )
    return said


def _orders(rows: Sequence[dict[str, JsonValue]]) -> list[str]:
    """Say how the order at a width agrees with that at the next."""
    by_width: dict[int, dict[str, float]] = {}
    for row in _known(rows):
        width = int(number_in(row, "width"))
        by_width.setdefault(width, {})[str(row["genome"])] = number_in(row, "distance")
    said = []
    for (a, ours), (b, theirs) in pairwise(by_width.items()):
        common = sorted(ours.keys() & theirs.keys())
        if len(common) >= FEWEST:
            found = spearmanr([ours[name] for name in common], [theirs[name] for name in common])
            said.append(
                f"Rank correlation of width {a} with width {b}: {found.statistic:.2f} "
                f"({len(common)} genomes)."
            )
    return said
