"""What holds of every strategy: it asks for trials, is told, and knows nothing else.

A landscape takes the place of training: how many places of a generator differ from a hidden one.
"""

from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import extras
import pytest
import tiny
import torch

from gan_nas.cli import run
from gan_nas.configs import resolve
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.networks.cost import generator_price
from gan_nas.runs.loop import read_state
from gan_nas.search import STRATEGIES, drive, load_method
from gan_nas.search.best import FREE, Limit, Price
from gan_nas.search.strategies.budget import is_spent, planned, spent, whole
from gan_nas.search.strategies.evolution import Evolution
from gan_nas.search.strategies.reinforce import rewards
from gan_nas.search.strategies.search import State
from gan_nas.search.strategies.strategy import Candidates, Strategy, StrategyConfig
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import load_space, space_names
from gan_nas.training.loop import train
from gan_nas.trials.front import Point, crowded_order
from gan_nas.trials.trial import COSTS, CostName, Outcome, Status, Trial

Judge = Callable[[Genome], float]


def config_of(name: str, **values: Any) -> StrategyConfig:
    config: StrategyConfig = load_method(name).Config(**{"trial_images": 900, **values})
    return config


def strategy_of(name: str, config: StrategyConfig) -> Strategy[Any]:
    choices = Candidates(load_space(config.space), config, lambda genome: FREE)
    strategy: Strategy[Any] = load_method(name).strategy(config, choices, whole(config))  # type: ignore[attr-defined]
    return strategy


def landscape(space: str, seed: int = 0) -> Judge:
    """Return the share of places at which a genome is not the hidden one."""
    known = load_space(space)
    hidden = known.values(known.sample(Random(seed + 1_000), 4))

    def judge(genome: Genome) -> float:
        values = known.values(genome.generator)
        return sum(values.get(place) != value for place, value in hidden.items()) / len(hidden)

    return judge


def searched(name: str, config: StrategyConfig, judge: Judge) -> list[Outcome]:
    strategy, outcomes = strategy_of(name, config), list[Outcome]()
    while not is_spent(config, outcomes) and (trial := strategy.ask()) is not None:
        loss = judge(trial.genome)
        status = "completed" if loss < inf else "diverged"
        outcomes.append(
            Outcome(
                trial=trial,
                status=status,
                distance=loss if loss < inf else None,
                parameters=len(trial.genome.to_json()),
                macs=len(set(trial.genome.genome_id)),
                latency_ms=int(trial.genome.genome_id, 16) / 1e9,
            )
        )
        strategy.tell(outcomes[-1])
    return outcomes


