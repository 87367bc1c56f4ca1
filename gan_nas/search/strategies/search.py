"""What drives every strategy: ask, judge, tell, until the budget is spent."""

import shutil
import tempfile
import weakref
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar

from pydantic import BaseModel, model_validator
from torch import Tensor

from gan_nas.errors import Incompatible, InvalidInput, MissingResource, RunFailed
from gan_nas.networks.cost import network_price
from gan_nas.networks.states import Saved
from gan_nas.runs.results import Conclusion
from gan_nas.search.best import Limit, Price
from gan_nas.search.method import Find, Search, Task, Trained
from gan_nas.search.strategies.budget import (
    evaluator_terms,
    example,
    is_spent,
    planned,
    spent,
    whole,
)
from gan_nas.search.strategies.strategy import Candidates, Strategy, StrategyConfig
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space
from gan_nas.trials import load_evaluator
from gan_nas.trials.evaluator import Evaluator, Shared
from gan_nas.trials.executor import Begun, Executor, open_executor
from gan_nas.trials.trial import COSTS, Outcome, Trial

C = TypeVar("C", bound=StrategyConfig)


class State(BaseModel):
    """Where a search by trials is: what came of all of them, in their order."""

    outcomes: list[Outcome] = []
    known: list[int] = []
    """How many outcomes, the first ones, each trial was chosen after."""
    shared: Shared = Shared()
    """How far weights that all trials share are trained."""

    @model_validator(mode="before")
    @classmethod
    def _of_older_versions(cls, content: Any) -> Any:
        """Fill in what older versions did not store: they had one job, and shared no weights."""
        match content:
            case {"outcomes": list(outcomes)}:
                return {"known": list(range(len(outcomes))), "shared": {}} | content
        return content

    @model_validator(mode="after")
    def _of_each(self) -> Self:
        if len(self.known) != len(self.outcomes):
            raise ValueError(f"known has {len(self.known)} of {len(self.outcomes)} outcomes")
        return self


class Pending(NamedTuple):
    """A trial that was chosen after some outcomes and has none yet."""

    trial: Trial
    known: int


