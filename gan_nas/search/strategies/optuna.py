"""Optuna's samplers and pruners, in any space: a categorical parameter for each place.

Akiba et al. 2019, "Optuna: A Next-generation Hyperparameter Optimization Framework", in its
ask-and-tell form. Optuna comes with the extra gan-nas[optuna] and is imported when it is used.

The study lives in memory and is made anew from the outcomes, by a seeded sampler: they alone are
the truth, so that a resumed search asks as if it had not stopped. A copy of what is finished
stands in the run's directory for optuna-dashboard, and is never read here.

A suggestion that is not tried, because it was tried before, is invalid or above a limit, is told
as failed, which samplers pass over; after ten in a row a genome is drawn uniformly. What is tried
in place of a suggestion enters the study with parameters of its own.
"""

from collections import deque
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from gan_nas.errors import InvalidInput
from gan_nas.search.method import Task
from gan_nas.search.strategies.method import PRESETS, StrategyMethod
from gan_nas.search.strategies.strategy import Candidates, Strategy, StrategyConfig, rungs_of
from gan_nas.spaces.genome import Genome
from gan_nas.trials.trial import Outcome, Trial

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "random", "nsga2", "cmaes", "gp"]
Pruner = Literal["none", "median", "halving", "hyperband"]
Params = dict[str, int | str]

NAME = "gan-nas"  # of the study; Hyperband draws brackets by it
JOURNAL = "optuna.log"
MOST_REFUSED = 10  # suggestions in a row; gp takes half a second for each


class OptunaConfig(StrategyConfig):
    """Settings of a study; where none is named, they are Optuna's own."""

    sampler: Sampler = "tpe"
    """Who suggests genomes; to cmaes the options of a place are numbers in their order."""
    startup: int = Field(default=10, ge=2)
    """Trials that are drawn before tpe, cmaes and gp learn; for nsga2, its population."""
    pruner: Pruner = "none"
    """Who ends trials early. Unless none, they stop at each rung and, if they are not pruned, go
    on at once: each time counts as a trial."""
    eta: int = Field(default=3, ge=2, le=100)
    """With a pruner: a rung has so many times the images of the one before; halving and hyperband
    keep one of so many."""
    rungs: int = Field(default=3, ge=1, le=10)
    """With a pruner: the whole trial, an eta-th of it, and so on."""