@pytest.fixture(params=extras.methods(STRATEGIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("space", [*space_names(), "toy"])
def test_any_space_is_searched_and_no_genome_tried_twice_at_a_fidelity(
    name: str, space: str, plugin: Path
) -> None:
    config = config_of(name, space=space, trials=20)
    outcomes = searched(name, config, landscape(space))
    keys = [(one.trial.name, one.trial.images) for one in outcomes]
    assert len(set(keys)) == len(keys)
    assert len(keys) == 20 or space == "toy"
    for outcome in outcomes:
        assert outcome.trial.genome.generator.space == load_space(space).genome_space
        assert outcome.trial.genome.generator.width == config.width
        assert outcome.trial.seed == config.seed


@pytest.mark.parametrize("space", [*space_names(), "toy"])
def test_a_genome_comes_back_from_the_numbers_of_its_options(space: str, plugin: Path) -> None:
    config = config_of("random", space=space)
    choices = Candidates(load_space(space), config, lambda genome: FREE)
    assert all(len(set(options)) == len(options) > 1 for options in choices.places.values())
    random = Random(0)
    for _ in range(20):
        anything = [random.randrange(len(options)) for options in choices.places.values()]
        for genome in (choices.random(random), choices.numbered(anything, random)):
            assert genome.generator.space == load_space(space).example(4).space
            assert choices.numbered(choices.numbers(genome), random) == genome


def test_a_strategy_asks_the_same_after_its_history_is_told_again(name: str) -> None:
    config = config_of(name, trials=20)
    outcomes = searched(name, config, landscape("autogan"))
    again = strategy_of(name, config)
    for outcome in outcomes:
        assert again.ask() == outcome.trial
        again.tell(outcome)
    other = searched(name, config_of(name, trials=20, seed=1), landscape("autogan"))
    assert [one.trial.genome for one in other] != [one.trial.genome for one in outcomes]


def test_trials_that_all_fail_end_nothing(name: str) -> None:
    outcomes = searched(name, config_of(name, trials=20), lambda genome: inf)
    assert len(outcomes) == 20
    assert {one.trial.images for one in outcomes} == {outcomes[0].trial.images}


ELITE = {"selection": "elitist", "variation": "single"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("evolution", {}),
        pytest.param("evolution", ELITE, marks=pytest.mark.slow),
        pytest.param("nsga2", {}, marks=pytest.mark.slow),
        pytest.param("reinforce", {}, marks=pytest.mark.slow),
        pytest.param("optuna", {}, marks=[extras.needs_optuna, pytest.mark.slow]),
    ],
)
def test_who_learns_from_outcomes_beats_chance_where_neighbours_are_alike(
    name: str, values: dict[str, Any]
) -> None:
    def best(method: str, seed: int, **values: Any) -> float:
        config = config_of(method, space="adversarialnas", trials=80, seed=seed, **values)
        outcomes = searched(method, config, landscape("adversarialnas", seed))
        return min(one.loss for one in outcomes)

    ours = [best(name, seed, **values) for seed in range(5)]
    chance = [best("random", seed) for seed in range(5)]
    assert mean(ours) < mean(chance) - 0.05


def test_a_population_forgets_its_oldest() -> None:
    """A parent is one of the youngest, however good the older ones were."""
    config = config_of("evolution", trials=30, population=5, crossover=0.0)
    outcomes = searched("evolution", config, landscape("autogan"))
    space = load_space("autogan")
    for i in range(5, 30):
        child = outcomes[i].trial.genome.generator
        parents = [one.trial.genome.generator for one in outcomes[i - 5 : i]]
        assert any(child in space.neighbours(parent) for parent in parents)


def test_rewards_are_higher_for_lower_distances_and_failures_as_bad_as_the_worst() -> None:
    trial = strategy_of("random", config_of("random")).ask()
    assert trial is not None
    ends = [None, 4.0, 1.0, 0.0, None]
    statuses: list[Status] = ["diverged", *("completed",) * 3, "invalid"]
    history = [
        Outcome(trial=trial, status=status, distance=end)
        for status, end in zip(statuses, ends, strict=True)
    ]
    first, worst, one, none, last = rewards(history)
    assert none > one == 0 > worst == first == last
    assert rewards(history[:1]) == [0]


@pytest.mark.parametrize("anew", [False, True])
def test_an_elitist_generation_is_of_the_best_of_parents_and_children(anew: bool) -> None:
    """EAGAN judges parents anew, on weights that were trained on; alone they are known already."""
    size, later = 4, 100 if anew else 0
    values = {"population": size, "tournament": 1, "generation_images": later, **ELITE}
    if anew:
        values["evaluator"] = "shared"
    config = config_of("evolution", space="adversarialnas", trials=5 * 2 * size, **values)
    outcomes = searched("evolution", config, landscape("adversarialnas"))
    first, space = whole(config), load_space("adversarialnas")
    parents = outcomes[:size]
    for number, start in enumerate(range(size, len(outcomes) - size, size * (1 + anew))):
        children, following = outcomes[start:][:size], outcomes[start + size :][:size]
        genomes = [one.trial.genome.generator for one in parents]
        assert {one.trial.images for one in children} == {first + number * later}
        for child in children:
            ours = space.values(child.trial.genome.generator)
            differences = [
                sum(ours[place] != value for place, value in space.values(parent).items())
                for parent in genomes
            ]
            assert 1 in differences
        everyone = parents + children
        order = crowded_order([Point(one.loss, 0) for one in everyone])
        best = [everyone[i] for i in order[:size]]
        assert max(one.loss for one in best) <= min(everyone[i].loss for i in order[size:])
        if anew:
            assert [one.trial.genome for one in following] == [one.trial.genome for one in best]
            assert {one.trial.images for one in following} == {first + (number + 1) * later}
        parents = following if anew else best


def test_an_elitist_generation_spares_the_best_by_either_score() -> None:
    config = config_of("evolution", population=2, **ELITE)
    strategy = strategy_of("evolution", config)
    scores = [(5.0, 9.0), (1.0, 1.0), (2.0, 2.0), (9.0, 8.0)]
    for distance, score in scores:
        trial = strategy.ask()
        assert trial is not None
        strategy.tell(Outcome(trial=trial, status="completed", distance=distance, score=score))
    alive = [one.genome_id for one in strategy.population]
    tried = [one.trial.genome.genome_id for one in strategy.history]
    assert {tried.index(one) for one in alive} == {0, 1}


def test_the_published_family_counts_its_generations() -> None:
    method = load_method("evolution")
    config = resolve(method.Config, method.presets["eagan"])
    trials = planned(Evolution, config)
    assert len(trials) == 16 * 64
    assert [trial.images for trial in trials[::64]] == [
        40 * 50_000 + i * 500_000 for i in range(16)
    ]
    assert spent(config, trials) == 190 * 50_000


def test_rungs_train_the_best_longer() -> None:
    config = config_of("halving", trials=40, eta=3, rungs=3)
    judge = landscape("autogan")
    outcomes = searched("halving", config, judge)
    rungs = {100: [], 300: [], 900: []}  # type: ignore[var-annotated]
    for outcome in outcomes:
        rungs[outcome.trial.images].append(outcome)
    for lower, higher in ((100, 300), (300, 900)):
        moved = {one.trial.name for one in rungs[higher]}
        # Who was among the best third at some moment moves up: rather more than a third.
        assert 0 <= len(moved) - len(rungs[lower]) // 3 <= 3
        assert moved <= {one.trial.name for one in rungs[lower]}
        means = mean(map(inf_free, rungs[higher])), mean(map(inf_free, rungs[lower]))
        assert means[0] < means[1]
    last = {one.trial.name: one.trial.images for one in outcomes}
    assert spent(config, [one.trial for one in outcomes]) == sum(last.values())


@extras.needs_optuna
@pytest.mark.parametrize("space", [pytest.param("adversarialnas", marks=pytest.mark.slow), "toy"])
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [
        *((sampler, "none") for sampler in ("random", "nsga2", "cmaes")),
        *(("tpe", pruner) for pruner in ("median", "halving", "hyperband")),
        pytest.param("gp", "none", marks=pytest.mark.slow),
    ],
)
def test_every_sampler_and_pruner_of_optuna_goes_on_from_its_history(
    sampler: str, pruner: str, space: str, plugin: Path
) -> None:
    config = config_of(
        "optuna", space=space, trials=45, sampler=sampler, pruner=pruner, startup=4, eta=3, rungs=3
    )
    outcomes = searched("optuna", config, landscape(space))
    assert len(outcomes) == 45
    again = strategy_of("optuna", config)
    for outcome in outcomes:
        assert again.ask() == outcome.trial
        again.tell(outcome)
    reached: dict[str, list[int]] = {}
    for outcome in outcomes:
        reached.setdefault(outcome.trial.name, []).append(outcome.trial.images)
    rungs = [100, 300, 900] if pruner != "none" else [900]
    assert all(images == rungs[: len(images)] for images in reached.values())
    assert list(reached) == list(dict.fromkeys(one.trial.name for one in outcomes))
    pruned = sum(len(images) < 3 for images in reached.values())
    assert pruner == "none" or 1 < pruned < len(reached)


