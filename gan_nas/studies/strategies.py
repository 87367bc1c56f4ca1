"""Strategies on a table of trials: regret against budget, and who beats random search.

A search over a table trains nothing, so that it can be repeated with hundreds of seeds. What it
holds to be best at a moment, the lowest distance of those trained longest, is judged by the
recorded seeds that it did not see.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from math import inf, lcm, log
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from gan_nas.configs import resolve
from gan_nas.errors import Interrupted, InvalidInput, nearest
from gan_nas.files import write_json
from gan_nas.search import STRATEGIES, load_method
from gan_nas.search.best import FREE
from gan_nas.search.strategies.budget import is_spent, spent
from gan_nas.search.strategies.method import StrategyMethod
from gan_nas.search.strategies.strategy import Candidates
from gan_nas.spaces.registry import load_space
from gan_nas.studies.pictures import save_bands
from gan_nas.studies.study import Findings, Study, StudyConfig, StudyTask, TableColumn, numbers_in
from gan_nas.trials.lookup import TableEvaluator
from gan_nas.trials.table import Table, read_table
from gan_nas.trials.trial import Outcome

RANDOM = "random"
CHUNK = 10  # searches between two looks at whether to stop
NUM_RESAMPLES = 2_000  # of bootstrap intervals
Chunk = tuple[str, int]  # a strategy, and the first of its runs
CURVES = "curves"  # folder of what searches came to, a file a chunk


class StrategiesConfig(StudyConfig):
    """Settings of the comparison."""

    table: str = "tied-digits"
    """Table of trials that is searched: a name or a file."""
    strategies: tuple[str, ...] = STRATEGIES
    """What is compared with random search."""
    runs: int = Field(default=200, ge=10, le=10_000)
    """Searches by each, with seeds of their own."""
    budget: int = Field(default=40, ge=2, le=1000)
    """What a search may spend: the images of so many whole trials."""
    search_set: tuple[str, ...] = ()
    """Settings of the strategies, for those that have them."""


class StrategiesStudy(Study[StrategiesConfig]):
    """What `gan-nas study strategies` runs."""

    name = "strategies"
    question = "Which strategy finds good genomes of a table with the fewest images?"
    Config = StrategiesConfig
    presets: ClassVar = {"demo": {}}
    needs_images = False

    def check(self, task: StudyTask[StrategiesConfig]) -> None:
        """Refuse strategies and tables that there are not."""
        for name in task.config.strategies:
            if not isinstance(load_method(name), StrategyMethod):
                hint = nearest(name, list(STRATEGIES)) or f"; there are {', '.join(STRATEGIES)}"
                raise InvalidInput(f"{name} is no strategy: it trains a network of its own{hint}")
        _table(task.config.table)

    def identity(self, task: StudyTask[StrategiesConfig]) -> dict[str, JsonValue]:
        """Return what tells the table from others."""
        return _table(task.config.table).identity

    def work(self, task: StudyTask[StrategiesConfig]) -> Findings:
        """Search the table again and again, several strategies side by side."""
        config = task.config
        names = list(dict.fromkeys((RANDOM, *config.strategies)))
        wanted = [(name, start) for start in range(0, config.runs, CHUNK) for name in names]
        files = {one: _file(task, *one) for one in wanted}
        missing = [one for one in wanted if not files[one].exists()]
        done = len(wanted) - len(missing)
        for one, rows in _searched(task, missing):
            write_json(files[one], rows)
            done += 1
            task.progress("searches", done * CHUNK, len(wanted) * CHUNK, {})
            if task.stop():
                raise Interrupted(
                    f"stopped on request, the searches so far are in {task.directory}; run the "
                    "same command again to go on"
                )
        found = {
            name: np.array(
                [row for one, file in files.items() if one[0] == name for row in _rows(file)]
            )
            for name in names
        }
        return compared(config, found)

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw the mean regret of each strategy over the budget, with its confidence."""
        bands = {}
        for row in findings.rows:
            bands[str(row["strategy"])] = [
                np.array(numbers_in(row, name)) for name in ("regrets", "lows", "highs")
            ]
        save_bands(
            bands,
            path,
            "budget, in whole trials",
            "distance of what is held to be best, times the table's best",
            self.question,
        )


