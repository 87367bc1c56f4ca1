"""Searches at equal time, several seeds each: what studies that compare searches are made of.

A search is as long as fits into so many seconds of one CPU thread: that is measured on two short
searches by each method, and for later seeds on the search before. What it finds first is trained
anew, alike for all, with several seeds, and judged by a second network, too. Methods are compared
within their space.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, Field

from gan_nas.configs import find_preset, resolve
from gan_nas.files import write_json
from gan_nas.search import drive, load_method
from gan_nas.search.method import Method, SearchConfig, Task
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.studies.against import compared
from gan_nas.studies.pictures import save_dots
from gan_nas.studies.searches import DRAW, Contender, parsed
from gan_nas.studies.study import Findings, Study, StudyTask, numbers_in
from gan_nas.studies.trainings import TrainingsConfig, train_all, training_of

SHORT = (0.05, 0.15)  # of a preset's length: two searches that tell time from length
LEAP = 4  # times as long as in proportion to its time is a search at most: times are noisy
TIMES = "times.json"


class ContestConfig(TrainingsConfig):
    """Settings of a comparison of searches."""

    searches: tuple[str, ...]
    """What is compared: METHOD, or METHOD:SPACE where it searches any; draw:SPACE takes a genome at
    random, without a search. @KEY=VALUE behind it changes a setting, as in degas@lr=0.1."""
    seconds: float | None = Field(default=90.0, gt=0)
    """Of one CPU thread, for a search; none: as long as its preset says."""
    seeds: int = Field(default=3, ge=2, le=100)
    """Searches by each method, and genomes that are drawn."""
    preset: str = "demo"
    """Of the searches."""
    search_set: tuple[str, ...] = ()
    """Settings of searches on top of it, for those methods that have them."""
    width: int = Field(default=16, ge=1, le=2048)
    """Of both networks of the genomes that are trained."""

    @property
    def first_seed(self) -> int:
        """Return the seed after those of the searches, some of which choose by trainings."""
        return self.seed + self.seeds


class Times(BaseModel):
    """What was measured of time, which resumed studies must not measure again."""

    lengths: dict[str, float] = {}
    """How many times as long as the preset a search is, by its folder; one that stands under the
    name of the search is for all of its seeds."""
    seconds: dict[str, float] = {}
    """CPU seconds of each search, by its folder."""


Q = TypeVar("Q", bound=ContestConfig)


class Contest(Study[Q]):
    """Compares searches; its subclasses ask a question and name who is compared."""

    presets: ClassVar = {"demo": {}}

    def baselines(self, searches: Sequence[Contender]) -> dict[Contender, Contender]:
        """Return what each search is compared with: the first of all, in its space."""
        first = searches[0]
        return {one: first for one in searches if one != first and one.space == first.space}

    def check(self, task: StudyTask[Q]) -> None:
        """Refuse methods, spaces and settings that there are not."""
        config = task.config
        searches = parsed(config.searches)
        training_of(config)
        for search in searches:
            if search.method != DRAW:
                method = load_method(search.method)
                method.longer(search_config(method, search, config, 0), 1.0)

    def work(self, task: StudyTask[Q]) -> Findings:
        """Search, train what was found, compare."""
        searches = parsed(task.config.searches)
        found = {search: find(task, search) for search in searches}
        outcomes = train_all(task, [genome for genomes in found.values() for genome in genomes])
        seconds = {search: seconds_of(task, search) for search in searches}
        return compared(found, outcomes, seconds, self.baselines(searches))

    def draw(self, findings: Findings, path: Path) -> None:
        """Draw each training as a dot, by what found its genome."""
        groups = {str(row["search"]): numbers_in(row, "distances") for row in findings.rows}
        save_dots(groups, path, "distance of a training (lower is better)", self.question)


def search_config(
    method: Method[Any, Any], search: Contender, config: ContestConfig, seed: int
) -> SearchConfig:
    """Return the settings of a search, of the preset's length."""
    fields = method.Config.model_fields
    sets = [text for text in config.search_set if text.partition("=")[0].strip() in fields]
    options: dict[str, Any] = {
        "seed": config.seed + seed,
        "space": search.space,
        "resolution": config.resolution,
        "width": config.width,
        "derived_width": config.width,
        "derived_discriminator_width": config.width,
    }
    known = {name: value for name, value in options.items() if name in fields}
    found: SearchConfig = resolve(
        method.Config, find_preset(method.presets, config.preset), [*sets, *search.sets], known
    )
    return found