@extras.needs_optuna
def test_a_study_is_kept_for_the_dashboard_of_optuna_and_made_anew_on_going_on(
    tmp_path: Path,
) -> None:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    config = config_of("optuna", trials=20, pruner="median")
    judge = landscape("autogan")
    outcomes = searched("optuna", config, lambda one: judge(one) if judge(one) < 0.8 else inf)
    for _ in range(2):
        strategy = strategy_of("optuna", config)
        for outcome in outcomes:
            assert strategy.ask() == outcome.trial
            strategy.tell(outcome)
            strategy.export(tmp_path)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))
    kept = {
        trial.user_attrs["genome"]: trial
        for trial in optuna.load_study(study_name=None, storage=storage).trials
        if "genome" in trial.user_attrs
    }
    last = {one.trial.genome.genome_id: one for one in outcomes}
    assert list(kept) == [name for name in last if name in kept]
    assert len(last) - len(kept) <= 1  # the newest may be going on
    for name, trial in kept.items():
        state, end = trial.state.name, last[name]
        if end.status != "completed":
            assert state == "FAIL"
            continue
        assert state == ("COMPLETE" if end.trial.images == 900 else "PRUNED")
        assert trial.value == end.loss
        assert max(trial.intermediate_values, default=100) in (100, 300)
    assert {trial.state.name for trial in kept.values()} == {"COMPLETE", "PRUNED", "FAIL"}


