"""AdversarialNAS' search from its settings to its genomes, property by property."""

from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from golden_adversarialnas import GOLDEN, as_parameters
from torch import Tensor

from gan_nas.configs import resolve
from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import build_discriminator
from gan_nas.networks.cost import num_parameters
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.results import SearchResult
from gan_nas.runs.run import Run, never, read_log
from gan_nas.search import load_method
from gan_nas.search.adversarialnas.config import PRESETS, Config
from gan_nas.search.adversarialnas.genomes import likeliest
from gan_nas.search.adversarialnas.relaxation import CellLogits
from gan_nas.search.adversarialnas.search import AdversarialNASSearch
from gan_nas.search.adversarialnas.super_gan import SuperGAN
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    UP_CELLS,
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    candidates,
)
from gan_nas.spaces.genome import read_genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.loop import train

SMALL = tiny.ADVERSARIAL | {
    "iterations": 3,
    "generator_batch_size": 4,
    "derive_every": 2,
    "score_every": 100,
    "num_scored": 100,
    "top_k": 3,
    "save_every": 100,
    "log_every": 1,
}
QUICK = {"iterations": 2, "derive_every": 100, "top_k": 1}


def search(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> SearchResult:
    return tiny.run_search("adversarialnas", directory, stop, **SMALL | changes)


def working(directory: Path | None = None, **changes: Any) -> AdversarialNASSearch:
    """Start a search; with a directory its log is written there."""
    task = tiny.search_task("adversarialnas", **SMALL | changes)
    if directory is not None:
        run = Run.open(directory, task.config.model_dump(mode="json"))
        task = replace(task, ledger=Ledger(run))
    return AdversarialNASSearch(task, None)


@pytest.fixture
def finished(searches: Callable[[str], tiny.Searched]) -> tiny.Searched:
    return searches("adversarialnas")


def test_the_log_holds_the_architectures_of_the_history_and_all_entropies(
    finished: tiny.Searched,
) -> None:
    genomes = [read_genome(path) for path in sorted(finished.directory.glob("history/*.json"))]
    architectures = [row for row in finished.log if row.get("event") == "architecture"]
    for row in architectures:
        for network, logits in (("generator", "alpha"), ("discriminator", "beta")):
            told = row["probabilities"][network]
            assert [list(cell) for cell in told] == [list(cell) for cell in row[network]]
            assert all(0 < p <= 1 for cell in told for p in cell.values())
            entropies = list(row["entropies"][logits].values())
            assert sum(entropies) / len(entropies) <= row["highest_entropies"][logits] + 1e-9
    for genome, row in zip(genomes, architectures, strict=True):
        assert isinstance(genome.generator, AdversarialNASGenerator)
        assert [cell.edges for cell in genome.generator.cells] == row["generator"]
        assert len(row["discriminator"]) == 4
        for name, cells in (("alpha", UP_CELLS), ("beta", DOWN_CELLS)):
            places = [f"{i}.{edge}" for i, cell in enumerate(cells) for edge in candidates(cell)]
            assert list(row["entropies"][name]) == places
    best = finished.result.genomes[0].values["log_probability"]
    assert architectures[-1]["log_probability"] == best
    means = {k: sum(v.values()) / len(v) for k, v in architectures[-1]["entropies"].items()}
    assert finished.result.facts["entropy"] == pytest.approx(means)


def test_the_log_holds_losses_temperature_and_scores_of_the_supernet(
    finished: tiny.Searched,
) -> None:
    rows = [row for row in finished.log if "tau" in row]
    assert [(row["step"], row["images"]) for row in rows] == [(2, 16), (4, 32), (6, 48)]
    for row in rows:
        losses = [row[name] for name in ("beta_loss", "d_loss", "alpha_loss", "g_loss")]
        assert all(map(isfinite, losses))
    assert [row["tau"] for row in rows] == sorted((row["tau"] for row in rows), reverse=True)
    assert rows[0]["tau"] < 5.0
    scores = [row for row in finished.log if "classifier_score" in row]
    assert [row["step"] for row in scores] == [3, 6]
    assert finished.result.supernet.items() <= scores[-1].items()
    assert scores[-1]["classifier_score"] >= 1


def test_an_iteration_is_algorithm_1_on_halves_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = working()
    taken: list[tuple[str, list[Tensor]]] = []
    names = ["beta_step", "discriminator_step", "alpha_step", "generator_step"]

    def noted(name: str) -> Callable[..., Tensor]:
        take = getattr(work.gan, name)

        def call(*inputs: Tensor) -> Tensor:
            taken.append((name, list(inputs)))
            return take(*inputs)

        return call

    for name in names:
        monkeypatch.setattr(work.gan, name, noted(name))
    for step in range(3):
        taken.clear()
        work.advance()
        assert [name for name, _ in taken] == names[: 4 if step % 2 == 0 else 2]
        inputs = dict(taken)
        real = work.batches.at(step)
        assert torch.equal(inputs["beta_step"][0], real[4:])
        assert torch.equal(inputs["discriminator_step"][0], real[:4])
        latents = [z[-1] for _, z in taken]
        assert {z.shape for z in latents} == {(4, 120)}
        assert len({float(z[0, 0]) for z in latents}) == len(latents)  # none is used twice


# sn_resnet is bequeathed
@pytest.mark.parametrize(
    "discriminator", [pytest.param("super", marks=pytest.mark.slow), "autogan_grown"]
)
def test_the_generator_alone_is_searched_against_a_fixed_discriminator(
    tmp_path: Path, discriminator: str
) -> None:
    settings = QUICK | {"discriminator": discriminator, "iterations": 3}
    result = search(tmp_path / "run", plain=False, **settings)
    assert len(result.genomes) == 1
    assert result.facts["entropy"].keys() == {"alpha"}
    lines = read_log(tmp_path / "run")
    assert not any("beta_loss" in line or "discriminator" in line for line in lines)
    assert all(isfinite(line["alpha_loss"]) for line in lines if "tau" in line)
    assert (tmp_path / "run" / "edges.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"hard": True, "noise_on": "logprob", "num_latent_parts": 2, "ema_decay": 0.0},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"mixture": "softmax", "passes": "apart", "first_cell_logits": 7, "precision": "bf16"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_every_variant_runs_to_its_end(tmp_path: Path, changes: dict[str, Any]) -> None:
    result = search(tmp_path / "run", **QUICK | changes)
    (row,) = result.genomes
    genome = read_genome(Path(row.file)).generator
    assert isinstance(genome, AdversarialNASGenerator)
    assert genome.num_latent_parts == changes.get("num_latent_parts", 3)
    assert result.facts["entropy"].keys() == {"alpha", "beta"}


def test_the_searched_discriminator_goes_into_the_genomes_and_can_be_trained(
    tmp_path: Path,
) -> None:
    result = search(tmp_path / "run", **QUICK | {"derived_discriminator": "searched"})
    genome = read_genome(Path(result.genomes[0].file))
    searched = genome.discriminator
    assert isinstance(searched, AdversarialNASDiscriminator)
    (line,) = [line for line in read_log(tmp_path / "run") if "discriminator" in line]
    assert [cell.edges for cell in searched.cells] == line["discriminator"]
    assert build_discriminator(searched, 16, 1)
    config = TrainingConfig.model_validate(tiny.TRAINING | {"steps": 1, "num_scored": 100})
    trained = train(
        genome,
        tiny.digits(),
        config,
        tmp_path / "trained",
        resolution=16,
        device=tiny.CPU,
        backbone=tiny.backbone(),
    )
    assert isfinite(trained.last["frechet_distance[classifier]"])


@pytest.mark.parametrize("case", range(2))  # of all eight see test_derivation.py
def test_the_published_derivation_is_the_authors_first_then_the_best(case: int) -> None:
    """Their stored genotypes, of both networks, from the same logits."""
    config = resolve(Config, PRESETS["published"])
    for cells, (normal, others), genotype in (
        (UP_CELLS, ("alphas_normal", "alphas_up"), "genotype_G"),
        (DOWN_CELLS, ("betas_normal", "betas_down"), "genotype_D_ref_dim1bug"),
    ):
        logits = CellLogits(cells, normal_entry=True)
        stored = [torch.from_numpy(GOLDEN[f"derive/{name}"][case]) for name in (normal, others)]
        for name, tensor in as_parameters(logits, *stored).items():
            logits.get_parameter(name).data.copy_(tensor)
        for ours, theirs in zip(logits.matrices(), stored, strict=True):
            assert torch.allclose(torch.from_numpy(ours), theirs, atol=1e-6)
        found = likeliest(config, logits, 3)
        numbers = [
            [ops.index(edges[edge]) for edge, ops in candidates(cell).items()]
            for cell, edges in zip(cells, found[0].cells, strict=True)
        ]
        assert numbers == GOLDEN[f"derive/{genotype}"][case].tolist()
        exact = likeliest(config.model_copy(update={"derivation": "exact"}), logits, 3)
        others_ = [one for one in exact if one.cells != found[0].cells]
        assert found[1:] == others_[:2]
        assert found[0].log_probability <= exact[0].log_probability + 1e-9
        same = [one.log_probability for one in exact if one.cells == found[0].cells]
        assert same == pytest.approx([found[0].log_probability] * len(same))


def test_logits_without_phantoms_fill_them_with_none() -> None:
    logits = CellLogits(DOWN_CELLS)
    normal, others = logits.matrices()
    assert (normal.shape, others.shape) == ((4, 5, 7), (4, 2, 6))
    assert (normal[0, :3, 5:] == float("-inf")).all()
    config = resolve(Config, PRESETS["published"])
    assert likeliest(config, logits, 1)[0].cells[0]["0-1"] == "conv_1x1"


def test_scores_of_the_published_search_leave_its_average_in_place_of_the_weights(
    tmp_path: Path,
) -> None:
    """But for the last: what is derived comes from the raw alpha."""
    for replaces in (False, True):
        changes = {"num_critic": 1, "iterations": 2, "ema_decay": 0.5}
        work = working(average_replaces=replaces, **changes)
        gan = work.gan.gan
        for due in (1, 2):
            work.advance()
            raw = [p.detach().clone() for p in gan.generator.parameters()]
            averages = [average.clone() for average in gan._averages]
            work.score()
            expected = averages if replaces and due == 1 else raw
            assert all(map(torch.equal, gan.generator.parameters(), expected))
            assert all(map(torch.equal, gan._averages, averages))
            assert not torch.equal(raw[0], averages[0])


def test_the_generators_turn_is_the_first_iteration_of_a_cycle_or_the_last(tmp_path: Path) -> None:
    for turn, steps in (("first", [1, 1, 2]), ("last", [0, 1, 1])):
        changes = {"generator_turn": turn, "num_critic": 2, "iterations": 4}
        work = working(tmp_path / turn, **changes)
        seen = []
        for _ in steps:
            work.advance()
            seen.append(work.gan.gan.generator_steps)
        assert seen == steps
        logged = [row for row in read_log(tmp_path / turn) if "tau" in row]
        assert [("g_loss" in row, "alpha_loss" in row) for row in logged] == [
            (count > 0, count > 0) for count in steps
        ]


def test_the_presets_have_the_published_schedules() -> None:
    paper, published = (resolve(Config, PRESETS[name]) for name in ("paper", "published"))
    assert (paper.batch_size, paper.generator_batch_size, paper.num_critic) == (100, 100, 5)
    assert paper.iterations // paper.num_critic == 2_500  # generator updates
    assert (published.batch_size, published.generator_batch_size) == (120, 120)
    assert published.iterations == 24 * -(-50_000 // 120) == 10_008
    assert (paper.architecture_beta2, published.architecture_beta2) == (0.9, 0.999)
    for config in (paper, published):
        assert (config.width, config.discriminator_width, config.derived_width) == (160, 80, 256)
        assert (config.generator_lr, config.discriminator_lr) == (2e-4, 2e-4)
        assert (config.beta1, config.beta2) == (0.0, 0.9)
        assert (config.architecture_lr, config.architecture_weight_decay) == (3e-4, 1e-4)
        assert (config.architecture_beta1, config.num_critic) == (0.5, 5)
        assert (config.tau_first, config.tau_last, config.tau_levels) == (5.0, 0.1, 25)
        assert (config.mixture, config.noise_on, config.hard) == ("gumbel", "prob", False)
        assert config.ema_decay == 0.999


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"latent_dim": 100}, "latent_dim 100 cannot be split in 3 equal parts; use a multiple of"),
        (
            {"discriminator": "super", "derived_discriminator": "searched"},
            "derived_discriminator=searched needs discriminator=searched, which is super",
        ),
        ({"tau_last": 6.0}, "tau_last 6 is above tau_first 5"),
        ({"hard": True, "mixture": "softmax"}, "hard=true draws operations and needs mixture="),
        ({"discriminator": "nobody"}, "discriminator"),
        ({"num_critics": 5}, "did you mean num_critic"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        resolve(Config, settings)


def test_the_sizes_are_those_of_spaces_and_supernets() -> None:
    config = Config.model_validate(SMALL)
    sizes = load_method("adversarialnas").sizes(config, 16, 1)
    assert sizes["generators"] == pytest.approx(3.461e15, rel=1e-3)
    assert sizes["discriminators"] == pytest.approx(4.884e22, rel=1e-3)
    networks = SuperGAN(config, 16, 1, tiny.CPU)
    logits = 123 + 182  # of alpha and beta
    built = num_parameters(networks.generator) + num_parameters(networks.discriminator)
    assert sizes["supernet_parameters"] == built - logits
