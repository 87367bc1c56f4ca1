"""EAGAN's second stage: discriminators judged by generators of their own."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import extras
import pytest
import tiny
import torch

from gan_nas.errors import InvalidInput
from gan_nas.networks.cost import discriminator_cost
from gan_nas.runs.ledger import Ledger
from gan_nas.search import STRATEGIES, load_method
from gan_nas.search.best import FREE
from gan_nas.search.inheritance import read_supernets
from gan_nas.search.strategies.budget import planned, spent
from gan_nas.search.strategies.strategy import Candidates
from gan_nas.spaces.eagan import EAGANDiscriminator
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import published_genome
from gan_nas.spaces.registry import load_space
from gan_nas.trials.pairs import Pairs

GENERATOR = published_genome("eagan-cifar10").generator
Weights = dict[str, torch.Tensor]


def begun(**values: Any) -> Any:
    task = tiny.search_task("evolution", **tiny.PAIRS | values)
    return load_method("evolution").start(replace(task, ledger=Ledger()))


def pairs_of(work: Any) -> Pairs:
    assert isinstance(work.evaluator.supernet, Pairs)
    return work.evaluator.supernet


def generators(pairs: Pairs) -> dict[str, Weights]:
    """Return the generator's weights of each pair, as they are now."""
    pairs.put_down()
    return {name: groups["generator"] for name, groups in pairs.weights.items()}


def equal(a: Weights, b: Weights) -> bool:
    return all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def ids(work: Any) -> list[str]:
    return [genome.genome_id for genome in work.strategy.population]


@pytest.mark.slow
def test_a_generation_begins_with_copies_of_the_best_generator_which_then_go_their_ways() -> None:
    work = begun()
    pairs = pairs_of(work)
    warm = 40 // 8 // 2 + 1  # steps of the generator, each with two of the discriminator
    while not work.finished and pairs.shared.steps < warm:
        work.advance()
    first = {name: tensor.clone() for name, tensor in pairs.gan.saved()["generator"].read().items()}
    for number in range(2):
        members = ids(work)
        assert len(set(members)) == 4
        pairs.reset(members)
        assert all(equal(first, one) for one in generators(pairs).values())
        work.advance()  # a piece of the training
        while len(work.state.outcomes) < 4 * (number + 1):
            trained = generators(pairs)
            assert list(trained) == members
            work.advance()
        trained = generators(pairs)
        assert not any(equal(one, first) for one in trained.values())
        assert not any(equal(trained[a], trained[b]) for a in members for b in members if a != b)
        assert work.finished == (number == 1)
        outcomes = work.state.outcomes[4 * number :]
        assert [one.trial.genome.genome_id for one in outcomes] == members
        best = min(outcomes, key=lambda one: one.loss)
        first = trained[best.trial.genome.genome_id]
        if number == 0:  # who survives is judged anew, the best of all first
            assert ids(work)[0] == best.trial.genome.genome_id
            assert set(ids(work)[:2]) < set(members)
            assert not set(ids(work)[2:]) & set(members)


def test_a_cycle_trains_one_pair_alone_and_all_take_turns() -> None:
    work = begun()
    pairs = pairs_of(work)
    while not work.state.outcomes:
        work.advance()
    members = work.strategy.population
    turns, begin = [], pairs.begin
    for cycle in range(8):
        pairs.shared.steps = begin + cycle
        before = generators(pairs)
        pairs._cycle(members)
        turns.append(pairs.active)
        after = generators(pairs)
        moved = [name for name, one in after.items() if not equal(one, before[name])]
        assert len(moved) == 1
    assert sorted(map(str, turns[:4])) == sorted(map(str, turns[4:])) == sorted(ids(work))


@pytest.mark.slow
def test_what_a_discriminator_is_worth_are_its_generators_scores() -> None:
    work = begun()
    while not work.finished:
        work.advance()
    pairs, (*_, last) = pairs_of(work), work.state.outcomes
    again = work.evaluator(last.trial)
    assert again.distance == last.distance
    best = min(work.state.outcomes[4:], key=lambda one: one.loss)
    pairs.put_down()
    kept = pairs.weights
    pairs.weights = dict.fromkeys(kept, kept[best.trial.genome.genome_id])
    assert work.evaluator(last.trial).distance == best.distance  # whatever its discriminator is