def test_without_its_extra_optuna_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("gan_nas.search.strategies.optuna.find_spec", lambda name: None)
    for more in ((), ("--dry-run",), ("--space", "degas")):
        assert run(["search", "--method", "optuna", "--run", str(tmp_path / "run"), *more]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "optuna, which is not installed: pip install 'gan-nas[optuna]'" in said.err
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidInput, match="needs optuna"):
        tiny.run_search("optuna", tmp_path / "run")


def inf_free(outcome: Outcome) -> float:
    assert outcome.loss < inf
    return outcome.loss


@pytest.mark.parametrize("against", COSTS)
def test_a_front_is_spread_over_costs(against: CostName) -> None:
    config = config_of("nsga2", trials=40, against=against)
    outcomes = searched("nsga2", config, landscape("autogan"))
    best = strategy_of("nsga2", config).best(config, outcomes, 4)
    assert [one.loss for one in best] == sorted(one.loss for one in best)
    assert best[0].loss == min(one.loss for one in outcomes)
    costs = [one.cost(against) for one in outcomes]
    assert min(one.cost(against) for one in best) == min(costs)
    assert len(set(costs)) > 3


def test_a_budget_of_images_is_kept_to_a_trial(name: str) -> None:
    config = config_of(name, trials=None, images=5_000)
    outcomes = searched(name, config, landscape("autogan"))
    trials = [one.trial for one in outcomes]
    assert spent(config, trials[:-1]) < 5_000 <= spent(config, trials)
    assert len(planned(load_method(name).strategy, config)) == pytest.approx(  # type: ignore[attr-defined]
        len(outcomes), rel=0.5
    )


def test_a_search_without_an_end_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="one of trials, images and seconds"):
        resolve(load_method(name).Config, {"trials": None})


def test_what_is_tried_keeps_the_limits(name: str) -> None:
    most = sorted(num_parameters(seed) for seed in range(10))[4]
    work: Any = load_method(name).start(tiny.search_task(name, max_params=most))
    for _ in range(4):
        trial = work.strategy.ask()
        assert generator_price(trial.genome.generator, 16, 1)[0] <= most
        work.strategy.tell(Outcome(trial=trial, status="diverged"))


def test_limits_that_no_draw_keeps_are_reached_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gan_nas.search.strategies.strategy.MOST_DRAWS", 20)
    most = 3_020  # the smallest of all have 2,997
    work: Any = load_method("random").start(tiny.search_task("random", max_params=most))
    found = work.strategy.ask().genome.generator
    assert generator_price(found, 16, 1)[0] <= most < min(map(num_parameters, range(20)))


def num_parameters(seed: int) -> int:
    return generator_price(load_space("autogan").sample(Random(seed), 4), 16, 1)[0]


def test_what_no_generator_keeps_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gan_nas.search.strategies.strategy.MOST_DRAWS", 5)
    work: Any = load_method("random").start(tiny.search_task("random", max_params=9))
    with pytest.raises(InvalidInput, match=r"within 9 parameters: the nearest has [\d,]+ param"):
        work.strategy.ask()


def test_where_all_that_keep_a_limit_were_tried_a_search_ends(plugin: Path) -> None:
    del plugin
    config = config_of("random", space="toy", trials=1_000)
    sizes = {one.trial.genome.genome_id: i for i, one in enumerate(searched_all(config))}
    work = strategy_of("random", config.model_copy(update={"max_params": 3}))
    work.choices.price = lambda genome: Price(1 + sizes[genome.genome_id], 1)
    asked = []
    while (trial := work.ask()) is not None:
        asked.append(sizes[trial.genome.genome_id])
        work.tell(Outcome(trial=trial, status="diverged"))
    assert sorted(asked) == [0, 1, 2]


def searched_all(config: StrategyConfig) -> list[Outcome]:
    return searched("random", config, landscape(config.space))


# Trials that are trained.


def test_halving_refuses_a_training_that_cannot_go_on(tmp_path: Path) -> None:
    for settings in ({"space": "degas"}, {"training_set": (*tiny.FEW, "lr_decay=linear")}):
        with pytest.raises(InvalidInput, match="lr_decay follows the length of a training"):
            tiny.run_search("halving", tmp_path / "run", **settings)
        assert not (tmp_path / "run").exists()
    method, task = load_method("halving"), tiny.search_task("halving", space="degas", rungs=1)
    method.check(task)


