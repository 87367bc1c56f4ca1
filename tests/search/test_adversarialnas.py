"""AdversarialNAS' search from its settings to its genomes, property by property."""

import json
from collections.abc import Callable
from math import isfinite, log
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from golden_adversarialnas import GOLDEN, as_parameters
from PIL import Image
from torch import Tensor

from gan_nas.configs import resolve
from gan_nas.errors import Interrupted, InvalidInput, RunFailed
from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.cost import num_parameters
from gan_nas.progress import silent
from gan_nas.runs.run import Run, never, read_log
from gan_nas.scoring.scorer import Scorer
from gan_nas.search.adversarialnas import search as adversarialnas
from gan_nas.search.adversarialnas.derivation import cheapest
from gan_nas.search.adversarialnas.prices import generator_prices
from gan_nas.search.adversarialnas.relaxation import CellLogits
from gan_nas.search.adversarialnas.search import PRESETS, Config, _Search, ranked
from gan_nas.search.adversarialnas.super_gan import sizes_of
from gan_nas.spaces.adversarialnas import (
    DOWN_CELLS,
    UP_CELLS,
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    candidates,
)
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
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


def search(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> dict[str, Any]:
    return tiny.run_search("adversarialnas", directory, stop, **SMALL | changes)


def derive(directory: Path, count: int, **limits: int) -> list[dict[str, Any]]:
    result = adversarialnas.derive(directory, count=count, device=tiny.CPU, **limits)
    return result["genomes"]


def working(directory: Path, **changes: Any) -> _Search:
    """Open a search without beginning it."""
    config = Config.model_validate(SMALL | changes)
    run = Run.open(directory, config.model_dump(mode="json"))
    images = tiny.digits().at(16)
    scorer = Scorer(tiny.backbone(), images, 16, config.num_splits, config.num_reference, None)
    return _Search(config, scorer, run, tiny.CPU, silent)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("search") / "run"
    return directory, search(directory)


@pytest.fixture(scope="module")
def log_lines(finished: tuple[Path, dict[str, Any]]) -> list[dict[str, Any]]:
    return read_log(finished[0])


def test_a_search_ends_with_distinct_valid_genomes_best_first(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    directory, result = finished
    rows = result["genomes"]
    assert len({row["id"] for row in rows}) == len(rows) == 3
    scores = [row["log_probability"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < 0
    for row in rows:
        genome = read_genome(Path(row["file"]))
        assert genome.genome_id == row["id"]
        assert isinstance(genome.generator, AdversarialNASGenerator)
        assert genome.generator.width == 4
        assert genome.discriminator == SNResNetDiscriminator(space="sn_resnet", width=4)
        assert genome.source is not None
        assert "seed 0" in str(genome.source.where)
        network = build_generator(genome.generator, 16, 1)
        assert num_parameters(network) == row["parameters"]
        assert row["words"] == [cell.words for cell in genome.generator.cells]
    assert json.loads((directory / "result.json").read_text()) == result
    assert {path.stem for path in directory.glob("genomes/*.json")} == {row["id"] for row in rows}


def test_the_history_holds_the_best_genome_of_each_moment(
    finished: tuple[Path, dict[str, Any]], log_lines: list[dict[str, Any]]
) -> None:
    directory, result = finished
    paths = sorted(directory.glob("history/*.json"))
    assert [path.name for path in paths] == ["0000002.json", "0000003.json"]
    genomes = [read_genome(path) for path in paths]
    architectures = [row for row in log_lines if row.get("event") == "architecture"]
    for genome, row in zip(genomes, architectures, strict=True):
        assert isinstance(genome.generator, AdversarialNASGenerator)
        assert [cell.edges for cell in genome.generator.cells] == row["generator"]
    assert genomes[-1].genome_id == result["genomes"][0]["id"]
    assert architectures[-1]["log_probability"] == result["genomes"][0]["log_probability"]


def test_edges_and_samples_are_pictures(finished: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = finished
    with Image.open(directory / "edges.png") as picture:
        assert picture.format == "PNG"
        assert 500 < picture.width < 3000
        assert 800 < picture.height < 3000  # 49 edges, and the entropies
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    with Image.open(directory / "samples" / "0000003.png") as picture:
        assert picture.format == "PNG"


def test_the_log_holds_the_entropy_of_every_row_of_alpha_and_beta(
    log_lines: list[dict[str, Any]], finished: tuple[Path, dict[str, Any]]
) -> None:
    rows = [row for row in log_lines if row.get("event") == "architecture"]
    assert [row["step"] for row in rows] == [2, 3]
    for row in rows:
        assert {name: len(edges) for name, edges in row["entropies"].items()} == {
            "alpha": 21,
            "beta": 28,
        }
        for name, cells in (("alpha", UP_CELLS), ("beta", DOWN_CELLS)):
            for index, cell in enumerate(cells):
                for edge, ops in candidates(cell).items():
                    assert 0 < row["entropies"][name][f"{index}.{edge}"] <= log(len(ops))
        assert [len(row["generator"]), len(row["discriminator"])] == [3, 4]
    means = {k: sum(v.values()) / len(v) for k, v in rows[-1]["entropies"].items()}
    assert finished[1]["entropy"] == pytest.approx(means)


def test_the_log_holds_losses_and_temperature(log_lines: list[dict[str, Any]]) -> None:
    rows = [row for row in log_lines if "tau" in row]
    assert [(row["step"], row["images"]) for row in rows] == [(1, 8), (2, 16), (3, 24)]
    for row in rows:
        losses = [row[name] for name in ("beta_loss", "d_loss", "alpha_loss", "g_loss")]
        assert all(map(isfinite, losses))
    assert [row["tau"] for row in rows] == sorted((row["tau"] for row in rows), reverse=True)
    assert rows[0]["tau"] == 5.0


def test_the_supernet_is_scored_at_the_end(
    finished: tuple[Path, dict[str, Any]], log_lines: list[dict[str, Any]]
) -> None:
    supernet = finished[1]["supernet"]
    assert (supernet["step"], supernet["images"]) == (3, 24)
    assert isfinite(supernet["frechet_distance[classifier]"])
    assert supernet["classifier_score"] >= 1
    assert [row["step"] for row in log_lines if "classifier_score" in row] == [3]


def test_another_seed_finds_other_genomes(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (row,) = search(tmp_path / "run", **QUICK, seed=1)["genomes"]
    assert row["id"] not in {other["id"] for other in finished[1]["genomes"]}


def test_an_iteration_is_algorithm_1_on_halves_of_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = working(tmp_path)
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


def test_derive_goes_on_with_the_searchs_list(finished: tuple[Path, dict[str, Any]]) -> None:
    directory, result = finished
    rows = derive(directory, 5)
    assert len({row["id"] for row in rows}) == len(rows) == 5
    assert tiny.timeless(rows[:3]) == tiny.timeless(result["genomes"])
    scores = [row["log_probability"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(read_genome(Path(row["file"])).genome_id == row["id"] for row in rows)
    assert "classifier_score" in read_log(directory)[-1]  # the log is as the search left it


def test_derive_keeps_limits(finished: tuple[Path, dict[str, Any]]) -> None:
    directory, result = finished
    params = min(row["parameters"] for row in result["genomes"]) - 1
    macs = min(row["macs"] for row in result["genomes"]) - 1
    rows = derive(directory, 2, max_params=params, max_macs=macs)
    assert len(rows) == 2
    assert all(row["parameters"] <= params and row["macs"] <= macs for row in rows)
    assert rows[0]["log_probability"] < result["genomes"][-1]["log_probability"]


def test_a_search_keeps_its_limits(tmp_path: Path) -> None:
    config = Config.model_validate(SMALL)
    least = cheapest(UP_CELLS, generator_prices(sizes_of(config, 4), 16, 1))
    most = least.parameters + 300
    result = search(tmp_path / "run", **QUICK | {"max_params": most, "top_k": 2})
    assert len(result["genomes"]) == 2
    assert all(row["parameters"] <= most for row in result["genomes"])


def test_impossible_limits_are_refused_at_once_with_the_smallest_possible(
    tmp_path: Path, finished: tuple[Path, dict[str, Any]]
) -> None:
    config = Config.model_validate(SMALL | {"max_params": 10})
    least = cheapest(UP_CELLS, generator_prices(sizes_of(config, 4), 16, 1))
    said = f"{least.parameters:,} parameters, or {least.macs:,} multiply-adds"
    with pytest.raises(InvalidInput, match=f"within 10 parameters: .*{said}"):
        search(tmp_path / "run", max_params=10)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidInput, match=f"10 parameters and 9 multiply-adds: .*{said}"):
        derive(finished[0], 2, max_params=10, max_macs=9)


def test_an_impossible_resolution_leaves_no_directory_behind(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="multiple of 16"):
        search(tmp_path / "run", resolution=24)
    assert not (tmp_path / "run").exists()


def test_derive_refuses_a_search_that_has_not_ended(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        search(tmp_path / "run", lambda: True)
    with pytest.raises(InvalidInput, match="has not ended"):
        derive(tmp_path / "run", 2)


def test_derive_refuses_the_run_of_another_method(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", {"method": "autogan"}).close()
    with pytest.raises(InvalidInput, match="no search by adversarialnas: autogan"):
        derive(tmp_path / "run", 2)
    with pytest.raises(InvalidInput, match="not a run directory"):
        derive(tmp_path, 2)


@pytest.mark.parametrize("discriminator", ["super", "sn_resnet", "autogan_grown"])
def test_the_generator_alone_is_searched_against_a_fixed_discriminator(
    tmp_path: Path, discriminator: str
) -> None:
    result = search(tmp_path / "run", **QUICK | {"discriminator": discriminator, "iterations": 3})
    assert len(result["genomes"]) == 1
    assert result["entropy"].keys() == {"alpha"}
    lines = read_log(tmp_path / "run")
    assert not any("beta_loss" in line or "discriminator" in line for line in lines)
    assert all(isfinite(line["alpha_loss"]) for line in lines if "tau" in line)
    assert (tmp_path / "run" / "edges.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "changes",
    [
        {"hard": True, "noise_on": "logprob", "num_latent_parts": 2, "ema_decay": 0.0},
        {"mixture": "softmax", "passes": "apart", "first_cell_logits": 7, "precision": "bf16"},
    ],
    ids=str,
)
def test_every_variant_runs_to_its_end(tmp_path: Path, changes: dict[str, Any]) -> None:
    result = search(tmp_path / "run", **QUICK | changes)
    (row,) = result["genomes"]
    genome = read_genome(Path(row["file"])).generator
    assert isinstance(genome, AdversarialNASGenerator)
    assert genome.num_latent_parts == changes.get("num_latent_parts", 3)
    assert result["entropy"].keys() == {"alpha", "beta"}


def test_the_searched_discriminator_goes_into_the_genomes_and_can_be_trained(
    tmp_path: Path,
) -> None:
    result = search(tmp_path / "run", **QUICK | {"derived_discriminator": "searched"})
    genome = read_genome(Path(result["genomes"][0]["file"]))
    judge = genome.discriminator
    assert isinstance(judge, AdversarialNASDiscriminator)
    (line,) = [line for line in read_log(tmp_path / "run") if "discriminator" in line]
    assert [cell.edges for cell in judge.cells] == line["discriminator"]
    assert build_discriminator(judge, 16, 1)
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
    assert isfinite(trained["last"]["frechet_distance[classifier]"])


@pytest.mark.parametrize("case", range(8))
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
        found = ranked(config, logits, 3)
        numbers = [
            [ops.index(edges[edge]) for edge, ops in candidates(cell).items()]
            for cell, edges in zip(cells, found[0].cells, strict=True)
        ]
        assert numbers == GOLDEN[f"derive/{genotype}"][case].tolist()
        exact = ranked(config.model_copy(update={"derivation": "exact"}), logits, 3)
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
    assert ranked(config, logits, 1)[0].cells[0]["0-1"] == "conv_1x1"


def test_scores_of_the_published_search_leave_its_average_in_place_of_the_weights(
    tmp_path: Path,
) -> None:
    """But for the last: what is derived comes from the raw alpha."""
    for replaces in (False, True):
        changes = {"num_critic": 1, "iterations": 2, "ema_decay": 0.5}
        work = working(tmp_path / str(replaces), average_replaces=replaces, **changes)
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
    for turn, steps in (("first", [1, 1, 1, 2, 2, 2]), ("last", [0, 0, 1, 1, 1, 2])):
        changes = {"generator_turn": turn, "num_critic": 3, "iterations": 6}
        work = working(tmp_path / turn, **changes)
        seen = []
        for _ in range(6):
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


def test_every_setting_is_described() -> None:
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert len(field.description) > 15, name


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


def test_the_same_seed_finds_the_same_genomes_whatever_the_default_device(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """A tensor made without its device would land on meta and break here, as it would on a GPU."""
    digits, features = tiny.digits(), tiny.backbone()
    config = Config.model_validate(SMALL)
    with torch.device("meta"):
        result = adversarialnas.search(
            config, digits, tmp_path / "run", device=tiny.CPU, backbone=features
        )
        rows = derive(tmp_path / "run", 1)
    assert tiny.timeless(result["genomes"]) == tiny.timeless(finished[1]["genomes"])
    assert rows == result["genomes"][:1]


@pytest.mark.parametrize("log_every", [1, 100])
def test_a_search_that_diverged_fails_and_saves_no_bad_state(
    tmp_path: Path, log_every: int
) -> None:
    work = working(tmp_path, iterations=9, save_every=1, log_every=log_every)
    work.advance()
    next(work.gan.discriminator.parameters()).data.fill_(float("nan"))
    with pytest.raises(RunFailed, match="before iteration 2: a loss is not finite"):
        work.advance()
    newest = work.run.latest()
    assert newest is not None
    assert newest.step == 1
    assert all(t.isfinite().all() for group in newest.tensors.values() for t in group.values())


def test_the_plan_counts_every_step_and_trains_nothing() -> None:
    config = Config.model_validate(SMALL)
    plan = adversarialnas.plan(config, tiny.digits(), device=tiny.CPU)
    assert plan["generators"] == pytest.approx(3.461e15, rel=1e-3)
    assert plan["discriminators"] == pytest.approx(4.884e22, rel=1e-3)
    assert (plan["steps"], plan["images"]) == (3, 24)
    networks = adversarialnas.SuperGAN(config, 16, 1, tiny.CPU)
    logits = 123 + 182  # of alpha and beta
    built = num_parameters(networks.generator) + num_parameters(networks.discriminator)
    assert plan["supernet_parameters"] == built - logits
    assert 16 * built < plan["memory_bytes"] < 1 << 30
    assert 0 < plan["predicted_seconds"] < 60