def find(task: StudyTask[Q], search: Contender) -> list[Genome]:
    """Search, and return what is found first, for each seed; the same call goes on."""
    config = task.config
    if search.method == DRAW:
        return [
            sample_genomes(search.space, 1, config.seed + seed, config.width, config.width)[0]
            for seed in range(config.seeds)
        ]
    return [
        _searched(
            task, search, seed, _length(task, search, seed), _where(search, config.seed + seed)
        )
        for seed in range(config.seeds)
    ]


def seconds_of(task: StudyTask[Q], search: Contender) -> list[float]:
    """Return what the searches took of the CPU; nothing for genomes that are drawn."""
    times, config = _read(task), task.config
    return [
        times.seconds[where]
        for seed in range(config.seeds)
        if (where := _where(search, config.seed + seed)) in times.seconds
    ]


def _where(search: Contender, seed: int) -> str:
    return f"searches/{search.folder(seed)}"


def _length(task: StudyTask[Q], search: Contender, seed: int) -> float:
    """Return the length that fits into the time; it is measured once."""
    seconds, where = task.config.seconds, _where(search, task.config.seed + seed)
    if seconds is None:
        return 1.0
    known = _read(task)
    for name in (search.name, where):
        if name in known.lengths:
            return known.lengths[name]
    if seed == 0:
        fitting = _foretold(task, search, seconds)
    else:
        before = _where(search, task.config.seed + seed - 1)
        fitting = known.lengths[before] * seconds / known.seconds[before]
    length = float(f"{max(SHORT[0], fitting):.3g}")
    times = _read(task)
    times.lengths[where] = length
    _write(task, times)
    return length


def _foretold(task: StudyTask[Q], search: Contender, seconds: float) -> float:
    """Return the length that fits into the time, of two short searches and their CPU times.

    The longer one comes first: what is done once, such as embedding real images, falls to it, and
    the search rather becomes too short than too long.
    """
    spent = {}
    for short in reversed(SHORT):
        where = f"timing/{search.folder(short)}"
        _searched(task, search, 0, short, where)
        spent[short] = _read(task).seconds[where]
    return fitting_length(spent, seconds)


def fitting_length(spent: Mapping[float, float], seconds: float) -> float:
    """Return the length that takes so many seconds, of the seconds that two lengths have taken."""
    shorter, longer = sorted(spent)
    proportional = longer * seconds / spent[longer]  # as if nothing were spent on the start
    per_length = (spent[longer] - spent[shorter]) / (longer - shorter)
    if per_length <= 0:
        return proportional
    start = max(0.0, spent[shorter] - shorter * per_length)
    return min((seconds - start) / per_length, LEAP * proportional)


def _searched(
    task: StudyTask[Q], search: Contender, seed: int, length: float, where: str
) -> Genome:
    """Search, and return the first genome; the CPU time goes into the times."""
    method = load_method(search.method)
    config = method.longer(search_config(method, search, task.config, seed), length)
    directory = task.directory / where

    def show(phase: str, done: int, total: int, values: Any, *, row: str = "") -> None:
        task.progress(f"{search.name}, seed {config.seed}: {phase}", done, total, values, row=row)

    job: Task[Any] = Task(
        config=config,
        images=task.real,
        device=task.device,
        backbone=task.judge,
        cache=task.cache,
        stop=task.stop,
    )
    before = time.process_time()
    try:
        result = drive.search(method, job, directory, progress=show)
    finally:
        times = _read(task)
        spent = times.seconds.get(where, 0.0) + time.process_time() - before
        times.seconds[where] = spent
        _write(task, times)
    return read_genome(Path(result.genomes[0].file))


def _read(task: StudyTask[Q]) -> Times:
    path = task.directory / TIMES
    return Times.model_validate_json(path.read_text()) if path.exists() else Times()


def _write(task: StudyTask[Q], times: Times) -> None:
    write_json(task.directory / TIMES, times.model_dump())