def test_a_budget_of_seconds_ends_a_search_of_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: Any, **options: Any) -> Any:
        raise RunFailed("it has diverged")

    monkeypatch.setattr("gan_nas.trials.training.train", failing)
    with pytest.raises(InvalidInput, match="no trial came to a good end"):
        tiny.run_search("random", tmp_path, trials=None, seconds=1e-6)


def test_a_bad_trial_is_an_outcome_and_the_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Genome] = []
    errors: dict[int, Exception] = {
        0: RunFailed("it has diverged"),
        1: RunFailed("all images are the same", "collapsed"),
        2: torch.OutOfMemoryError("CUDA out of memory"),
        3: RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"),
    }

    def harmed(genome: Genome, *args: Any, **options: Any) -> Any:
        asked.append(genome)
        if error := errors.get(len(asked) - 1):
            raise error
        return train(genome, *args, **options)

    monkeypatch.setattr("gan_nas.trials.training.train", harmed)
    result = tiny.run_search("random", tmp_path, trials=6)
    assert len(result.genomes) == 2
    failed = {"diverged": 1, "collapsed": 1, "out_of_memory": 2}
    told = {"trials": 6, "images": 6 * 32, "failed": failed, "evaluator": "train"}
    assert result.facts == told
    statuses = [row["status"] for row in tiny.Searched(tmp_path, result).log]
    assert statuses == [*("diverged", "collapsed"), *("out_of_memory",) * 2, *("completed",) * 2]


@pytest.mark.parametrize(
    "name",
    [
        "evolution",
        pytest.param("halving", marks=pytest.mark.slow),  # rungs: test_retraining stops them
        pytest.param("nsga2", marks=pytest.mark.slow),
        pytest.param("reinforce", marks=pytest.mark.slow),
        pytest.param("optuna", marks=[pytest.mark.slow, extras.needs_optuna]),
    ],
)
def test_a_search_stopped_again_and_again_is_the_one_that_was_not(
    name: str, tmp_path: Path
) -> None:
    tiny.run_search(name, tmp_path / "whole")
    interrupted = 0
    while not (tmp_path / "run" / "result.json").exists():
        looks = iter([False] * (5 + interrupted % 3))
        try:
            tiny.run_search(name, tmp_path / "run", partial(next, looks, True))
        except Interrupted:
            interrupted += 1
    assert interrupted >= 4
    assert tiny.traces(tmp_path / "run") == tiny.traces(tmp_path / "whole")


def test_latency_is_measured_when_a_trial_ends_and_kept_for_good(tmp_path: Path) -> None:
    run = partial(tiny.run_search, "nsga2", tmp_path, trials=3, population=2, against="latency")
    looks = iter([False] * 14)
    with pytest.raises(Interrupted):
        run(partial(next, looks, True))
    first = [one.latency_ms for one in outcomes_of(tmp_path)]
    assert 1 <= len(first) < 3
    result = run()
    latencies = [one.latency_ms for one in outcomes_of(tmp_path)]
    assert latencies[: len(first)] == first
    assert all(one is not None and 0 < one < 1_000 for one in latencies)
    assert [row["latency_ms"] for row in tiny.Searched(tmp_path, result).log] == latencies
    assert {row.values["latency_ms"] for row in result.genomes} <= set(latencies)
    assert {row.values["latency_ms"] for row in tiny.derive(tmp_path, 2)} <= set(latencies)
    tiny.run_search("nsga2", tmp_path / "other", trials=1)
    assert outcomes_of(tmp_path / "other")[0].latency_ms is None


def outcomes_of(directory: Path) -> list[Outcome]:
    return read_state(State, tiny.state_of(directory)).outcomes


def test_a_bug_is_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("gan_nas.trials.training.train", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        tiny.run_search("random", tmp_path)


def test_a_search_of_which_no_trial_ends_well_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: Any, **options: Any) -> Any:
        raise RunFailed("it has diverged")

    monkeypatch.setattr("gan_nas.trials.training.train", failing)
    with pytest.raises(InvalidInput, match="no trial came to a good end"):
        tiny.run_search("random", tmp_path)