STUDY = StrategiesStudy()


@cache
def _table(reference: str) -> Table:
    return read_table(reference)


def _seeds(config: StrategiesConfig, start: int) -> list[int]:
    return [config.seed + run for run in range(start, min(start + CHUNK, config.runs))]


def _file(task: StudyTask[StrategiesConfig], name: str, start: int) -> Path:
    return task.directory / CURVES / f"{name}-{start}.json"


def _rows(file: Path) -> list[list[float]]:
    rows: list[list[float]] = json.loads(file.read_text())
    return rows


def _searched(
    task: StudyTask[StrategiesConfig], chunks: Sequence[Chunk]
) -> Iterator[tuple[Chunk, list[list[float]]]]:
    """Yield each chunk with its curves when it ends, here or in as many processes as jobs."""
    config = task.config
    if task.jobs == 1:
        for name, start in chunks:
            yield (name, start), curves(config, name, _seeds(config, start))
        return
    pool = ProcessPoolExecutor(
        task.jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        begun = {
            pool.submit(curves, config, name, _seeds(config, start)): (name, start)
            for name, start in chunks
        }
        for ended in as_completed(begun):
            yield begun[ended], ended.result()
    finally:
        pool.shutdown(cancel_futures=True)


def curves(config: StrategiesConfig, name: str, seeds: Sequence[int]) -> list[list[float]]:
    """Search with each seed; returns the regret after each whole trial of the budget.

    Regret is the logarithm of the incumbent's distance over that of the table's best genome; a
    search that has no incumbent yet has that of a genome drawn at random, on average.
    """
    return [_curve(config, name, seed) for seed in seeds]


def _curve(config: StrategiesConfig, name: str, seed: int) -> list[float]:
    table = _table(config.table)
    recipe, whole = table.recipe, table.moments[-1]
    method = load_method(name)
    known = method.Config.model_fields
    sets = [text for text in config.search_set if text.partition("=")[0].strip() in known]
    settings = resolve(
        method.Config,
        {
            "trials": None,
            "images": config.budget * whole,
            "trial_images": whole,
            "space": recipe.space,
            "width": recipe.width,
            "discriminator_width": recipe.discriminator_width,
            "seed": seed,
        },
        sets,
    )
    choices = Candidates(load_space(recipe.space), settings, lambda genome: FREE)
    assert isinstance(method, StrategyMethod)
    strategy = method.strategy(settings, choices, whole)
    evaluate = TableEvaluator(table=table)
    values = _unseen(config.table, seed % _period(config.table))
    best, mean = min(values.values()), fmean(values.values())
    outcomes: list[Outcome] = []
    regrets = [mean - best] * config.budget
    incumbent: Outcome | None = None
    while not is_spent(settings, outcomes) and (trial := strategy.ask()) is not None:
        outcome = evaluate(trial)
        strategy.tell(outcome)
        outcomes.append(outcome)
        if outcome.loss < inf and (incumbent is None or _place(outcome) < _place(incumbent)):
            incumbent = outcome
        if incumbent is not None:
            reached = spent(settings, [one.trial for one in outcomes]) / whole
            regret = values[incumbent.trial.genome.generator.model_dump_json()] - best
            for place in range(max(0, int(np.ceil(reached)) - 1), config.budget):
                regrets[place] = regret
    return regrets


def _place(outcome: Outcome) -> tuple[int, float]:
    """Return what is lower for the better one: the longer training, then the distance."""
    return -outcome.trial.images, outcome.loss


@cache
def _period(reference: str) -> int:
    """Return after how many seeds all genomes are answered by the same recorded ones again."""
    table = _table(reference)
    return lcm(*(len(table.rows_of(number)) or 1 for number in range(len(table.genomes))))


@cache
def _unseen(reference: str, seed: int) -> dict[str, float]:
    """Return the mean logarithm of each genome's distances, but for that which a seed sees."""
    table = _table(reference)
    values = {}
    for number, genome in enumerate(table.recipe.genomes()):
        rows = table.rows_of(number)
        others = (
            [row for place, row in enumerate(rows) if place != seed % len(rows)] if rows else []
        )
        known = [table.value(row, table.measures[0]) for row in others or rows]
        logs = [log(value) for value in known if value is not None]
        if logs:
            values[genome.generator.model_dump_json()] = fmean(logs)
    return values


def compared(config: StrategiesConfig, found: dict[str, NDArray[np.float64]]) -> Findings:
    """Tell regrets and how often each strategy beats random search, with bootstrap intervals.

    `found` are regrets (runs, budget); means are of logarithms, so that a regret is a factor.
    """
    random = np.random.default_rng(config.seed)
    rows, findings = [], list[str]()
    for name, regrets in found.items():
        draws = random.integers(len(regrets), size=(NUM_RESAMPLES, len(regrets)))
        lows, highs = np.percentile(regrets[draws].mean(1), (2.5, 97.5), axis=0)  # (budget,)
        row: dict[str, JsonValue] = {
            "strategy": name,
            "regret": float(np.exp(regrets[:, -1].mean())),
            "low": float(np.exp(lows[-1])),
            "high": float(np.exp(highs[-1])),
            "regrets": np.exp(regrets.mean(0)).tolist(),
            "lows": np.exp(lows).tolist(),
            "highs": np.exp(highs).tolist(),
        }
        half = config.budget // 2
        row["half"] = float(np.exp(regrets[:, half - 1].mean()))
        if name != RANDOM:
            chance, ends = _chance(regrets[:, -1], found[RANDOM][:, -1], random)
            row |= {"beats": chance, "beats_low": ends[0], "beats_high": ends[1]}
            verdict = (
                "beats random search more often than not"
                if ends[0] > 0.5
                else "loses to random search more often than not"
                if ends[1] < 0.5
                else "cannot be told from random search"
            )
            findings.append(
                f"{name} {verdict}: with probability {chance:.2f} (95 %: {ends[0]:.2f} to "
                f"{ends[1]:.2f}) after {config.budget} trials."
            )
        rows.append(row)
    table = _table(config.table)
    seeds = [len(table.rows_of(number)) for number in range(len(table.genomes))]
    limits = [
        f"One small space, of {len(table.genomes)} genomes, and one data set.",
        "Strategies have their default settings; none was tuned on this table.",
    ]
    if alone := sum(num < 2 for num in seeds):
        limits.append(
            f"One seed of {alone} genomes is recorded: where one of them is found it is judged by "
            "what the search saw."
        )
    if (period := _period(config.table)) > 1:
        limits.append(
            f"Searches see one of {period} recorded seeds: intervals tell what more searches of "
            "these seeds would say, and not what other seeds would."
        )
    if not table.is_complete:
        limits.append(f"The table holds {len(table.rows)} of {table.planned} trials so far.")
    return Findings(
        columns=[
            TableColumn(name="strategy", words="strategy"),
            TableColumn(name="half", words=f"regret after {config.budget // 2}", format=".3f"),
            TableColumn(name="regret", words=f"after {config.budget}", format=".3f"),
            TableColumn(name="low", words="95 %: from", format=".3f"),
            TableColumn(name="high", words="to", format=".3f"),
            TableColumn(name="beats", words="beats random", format=".2f"),
            TableColumn(name="beats_low", words="95 %: from ", format=".2f"),
            TableColumn(name="beats_high", words="to ", format=".2f"),
        ],
        rows=rows,
        findings=findings,
        limits=limits,
    )


def _chance(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], random: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    """Return the probability that a run of ours ends lower than one of theirs, and its interval.

    Ties count half (Mann and Whitney 1947); the interval is a bootstrap's over runs of both.
    """
    beats = (ours[:, None] < theirs) + 0.5 * (ours[:, None] == theirs)  # (runs, runs)
    a, b = (random.integers(len(x), size=(NUM_RESAMPLES, len(x))) for x in (ours, theirs))
    means = [float(beats[i][:, j].mean()) for i, j in zip(a, b, strict=True)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(beats.mean()), (float(low), float(high))
