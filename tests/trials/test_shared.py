"""Trials on shared weights: a path of the supernet is its genome's own network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import build_generator, choose_cells
from gan_nas.networks.slots import inherited_state
from gan_nas.networks.states import load_module_state, module_state, read_groups
from gan_nas.scoring.generating import generate
from gan_nas.search import drive, load_method
from gan_nas.search.inheritance import read_supernets, start_from
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.spaces.registry import BUILT_IN
from gan_nas.trials import EVALUATORS, load_evaluator
from gan_nas.trials.shared import SharedEvaluator
from gan_nas.trials.trial import Trial

WARM = 40  # images, a step being of 8


def begun(**values: Any) -> Any:
    """Return a search on shared weights that has not begun to train them."""
    values = {"evaluator": "shared", "supernet_images": WARM, **values}
    return load_method("random").start(tiny.search_task("random", **values))


def evaluator_of(work: Any) -> SharedEvaluator:
    assert isinstance(work.evaluator, SharedEvaluator)
    return work.evaluator


def trial_of(work: Any, seed: int = 0, images: int = WARM) -> Trial:
    genome = work.strategy.choices.random(Random(seed))
    return Trial(genome=genome, images=images, seed=0)


def train(work: Any, trial: Trial, paths: tuple[Genome, ...] = ()) -> None:
    while work.evaluator.prepare(trial, paths):
        pass


def weights(work: Any) -> dict[str, Tensor]:
    named = evaluator_of(work).trained().generator.named_parameters()
    return {name: weight.detach().clone() for name, weight in named}


def path_of(work: Any, genome: Genome) -> set[int]:
    """Return where the weights of a genome lie."""
    network = evaluator_of(work).trained().generator
    choose_cells(network, genome.generator)
    return {tensor.data_ptr() for tensor in inherited_state(network).values()}


@pytest.mark.parametrize("space", [*BUILT_IN, "toy"])
def test_every_space_is_searched_and_its_genomes_inherit(
    space: str, tmp_path: Path, plugin: Path
) -> None:
    del plugin
    values = {"evaluator": "shared", "supernet_images": WARM, "space": space, "trials": 3}
    result = tiny.run_search("random", tmp_path, **values)
    assert result.facts["images"] == WARM
    best = read_genome(Path(result.genomes[0].file))
    assert best.generator.space == space
    assert result.genomes[0].scores["frechet_distance[classifier]"] == pytest.approx(
        result.genomes[0].values["distance"]
    )
    supernets = read_supernets(tmp_path)
    start = start_from(supernets, best, 16, 1)
    network = build_generator(best.generator, 16, 1)
    load_module_state(network, start.generator)
    choose_cells(supernets.trained.generator, best.generator)
    z = torch.randn(4, best.generator.latent_dim, device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(network(z), supernets.trained.generator(z))


def test_judging_trains_nothing_and_is_repeatable_and_the_seed_is_that_of_latents() -> None:
    work = begun()
    trial = trial_of(work)
    train(work, trial)
    before = {
        (group, name): tensor.clone()
        for group, tensors in read_groups(work.saved()).items()
        for name, tensor in tensors.items()
    }
    first, again = (work.evaluator(trial) for _ in range(2))
    assert tiny.timeless(first.model_dump()) == tiny.timeless(again.model_dump())
    other = work.evaluator(trial.model_copy(update={"seed": 1}))
    assert other.distance != first.distance
    assert work.evaluator(trial_of(work, 1)).distance != first.distance
    after = read_groups(work.saved())
    assert all(torch.equal(tensor, after[group][name]) for (group, name), tensor in before.items())
    assert first.passport == again.passport
    assert first.score is not None


def test_images_of_a_path_are_those_of_its_genomes_own_network() -> None:
    """Alone as in the supernet, with the statistics of its own batch."""
    work = begun()
    trial = trial_of(work, 3)
    train(work, trial)
    outcome, supernet = work.evaluator(trial), evaluator_of(work).supernet
    generator = trial.genome.generator
    choose_cells(supernet.gan.generator, generator)
    network = build_generator(generator, 16, 1)
    states = inherited_state(supernet.gan.generator)
    load_module_state(network, module_state(network) | states)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    random = torch.Generator(device="cpu").manual_seed(5)
    with torch.no_grad():
        network.train()(torch.randn(256, generator.latent_dim, generator=random, device="cpu"))
    fakes = generate(network.eval(), 50, generator.latent_dim, 0, tiny.CPU)
    scores = supernet._scorer.score(fakes)
    has_norms = any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    close = 0.2 if has_norms else 1e-4  # other latents re-estimated them
    assert scores["frechet_distance[classifier]"] == pytest.approx(outcome.distance, rel=close)


@pytest.mark.parametrize("warm", [False, True])
def test_a_step_trains_a_path_alone_of_the_whole_space_and_then_of_the_population(
    warm: bool,
) -> None:
    work = begun(trials=1)
    only = trial_of(work, 7).genome
    if warm:
        train(work, trial_of(work))
    before = weights(work)
    train(work, trial_of(work, images=WARM * (1 + warm)), (only,))
    network = evaluator_of(work).trained().generator
    theirs = path_of(work, only)
    changed = {
        name: weight.data_ptr()
        for name, weight in network.named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert changed
    assert (set(changed.values()) <= theirs) == warm


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("halving", {}, "halving trains the better genomes longer, and shared weights .* rungs 1"),
        ("random", {"images": WARM}, "images = 40, and the supernet alone sees"),
        ("random", {"images": 99, "trials": None}, "see no images of their own: limit trials or"),
        ("random", {"training_set": (*tiny.FEW, "compile=true")}, "another path of the supernet"),
        ("random", {"evaluator": "shared:x"}, "evaluator = shared:x: nothing follows shared"),
        ("random", {"evaluator": "sharde"}, "unknown evaluator 'sharde', did you mean shared"),
        ("evolution", {"evaluator": "train"}, "evaluator train has none: take evaluator shared"),
        ("evolution", {"selection": "aged"}, "generation_images = 24 with selection aged"),
    ],
)
def test_what_makes_no_sense_on_shared_weights_is_refused(
    name: str, values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    values = {"evaluator": "shared", "supernet_images": WARM} | values
    with pytest.raises((InvalidInput, ValueError), match=said):
        tiny.run_search(name, tmp_path / "run", **values)
    assert not (tmp_path / "run").exists()


def test_one_job_is_enough_for_shared_weights() -> None:
    task = tiny.search_task("random", evaluator="shared", supernet_images=WARM)
    method = load_method("random")
    assert not method.side_by_side(task.config)
    assert method.side_by_side(tiny.search_task("random").config)
    with pytest.raises(InvalidInput, match="one trial after the other: it takes one job, not 2"):
        drive.plan(method, replace(task, jobs=2))


def test_seconds_of_the_supernet_count_and_a_trial_is_made_all_the_same(tmp_path: Path) -> None:
    values = {"evaluator": "shared", "supernet_images": WARM, "trials": None, "seconds": 1e-6}
    result = tiny.run_search("random", tmp_path, top_k=1, **values)
    assert result.facts["trials"] == 1


def test_evaluators_are_named_once() -> None:
    kinds: dict[str, Callable[..., Any]] = {name: load_evaluator(name) for name in EVALUATORS}
    assert len(set(kinds.values())) == len(kinds)