@pytest.mark.slow
def test_what_moves_up_a_rung_is_trained_as_if_it_had_been_so_long(tmp_path: Path) -> None:
    result = tiny.run_search("halving", tmp_path / "run", trials=8)
    outcomes = outcomes_of(tmp_path / "run")
    high = [one for one in outcomes if one.trial.images == 32]
    assert high
    assert result.genomes[0].values["images"] == 32
    for outcome in high:
        assert [row["images"] for row in outcome.scores] == [0, 16, 32]
        task = tiny.search_task("halving", rungs=1, trials=1)
        work: Any = load_method("halving").start(task)
        alone = work.evaluator(Trial(genome=outcome.trial.genome, images=32, seed=0))
        assert alone.distance == outcome.distance


@pytest.mark.slow
def test_a_search_of_another_version_that_would_ask_otherwise_is_not_gone_on_with(
    tmp_path: Path,
) -> None:
    tiny.run_search("random", tmp_path)
    state = State(outcomes=outcomes_of(tmp_path)[:0:-1])
    work = load_method("random").start(tiny.search_task("random"), state)
    with pytest.raises(Incompatible, match="use the version of gan-nas that this search was begun"):
        work.advance()


@pytest.mark.slow
def test_derive_takes_limits(tmp_path: Path) -> None:
    result = tiny.run_search("random", tmp_path, trials=5)
    rows = tiny.derive(tmp_path, 5)
    assert rows[0] == result.genomes[0]
    most = sorted(row.parameters for row in rows)[1]
    kept = tiny.derive(tmp_path, 5, Limit(most, None))
    assert kept == [row for row in rows if row.parameters <= most]
    with pytest.raises(InvalidInput, match="no trial came to a good end within 9 parameters"):
        drive.derive(tmp_path, count=1, limit=Limit(9, None))


# Several trials at once.


class Landscape:
    """Judges trials in no time, in the place of jobs."""

    def __init__(self, num: int, judge: Judge) -> None:
        self.num, self.judge = num, judge

    def begin(self, trial: Trial, row: str) -> Trial:
        del row
        return trial

    def outcome(self, trial: Trial) -> Outcome:
        distance, places = self.judge(trial.genome), len(trial.genome.to_json())
        return Outcome(trial=trial, status="completed", distance=distance, parameters=places)


def side_by_side(name: str, num: int, state: State, trials: int) -> State:
    """Go on with a search until it has so many trials."""
    alone = tiny.ALONE if name == "evolution" else {}
    work: Any = load_method(name).start(tiny.search_task(name, trials=20, **alone), state)
    work.jobs = Landscape(num, landscape("autogan"))
    while not work.finished and work.step < trials:
        work.advance()
    return State.model_validate_json(work.state.model_dump_json())


@pytest.mark.parametrize("num", [5])  # more than the trials before an interruption
def test_what_jobs_are_asked_for_depends_neither_on_which_ends_first_nor_on_interruptions(
    name: str, num: int
) -> None:
    whole = side_by_side(name, num, State(), 20)
    assert whole.known == [max(0, i + 1 - num) for i in range(20)]
    state = State()
    for trials in range(3, 23, 3):
        state = side_by_side(name, num, state, trials)
    assert state == whole
    keys = [(one.trial.name, one.trial.images) for one in whole.outcomes]
    assert len(set(keys)) == len(keys) == 20


def test_a_search_goes_on_with_another_number_of_jobs(name: str) -> None:
    state = side_by_side(name, 1, State(), 6)
    for num, trials in ((4, 9), (1, 12), (3, 20)):
        state = side_by_side(name, num, state, trials)
    assert len(state.outcomes) == 20
    assert state.known == sorted(state.known)
    alone = side_by_side(name, 1, State(), 20)
    assert state.outcomes[:6] == alone.outcomes[:6]
    if name == "random":  # which learns nothing
        assert state.outcomes == alone.outcomes


def test_a_search_of_one_job_that_an_older_version_began_goes_on() -> None:
    state = side_by_side("evolution", 1, State(), 9)
    old = State.model_validate_json(state.model_dump_json(exclude={"known"}))
    assert old == state


def test_state_of_older_versions_had_one_job_and_shared_no_weights(tmp_path: Path) -> None:
    tiny.run_search("random", tmp_path, trials=3)
    stored = tiny.state_of(tmp_path)
    older = {name: value for name, value in stored.items() if name not in ("known", "shared")}
    assert read_state(State, older) == read_state(State, stored)
    with pytest.raises(Incompatible, match="known has 2 of 3 outcomes"):
        read_state(State, stored | {"known": [0, 1]})
    with pytest.raises(Incompatible, match="it lacks known, outcomes, shared"):
        read_state(State, {})