class StrategySearch(Search[State], Generic[C]):
    """A unit is a trial, or a piece of the training of weights that trials share."""

    def __init__(self, strategy: type[Strategy[Any]], task: Task[C], state: State | None) -> None:
        self.task, self.state, self.method = task, state or State(), strategy
        self._pending: deque[Pending] = deque()
        self._begun: deque[Begun] = deque()
        self._shares_weights = load_evaluator(task.config.evaluator).shares_weights
        if self._shares_weights:
            _ = self.evaluator  # which opens the ledger's windows

    @property
    def step(self) -> int:
        """Count the trials, and the steps of weights that they share."""
        return len(self.state.outcomes) + self.state.shared.steps

    @property
    def finished(self) -> bool:
        """Tell whether the budget is spent, or nothing is left to try."""
        self._choose()
        return not self._pending

    def advance(self) -> None:
        """Wait for the end of the oldest trial under way, those after it going on."""
        self._choose()
        if self.evaluator.prepare(self._pending[0].trial, self.strategy.population):
            return
        for trial, _ in list(self._pending)[len(self._begun) :]:
            number = len(self.state.outcomes) + len(self._begun) + 1
            row = f"trial {number}/{max(number, self._num_planned)}"
            self._begun.append(self.jobs.begin(trial, row))
        outcome = self._priced(self.jobs.outcome(self._begun[0]))
        trial, known = self._pending.popleft()
        self._begun.popleft()
        self.state.outcomes.append(outcome)
        self.state.known.append(known)
        if self.task.ledger.run:
            self.strategy.export(self.task.ledger.run.directory)
        best = min(self.state.outcomes, key=lambda one: one.loss)
        measured = {"distance": outcome.distance, "latency_ms": outcome.latency_ms}
        told = {name: value for name, value in measured.items() if value is not None}
        self.task.ledger.log(
            "trial",
            step=len(self.state.outcomes),
            images=spent(self.task.config, [one.trial for one in self.state.outcomes]),
            trial=len(self.state.outcomes),
            id=trial.genome.genome_id,
            words=trial.genome.words_of(self.task.config.role),
            status=outcome.status,
            fidelity=trial.images,
            parameters=outcome.parameters,
            **told,
        )
        shown = {"best": best.distance} if best.distance is not None else {}
        done = len(self.state.outcomes)
        self.task.ledger.show("trials", done, max(done, self._num_planned), shown)

    def found(self, count: int, limit: Limit, *, anew: bool) -> list[Find]:
        """Return the best genomes that were tried, at the width that genomes found have."""
        del anew
        ended = [one for one in self.state.outcomes if one.status == "completed"]
        kept = [
            one for one in ended if limit == Limit() or limit.keeps(*self._price(one.trial.genome))
        ]
        if not kept:
            self._refuse(limit, any_ended=bool(ended))
        return [
            Find(
                self._derived(one.trial.genome),
                _values(one),
                self._scores(one) if self._shares_weights else None,
                self.task.config.role,
            )
            for one in self.method.best(self.task.config, kept, count)
        ]

    def _refuse(self, limit: Limit, *, any_ended: bool) -> NoReturn:
        if any_ended:
            raise InvalidInput(
                f"no trial came to a good end within {limit.words}: try more of them, or allow more"
            )
        statuses = Counter(one.status for one in self.state.outcomes)
        if set(statuses) == {"out_of_memory"}:
            raise MissingResource(
                f"the memory does not suffice for any of {statuses.total()} trials, with half the "
                "micro-batch either: lower batch_size or micro_batch in training_set, or the width"
            )
        failed = " and ".join(f"{number} {status}" for status, number in statuses.items())
        raise RunFailed(
            f"no trial came to a good end, of {statuses.total()} {failed}: try lower learning "
            "rates in training_set, another seed, or more trials",
            "collapsed" if set(statuses) == {"collapsed"} else "diverged",
        )

    def conclude(self, found: Sequence[Find]) -> Conclusion:
        """Tell what was spent, and draw it."""
        del found
        outcomes = self.state.outcomes
        failed = Counter(str(one.status) for one in outcomes if one.status != "completed")
        ends = range(1, len(outcomes) + 1)
        cost = self.method.cost(self.task.config)
        trials = [outcome.trial for outcome in outcomes]
        points = [(spent(self.task.config, trials[:end]), outcomes[end - 1]) for end in ends]
        drawn = [(float(at), one.loss, one.cost(cost)) for at, one in points]
        self.task.ledger.trials(drawn, COSTS[cost].replace("generator", self.task.config.role))
        passports = [one.passport for one in outcomes if one.passport]
        return Conclusion(
            passport=passports[-1] if passports else None,
            facts={
                "trials": len(outcomes),
                "images": spent(self.task.config, trials),
                "failed": {**failed},
                "evaluator": self.task.config.evaluator,
                **({} if self.task.config.generator is None else {"searched": "discriminator"}),
            },
        )

    def samples(self, find: Find, num: int) -> Tensor | None:
        """Return images of the best trial of a genome, where its weights are kept."""
        ended = [one for one in self.state.outcomes if one.status == "completed"]
        ended = [one for one in ended if self._derived(one.trial.genome) == find.genome]
        best = self.method.best(self.task.config, ended, 1) if ended else []
        return self.evaluator.samples(best[0].trial, num) if best else None

    def saved(self) -> Mapping[str, Saved]:
        """Return what trials share."""
        return self.evaluator.saved() if self._shares_weights else {}

    def verify(self) -> None:
        """Raise RunFailed rather than let shared weights be saved that are not finite."""
        if self._shares_weights:
            self.evaluator.verify()

    def trained(self) -> Trained | None:
        """Return the networks that trials share, whose weights genomes may inherit."""
        gan = self.evaluator.trained() if self._shares_weights else None
        if gan is None:
            return None
        sizes = example(self.task.config).generator
        return Trained(sizes, gan.generator, gan.discriminator)

    @cached_property
    def strategy(self) -> Strategy[Any]:
        """Return the strategy as it was when it chose the last trial that has an outcome.

        It must ask for just what was tried.
        """
        config = self.task.config
        choices = Candidates(load_space(config.space), config, self._price)
        strategy = self.method(config, choices, whole(config))
        for outcome, known in zip(self.state.outcomes, self.state.known, strict=True):
            self._tell(strategy, known)
            if strategy.ask() != outcome.trial:
                raise Incompatible(
                    f"{config.space} would be searched by other trials than those that are saved: "
                    "use the version of gan-nas that this search was begun with"
                )
        return strategy

    def _tell(self, strategy: Strategy[Any], known: int) -> None:
        """Tell as many outcomes as are to be known."""
        for outcome in self.state.outcomes[len(strategy.history) : known]:
            strategy.tell(outcome)

    def _choose(self) -> None:
        """Choose trials until there is one for every job, or the budget is spent.

        A trial is chosen after the outcomes of all but the last ones before it, as many as there
        are jobs less one: which end first does not matter, nor where a search was interrupted.
        """
        config, outcomes, strategy = self.task.config, self.state.outcomes, self.strategy
        while len(self._pending) < self.jobs.num:
            trials = [trial for trial, _ in self._pending]
            if is_spent(config, outcomes, trials, self.state.shared):
                return
            self._tell(strategy, max(0, len(outcomes) + len(trials) + 1 - self.jobs.num))
            trial = strategy.ask()
            while trial is None:
                if len(strategy.history) == len(outcomes):
                    return
                self._tell(strategy, len(strategy.history) + 1)
                trial = strategy.ask()
            self._pending.append(Pending(trial, len(strategy.history)))

    @cached_property
    def jobs(self) -> Executor:
        """Return what judges trials."""
        return open_executor(self.task.executor, self.evaluator, self.task.jobs)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Return what judges trials."""
        task = self.task
        terms = evaluator_terms(self.method, task.config, task.side, task.channels, task.device)
        kind = load_evaluator(task.config.evaluator)
        return kind.begin(terms, task, self._folder, self.state.shared)

    def _folder(self) -> Path:
        """Return where trials are kept; without a run, as long as this object lives."""
        if self.task.folder is not None:
            return self.task.folder
        scratch = Path(tempfile.mkdtemp())
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        return scratch

    @cached_property
    def _num_planned(self) -> int:
        return len(planned(self.method, self.task.config))

    def _scores(self, outcome: Outcome) -> dict[str, float]:
        """Return the scores of the highest fidelity, without when they were made."""
        last = outcome.scores[-1]
        return {name: value for name, value in last.items() if name not in ("step", "images")}

    def _derived(self, genome: Genome) -> Genome:
        config = self.task.config
        return genome.resized(config.derived_width, config.derived_discriminator_width)

    def _price(self, genome: Genome) -> Price:
        network = getattr(self._derived(genome), self.task.config.role)
        return Price(*network_price(network, self.task.side, self.task.channels))

    def _priced(self, outcome: Outcome) -> Outcome:
        """Return an outcome with what its discriminator costs, where these are searched."""
        if self.task.config.generator is None or outcome.status == "invalid":
            return outcome
        network = outcome.trial.genome.discriminator
        parameters, macs = network_price(network, self.task.side, self.task.channels)
        return outcome.model_copy(update={"parameters": parameters, "macs": macs})


def _values(outcome: Outcome) -> dict[str, float]:
    """Return what is told of a trial that came to a good end."""
    values = {"distance": outcome.loss, "images": outcome.trial.images}
    return values if outcome.latency_ms is None else {**values, "latency_ms": outcome.latency_ms}
