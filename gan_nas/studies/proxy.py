"""What predicts the end of a training, from a table of trials: early scores, sizes, other judges.

A predictor's rank correlation with the distance at the end, over all genomes: Spearman's and
Kendall's, with intervals of a bootstrap over genomes. What is predicted is the mean of those seeds
that the predictor did not see, as a search that trains on would meet other noise. AutoGAN (Gong et
al. 2019), Fig. 7, reports 0.779 for scores on shared weights; these, and losses of reconstruction
as in DEGAS, are trained for where they are asked for (proxy_trainings.py).
"""

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from random import Random
from statistics import fmean
from typing import ClassVar

import numpy as np
from pydantic import Field, JsonValue
from scipy.stats import kendalltau, spearmanr

from gan_nas.errors import Interrupted, InvalidInput
from gan_nas.networks.cost import generator_cost
from gan_nas.spaces.frameworks import Framework
from gan_nas.spaces.genome import Genome
from gan_nas.studies.pictures import save_intervals
from gan_nas.studies.proxy_trainings import (
    on_shared_weights,
    reconstruction_losses,
    refuse_other_images,
)
from gan_nas.studies.study import Findings, Study, StudyConfig, StudyTask, TableColumn, number_in
from gan_nas.studies.zero_cost import zero_cost_proxies
from gan_nas.trials.comparison import TINY
from gan_nas.trials.making import training_of
from gan_nas.trials.table import Table, read_table

FEWEST = 10  # genomes that a correlation is made of
NUM_RESAMPLES = 1_000

Predictor = Mapping[int, float]  # by genome, lower for what is predicted to be better


class ProxyConfig(StudyConfig):
    """Settings of the analysis."""

    table: str = "tied-digits"
    """Table of trials: a name or a file."""
    seen: int = Field(default=0, ge=0)
    """Place of the seed that predictors see; the others are predicted, or it where there are
    none."""
    zero_cost: bool = True
    """Whether all genomes are built, untrained, for what their gradients tell: half a second
    each."""
    shared_images: int | None = Field(default=None, ge=1)
    """Real images that a supernet of the space is trained on, whose paths are then scored; none
    trains none."""
    reconstruction_steps: int | None = Field(default=None, ge=1)
    """Iterations in which each genome alone learns to reconstruct images; none: not at all."""
    reconstructed: int | None = Field(default=None, ge=FEWEST)
    """Genomes that reconstruct, the first ones of an order that the seed draws; none: all."""