class OptunaStrategy(Strategy[OptunaConfig]):
    """A study that is asked and told."""

    def __init__(self, config: OptunaConfig, choices: Candidates, trial_images: int) -> None:
        super().__init__(config, choices, trial_images)
        check_installed(config)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.rungs = self.fidelities(config, trial_images)
        self.study = optuna.create_study(
            study_name=NAME, sampler=sampler_of(config), pruner=pruner_of(config, self.rungs)
        )
        self.is_numerical = config.sampler == "cmaes"
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            place: optuna.distributions.IntDistribution(0, len(options) - 1)
            if self.is_numerical
            else optuna.distributions.CategoricalDistribution(options)
            for place, options in choices.places.items()
        }
        self._suggestion: optuna.Trial | None = None  # that is not settled yet
        self._tried: dict[str, optuna.Trial] = {}
        self._num_refused = 0
        self._onward: deque[Trial] = deque()
        self._journal: optuna.Study | None = None
        self._num_exported = 0

    def choose(self) -> Trial | None:
        """Let a trial that was not pruned go on; else take a suggestion that is new."""
        if self._onward:
            return self._onward.popleft()
        with torch.device("cpu"):  # for gp
            genome = self.choices.unseen(self._suggested, self.seen, self.random("suggestion"))
            genome = genome or self.drawn()
            trial = self.trial(genome, self.rungs[0])
            if genome is not None and trial is not None:
                self._tried[trial.name] = self._settled(genome)
        return trial

    def tell(self, outcome: Outcome) -> None:
        """Tell the study, which may prune below the highest rung."""
        from optuna.trial import TrialState

        super().tell(outcome)
        name, genome, images = outcome.trial.name, outcome.trial.genome, outcome.trial.images
        told = self._tried[name]
        for field in ("status", "why", "parameters", "macs"):
            told.set_user_attr(field, getattr(outcome, field))
        told.set_user_attr("genome", genome.genome_id)
        if outcome.status != "completed":
            self.study.tell(told, state=TrialState.FAIL)
        elif images == self.rungs[-1]:
            self.study.tell(told, outcome.loss)
        else:
            told.report(outcome.loss, images)
            if not told.should_prune():
                onward = self.trial(genome, self.rungs[self.rungs.index(images) + 1])
                assert onward is not None
                self._onward.append(onward)
                return
            self.study.tell(told, state=TrialState.PRUNED)
        del self._tried[name]

    @classmethod
    def fidelities(cls, config: OptunaConfig, trial_images: int) -> Sequence[int]:
        """Return the images of the rungs, if there is a pruner."""
        if config.pruner == "none":
            return [trial_images]
        return rungs_of(trial_images, config.eta, config.rungs)

    @classmethod
    def rehearsal(cls, config: OptunaConfig) -> OptunaConfig:
        """Plan by the fastest sampler."""
        return config.model_copy(update={"sampler": "random"})

    def export(self, folder: Path) -> None:
        """Keep the trials that are finished as a journal, the format of optuna-dashboard."""
        from optuna import create_study
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage

        if self._journal is None:
            path = folder / JOURNAL
            for leftover in (path, path.with_name(f"{JOURNAL}.lock")):
                leftover.unlink(missing_ok=True)
            file = JournalFileBackend(str(path), JournalFileOpenLock(str(path)))
            self._journal = create_study(storage=JournalStorage(file), study_name=NAME)
        finished = [trial for trial in self.study.get_trials() if trial.state.is_finished()]
        for trial in finished[self._num_exported :]:
            trial.system_attrs = {}  # the sampler's notes
            self._journal.add_trial(trial)
        self._num_exported = len(finished)

    def _suggested(self, random: Random) -> Genome:
        if self._num_refused == MOST_REFUSED:
            return self.choices.random(random)
        self._refuse()
        self._suggestion = self.study.ask(self._distributions)
        return self.choices.numbered(self._numbers(self._suggestion.params), random)

    def _settled(self, genome: Genome) -> "optuna.Trial":
        """Have the study know what is tried; returns its trial."""
        numbers = self.choices.numbers(genome)
        if self._suggestion is None or self._numbers(self._suggestion.params) != numbers:
            self._refuse()
            self.study.enqueue_trial(self._params(numbers))
            self._suggestion = self.study.ask(self._distributions)
        self._num_refused, settled, self._suggestion = 0, self._suggestion, None
        return settled

    def _refuse(self) -> None:
        from optuna.trial import TrialState

        if self._suggestion is not None:
            self.study.tell(self._suggestion, state=TrialState.FAIL)
            self._num_refused += 1

    def _params(self, numbers: Sequence[int]) -> Params:
        chosen = zip(self.choices.places.items(), numbers, strict=True)
        return {
            place: number if self.is_numerical else options[number]
            for (place, options), number in chosen
        }

    def _numbers(self, params: Params) -> tuple[int, ...]:
        return tuple(
            int(params[place]) if self.is_numerical else options.index(str(params[place]))
            for place, options in self.choices.places.items()
        )


def check_installed(config: OptunaConfig) -> None:
    """Raise InvalidInput unless what the settings need is installed."""
    for package in ("optuna", *(("cmaes",) if config.sampler == "cmaes" else ())):
        if find_spec(package) is None:
            raise InvalidInput(
                f"the method optuna needs {package}, which is not installed: "
                "pip install 'gan-nas[optuna]'"
            )


def sampler_of(config: OptunaConfig) -> "optuna.samplers.BaseSampler":
    """Return the sampler, seeded."""
    from optuna import samplers

    seed, startup = config.seed % 2**32, config.startup  # NumPy takes no more
    match config.sampler:
        case "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=startup)
        case "random":
            return samplers.RandomSampler(seed=seed)
        case "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=startup)
        case "cmaes":
            return samplers.CmaEsSampler(
                seed=seed, n_startup_trials=startup, warn_independent_sampling=False
            )
        case "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=startup)


def pruner_of(config: OptunaConfig, rungs: Sequence[int]) -> "optuna.pruners.BasePruner":
    """Return the pruner; its resource is images."""
    from optuna import pruners

    lowest, highest = rungs[0], rungs[-1]
    match config.pruner:
        case "none":
            return pruners.NopPruner()
        case "median":
            return pruners.MedianPruner()
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=lowest, reduction_factor=config.eta)
        case "hyperband":
            return pruners.HyperbandPruner(
                min_resource=lowest, max_resource=highest, reduction_factor=config.eta
            )


class OptunaSearch(StrategyMethod[OptunaConfig]):
    """What `gan-nas search --method optuna` runs."""

    name, title = "optuna", "Optuna"
    Config, strategy = OptunaConfig, OptunaStrategy
    presets = PRESETS

    def check(self, task: Task[OptunaConfig]) -> None:
        """Refuse what trials cannot have, and an extra that is not there."""
        check_installed(task.config)
        super().check(task)


METHOD = OptunaSearch()
