"""What holds of every strategy: it asks for trials, is told, and knows nothing else."""

from math import inf
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

import extras
import pytest
import tiny
from landscape import config_of, landscape, searched, strategy_of

from gan_nas.configs import resolve
from gan_nas.errors import InvalidInput
from gan_nas.networks.cost import generator_price
from gan_nas.search import STRATEGIES, load_method
from gan_nas.search.best import FREE, Price
from gan_nas.search.strategies.budget import planned, spent, whole
from gan_nas.search.strategies.evolution import Evolution
from gan_nas.search.strategies.reinforce import rewards
from gan_nas.search.strategies.strategy import Candidates, StrategyConfig
from gan_nas.spaces.registry import load_space, space_names
from gan_nas.trials.front import Point, crowded_order
from gan_nas.trials.trial import COSTS, CostName, Outcome, Status


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