class ProxyStudy(Study[ProxyConfig]):
    """What `gan-nas study proxy` runs."""

    name = "proxy"
    question = "What tells early, or without training, which genomes end well?"
    Config = ProxyConfig
    presets: ClassVar = {"demo": {}}
    needs_images = False

    def takes_images(self, config: ProxyConfig) -> bool:
        """Tell whether anything is trained."""
        return (config.shared_images, config.reconstruction_steps) != (None, None)

    def check(self, task: StudyTask[ProxyConfig]) -> None:
        """Refuse a table of too few genomes, and images on which it was not made."""
        table = read_table(task.config.table)
        if self.takes_images(task.config):
            refuse_other_images(task, table)
        if len(_ends(table, task.config.seen)) < FEWEST:
            raise InvalidInput(
                f"the table {table.name} holds fewer than {FEWEST} genomes that ended well: take "
                "another one, or make more of it"
            )

    def identity(self, task: StudyTask[ProxyConfig]) -> dict[str, JsonValue]:
        """Return what tells the table from others, and the images if there are any."""
        return read_table(task.config.table).identity | super().identity(task)

    def work(self, task: StudyTask[ProxyConfig]) -> Findings:
        """Correlate each predictor with the end."""
        config, table = task.config, read_table(task.config.table)
        ends = _ends(table, config.seen)
        random = np.random.default_rng(config.seed)
        found = predictors(table, config.seen)
        if config.zero_cost:
            found |= _of_untrained(task, table)
        if config.shared_images is not None:
            shared = on_shared_weights(task, table, config.shared_images)
            found |= {f"{what} on shared weights": values for what, values in shared.items()}
        if config.reconstruction_steps is not None:
            numbers = list(range(len(table.genomes)))
            Random(config.seed).shuffle(numbers)  # noqa: S311 - architectures are no secrets
            found["reconstruction loss"] = reconstruction_losses(
                task, table, config.reconstruction_steps, numbers[: config.reconstructed]
            )
        rows = [
            row
            for name, predictor in found.items()
            if (row := _correlated(name, predictor, ends, random)) is not None
        ]
        free = [row for row in rows if str(row["predictor"]) in FREE]
        findings = [
            f"{row['predictor']}: rank correlation {number_in(row, 'spearman'):.2f} (95 %: "
            f"{number_in(row, 'low'):.2f} to {number_in(row, 'high'):.2f}) with the end."
            for row in sorted(rows, key=lambda row: -number_in(row, "spearman"))[:3]
        ]
        if free:
            best = max(free, key=lambda row: abs(number_in(row, "spearman")))
            findings.append(
                f"Of what costs nothing, {best['predictor']} tells most: "
                f"{number_in(best, 'spearman'):.2f}."
            )
        limits = ["One space, one data set, one way and length of training."]
        if alone := sum(len(table.rows_of(number)) == 1 for number in range(len(table.genomes))):
            limits.append(
                f"One seed of {alone} genomes is recorded: their early scores share their noise "
                "with the end."
            )
        return Findings(
            columns=[
                TableColumn(name="predictor", words="predictor"),
                TableColumn(name="genomes", words="genomes", format="d"),
                TableColumn(name="spearman", words="Spearman", format=".3f"),
                TableColumn(name="low", words="95 %: from", format=".3f"),
                TableColumn(name="high", words="to", format=".3f"),
                TableColumn(name="kendall", words="Kendall", format=".3f"),
            ],
            rows=rows,
            findings=findings,
            limits=limits,
        )

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw each correlation with its interval."""
        bars = {
            str(row["predictor"]): [number_in(row, name) for name in ("low", "spearman", "high")]
            for row in findings.rows
        }
        save_intervals(bars, path, "Spearman's rank correlation with the end", self.question)


STUDY = ProxyStudy()
SMALL_GRADIENT, HIGH_RANK = "small gradient, untrained", "high effective rank, untrained"
FREE = (
    *("few parameters", "few multiply-adds", "distance after 0 images"),
    *(SMALL_GRADIENT, HIGH_RANK),
)


def predictors(table: Table, seen: int) -> dict[str, Predictor]:
    """Return what is known of genomes before, or beside, the end of a training."""
    found: dict[str, Predictor] = {
        "few parameters": {i: entry.parameters for i, entry in enumerate(table.genomes)},
        "few multiply-adds": {i: entry.macs for i, entry in enumerate(table.genomes)},
    }
    for images in table.moments:
        found[f"distance after {images:,} images"] = _values(table, seen, images, table.measures[0])
    scores = [name for name in table.measures if "score" in name and "[" not in name]
    for images in table.moments[1:] if scores else ():
        values = _values(table, seen, images, scores[0])
        found[f"score after {images:,} images"] = {i: -value for i, value in values.items()}
    for other in table.distances[1:]:
        judge = other.removeprefix("frechet_distance[").removesuffix("]")
        found[f"distance of {judge} at the end"] = _values(table, seen, table.moments[-1], other)
    if (second := table.recipe.second_framework) is not None:
        found[f"distance trained by {second}"] = _values(
            table, seen, table.moments[-1], table.measures[0], second
        )
    return found


def _of_untrained(task: StudyTask[ProxyConfig], table: Table) -> dict[str, Predictor]:
    """Return the zero-cost proxies of all genomes, of the seed that predictors see."""
    recipe, genomes = table.recipe, table.recipe.genomes()
    channels = _channels(table, genomes)
    config = training_of(recipe, recipe.framework).model_copy(update={"seed": task.config.seen})
    found: dict[str, dict[int, float]] = {SMALL_GRADIENT: {}, HIGH_RANK: {}}
    for number, genome in enumerate(genomes):
        told = zero_cost_proxies(genome, config, recipe.resolution, channels)
        found[SMALL_GRADIENT][number] = told["gradient norm"]
        found[HIGH_RANK][number] = -told["effective rank"]
        task.progress("genomes", number + 1, len(genomes), {})
        if task.stop():
            raise Interrupted("stopped on request; the same command begins anew")
    return dict(found)


def _channels(table: Table, genomes: Sequence[Genome]) -> int:
    """Return the channels of a table's images, of which it tells what generators they make."""
    sizes = {
        channels: generator_cost(genomes[0].generator, table.recipe.resolution, channels).parameters
        for channels in (1, 3)
    }
    return next((c for c, size in sizes.items() if size == table.genomes[0].parameters), 3)


def _values(
    table: Table, seen: int, images: int, measure: str, framework: Framework | None = None
) -> dict[int, float]:
    values = {}
    for number in range(len(table.genomes)):
        rows = table.rows_of(number, framework)
        if seen < len(rows) and (value := table.value(rows[seen], measure, images)) is not None:
            values[number] = value
    return values


def _ends(table: Table, seen: int) -> dict[int, float]:
    """Return the mean logarithm of each genome's last distances, of the seeds that are not seen."""
    ends = {}
    for number in range(len(table.genomes)):
        rows = table.rows_of(number)
        others = [row for place, row in enumerate(rows) if place != seen] or rows
        known = [table.value(row, table.measures[0]) for row in others]
        logs = [log(max(value, TINY)) for value in known if value is not None]
        if logs:
            ends[number] = fmean(logs)
    return ends


def _correlated(
    name: str, predictor: Predictor, ends: Mapping[int, float], random: np.random.Generator
) -> dict[str, JsonValue] | None:
    """Return the row of a predictor, none where it is known of too few genomes or is constant."""
    common = sorted(predictor.keys() & ends.keys())
    x = np.array([predictor[number] for number in common])
    y = np.array([ends[number] for number in common])
    if len(common) < FEWEST or len(set(x.tolist())) < 2:
        return None
    draws = random.integers(len(common), size=(NUM_RESAMPLES, len(common)))
    resampled = [spearmanr(x[draw], y[draw]).statistic for draw in draws if np.ptp(x[draw]) > 0]
    low, high = np.nanpercentile(resampled, (2.5, 97.5))
    return {
        "predictor": name,
        "genomes": len(common),
        "spearman": float(spearmanr(x, y).statistic),
        "low": float(low),
        "high": float(high),
        "kendall": float(kendalltau(x, y).statistic),
    }