@pytest.mark.slow
def test_what_is_found_has_the_generator_and_the_discriminators_own_cost(tmp_path: Path) -> None:
    result = tiny.run_search("evolution", tmp_path, **tiny.PAIRS)
    assert result.facts["trials"] == 8
    assert result.facts["images"] == 40 + 2 * 64
    for row in result.genomes:
        genome = read_genome(Path(row.file))
        assert genome.generator == GENERATOR.model_copy(update={"width": 4})
        assert isinstance(genome.discriminator, EAGANDiscriminator)
        cost = discriminator_cost(genome.discriminator, 16, 1)
        assert (row.parameters, row.macs) == (cost.parameters, cost.macs)
        assert row.words == genome.discriminator.summary
    best = tiny.derive(tmp_path, 3)
    assert [row.id for row in best[:2]] == [row.id for row in result.genomes]
    with pytest.raises(InvalidInput, match="trains no network that genomes"):
        read_supernets(tmp_path)


@pytest.mark.parametrize("name", extras.methods(STRATEGIES))
def test_any_strategy_searches_discriminators_that_are_trained_alone(name: str) -> None:
    config = load_method(name).Config(
        space="adversarialnas", generator=GENERATOR, trial_images=900, trials=12
    )
    choices = Candidates(load_space("adversarialnas"), config, lambda genome: FREE)
    trials = planned(load_method(name).strategy, config)  # type: ignore[attr-defined]
    assert len(trials) == 12
    for trial in trials:
        assert trial.genome.generator == GENERATOR.model_copy(update={"width": config.width})
        assert isinstance(trial.genome.discriminator, EAGANDiscriminator)
        assert trial.genome.discriminator.width == config.discriminator_width
        assert choices.numbered(choices.numbers(trial.genome), Random(0)) == trial.genome


def test_the_published_second_stage_counts_its_generations() -> None:
    method = load_method("evolution")
    preset = dict(method.presets["eagan-discriminators"])
    config = method.Config(**preset, generator=GENERATOR)
    trials = planned(method.strategy, config)  # type: ignore[attr-defined]
    assert len(trials) == 16 * 32
    # First judged after 50 epochs, of which 40 are the warm-up; 200 in all.
    assert [trial.images for trial in trials[::32]] == [
        50 * 50_000 + i * 500_000 for i in range(16)
    ]
    assert spent(config, trials) == 200 * 50_000
    assert all(len({t.name for t in trials[i:][:32]}) == 32 for i in range(0, 512, 32))
    kept = {t.name for t in trials[:32]} & {t.name for t in trials[32:64]}
    assert len(kept) == 16


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("evolution", {"generator": None}, "pairs judges a discriminator, and generators are"),
        ("evolution", {"evaluator": "shared"}, "shared judges a generator, and discriminators"),
        ("evolution", {"children": "judged"}, "trains all discriminators of a generation before"),
        ("evolution", {"generation_images": 0}, "children = trained and generation_images = 0"),
        ("evolution", {"generation_images": 32}, "has 4 pairs, and its images last for 2 steps"),
        ("evolution", {"space": "autogan"}, "space = autogan, and the generator given is of adv"),
        ("evolution", {"resolution": 24}, "resolution 24 with evaluator pairs: its discrimin"),
        ("evolution", {"training_set": ("framework=mmd",)}, "framework mmd does not train the"),
        ("evolution", {"images": 40}, "images = 40, and the supernet alone sees"),
        ("nsga2", {"against": "latency"}, "latency is that of the generator, which is given"),
        ("random", {}, "take method evolution with children trained"),
    ],
)
def test_what_makes_no_sense_of_discriminators_is_refused(
    name: str, values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    own = load_method(name).Config.model_fields
    settings = {key: value for key, value in tiny.PAIRS.items() if key in own} | values
    if name == "nsga2":
        settings["evaluator"] = "train"
    with pytest.raises((InvalidInput, ValueError), match=said):
        tiny.run_search(name, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
