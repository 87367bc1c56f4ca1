"""DEGAS' search from its settings to its genomes, property by property."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import isfinite, log
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from PIL import Image
from torch import Tensor, nn

from gan_nas.configs import resolve
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.networks.builder import build_generator
from gan_nas.networks.cost import num_parameters
from gan_nas.runs.run import Run, never, read_log, stored_config
from gan_nas.search.degas import search as degas
from gan_nas.search.degas.config import resolved
from gan_nas.search.degas.genomes import new_alpha
from gan_nas.search.degas.pruning import cheapest, generator_prices, prune
from gan_nas.search.degas.search import PRESETS, Config, _Reconstruction, places, sizes_of, supernet
from gan_nas.search.logits import Logits
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.degas import NORMAL_OPS, UP_OPS, DEGASGenerator, operations
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import published_genome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.training.gan import fresh

CPU = tiny.CPU
SMALL = tiny.DEGAS | {"iterations": 3, "top_k": 3, "save_every": 100, "log_every": 1}
QUICK = {"iterations": 2, "derive_every": 100, "top_k": 1}


def search(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> dict[str, Any]:
    return tiny.run_search("degas", directory, stop, **SMALL | changes)


def derive(directory: Path, count: int, **limits: int) -> list[dict[str, Any]]:
    result = degas.derive(directory, count=count, device=CPU, **limits)
    return result["genomes"]


def working(directory: Path, searching: bool = True, **changes: Any) -> _Reconstruction:
    """Open a search, or the reconstruction of one genome, without beginning it."""
    config = Config.model_validate(SMALL | changes)
    run = Run.open(directory, config.model_dump(mode="json"))
    alpha: Logits | None = None
    if searching:
        network: nn.Module = supernet(config, 16, 1)
        alpha = new_alpha(config, CPU)
    else:
        with torch.device("meta"):
            network = build_generator(sizes_of(config, 4), 16, 1)
    network = fresh(network, 0, "supernet weights", CPU, "default")
    return _Reconstruction(config, network, alpha, tiny.digits(), 16, run, CPU)


def final_alpha(directory: Path) -> Logits:
    """Read alpha from the last checkpoint."""
    config = Config.model_validate(stored_config(directory)["config"])
    alpha = new_alpha(config, CPU)
    with Run.open(directory, stored_config(directory)) as run:
        checkpoint = run.latest()
    assert checkpoint is not None
    alpha.load_state_dict(checkpoint.tensors["alpha"])
    return alpha


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
    scores = [row["log_odds"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        genome = read_genome(Path(row["file"]))
        assert genome.genome_id == row["id"]
        assert isinstance(genome.generator, DEGASGenerator)
        assert (genome.generator.width, genome.generator.latent_dim) == (4, 128)
        assert genome.discriminator == CTGANCritic(space="ctgan", width=4)
        assert genome.source is not None
        assert "seed 0" in str(genome.source.where)
        network = build_generator(genome.generator, 16, 1)
        assert num_parameters(network) == row["parameters"]
        assert row["words"] == genome.generator.words
        assert isfinite(row["loss"])
    assert isfinite(result["loss"])
    assert json.loads((directory / "result.json").read_text()) == result
    assert {path.stem for path in directory.glob("genomes/*.json")} == {row["id"] for row in rows}


def test_the_best_genome_is_what_pruning_keeps_of_alpha(
    finished: tuple[Path, dict[str, Any]], log_lines: list[dict[str, Any]]
) -> None:
    directory, result = finished
    alpha = final_alpha(directory)
    kept = prune(alpha.log_probabilities())
    best = read_genome(Path(result["genomes"][0]["file"])).generator
    assert isinstance(best, DEGASGenerator)
    assert {place: operations(best)[place] for place in kept} == kept
    last = [row for row in log_lines if row.get("event") == "architecture"][-1]
    assert last["entropies"]["alpha"] == alpha.entropies()
    ops = [op for op in kept.values() if op is not None]
    assert last["histogram"] == result["histogram"] == dict(Counter(ops))


def test_the_history_holds_the_pruned_genome_of_each_moment(
    finished: tuple[Path, dict[str, Any]], log_lines: list[dict[str, Any]]
) -> None:
    directory, result = finished
    paths = sorted(directory.glob("history/*.json"))
    assert [path.name for path in paths] == ["0000002.json", "0000003.json"]
    genomes = [read_genome(path) for path in paths]
    rows = [row for row in log_lines if row.get("event") == "architecture"]
    assert [row["step"] for row in rows] == [2, 3]
    for genome, row in zip(genomes, rows, strict=True):
        assert isinstance(genome.generator, DEGASGenerator)
        stored = {
            f"{stage}.{name}": None if op == "none" else op
            for stage, ops in enumerate(row["generator"])
            for name, op in ops.items()
        }
        held = operations(genome.generator)
        assert stored == {place: held[place] for place in stored}
        assert set(stored) == set(places(Config()))
        for place, ops in places(Config()).items():
            assert 0 < row["entropies"]["alpha"][place] <= log(len(ops)) + 1e-12
    assert genomes[-1].genome_id == result["genomes"][0]["id"]
    entropies = rows[-1]["entropies"]["alpha"]
    assert result["entropy"]["alpha"] == pytest.approx(sum(entropies.values()) / 8)


def test_edges_curves_and_samples_are_pictures(finished: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = finished
    for name in ("edges.png", "curves.png"):
        with Image.open(directory / name) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert 300 < picture.width < 3000
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    names = sorted(path.name for path in directory.glob("samples/*.png"))
    assert names == ["0000002.png", "0000003.png"]
    for name in names:
        with Image.open(directory / "samples" / name) as picture:
            picture.load()
            assert picture.format == "PNG"


def test_the_log_holds_losses_and_the_learning_rate(log_lines: list[dict[str, Any]]) -> None:
    rows = [row for row in log_lines if "lr" in row]
    assert [(row["step"], row["images"]) for row in rows] == [(1, 8), (2, 16), (3, 24)]
    assert all(isfinite(row[name]) for row in rows for name in ("weight_loss", "alpha_loss"))
    rates = [row["lr"] for row in rows]
    assert rates[0] == 0.3
    assert rates == sorted(rates, reverse=True)


def test_the_config_holds_an_answer_to_each_of_22_questions(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    stored = json.loads((finished[0] / "config.json").read_text())
    config = Config.model_validate(stored["config"])
    assert stored["decisions"] == resolved(config, 16)
    assert len(stored["decisions"]) == 22
    assert all(isinstance(answer, str) and answer for answer in stored["decisions"].values())


@pytest.mark.parametrize(
    ("changes", "question"),
    [
        ({"stem_residual": True}, "residual from the stem"),
        ({"final_normal": True}, "normal map after the last"),
        ({"lr": 0.1}, "printed learning rate"),
        ({"latent_lr_ratio": 3.0}, "latents' optimiser"),
        ({"alpha_data": "same"}, "images of the step on alpha"),
        ({"l2_weight": 2.0}, "weights of the losses"),
        ({"laplacian_weight": 2.0}, "weights of the losses"),
        ({"latent_start": "gauss"}, "first latents"),
        ({"latent_space": "sphere"}, "first latents"),
        ({"latent_dim": 64}, "length of the latent"),
        ({"width": 32}, "channels in the search"),
    ],
    ids=str,
)
def test_answers_follow_the_settings(changes: dict[str, Any], question: str) -> None:
    before, after = resolved(Config(), 32), resolved(Config.model_validate(changes), 32)
    changed = [key for key in before if before[key] != after[key]]
    assert len(changed) == 1
    assert question in changed[0]


def test_answers_follow_the_resolution() -> None:
    small, large = resolved(Config(), 8), resolved(Config(), 48)
    assert small["levels of the pyramid"] == "two bands and the low-pass"
    assert large["levels of the pyramid"] == "three bands and the low-pass"
    assert large["larger images"].startswith("a stem of 6x6")


def test_one_seed_finds_the_same_and_another_other_genomes(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    (row,) = search(tmp_path / "other", **QUICK, seed=1)["genomes"]
    assert row["id"] not in {other["id"] for other in finished[1]["genomes"]}


def test_images_are_chosen_evenly(tmp_path: Path) -> None:
    whole = tiny.digits().at(16).train
    work = working(tmp_path / "few", num_images=5)
    size = len(whole)
    assert torch.equal(work.glo.batches.images, whole[[size * i // 5 for i in range(5)]])
    assert len(work.glo.latents) == 5
    for name, num in (("exact", size), ("more", 10**6), ("all", None)):
        work = working(tmp_path / name, num_images=num)
        assert torch.equal(work.glo.batches.images, whole)


def test_other_settings_are_refused(finished: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(Incompatible, match=r"config\.lr: 0\.3 -> 0\.2"):
        search(finished[0], lr=0.2)


def test_derive_goes_on_with_the_searchs_list(finished: tuple[Path, dict[str, Any]]) -> None:
    directory, result = finished
    before = (directory / "log.jsonl").read_bytes()
    rows = derive(directory, 5)
    assert len({row["id"] for row in rows}) == len(rows) == 5
    assert rows[:3] == result["genomes"]
    scores = [row["log_odds"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(read_genome(Path(row["file"])).genome_id == row["id"] for row in rows)
    assert (directory / "log.jsonl").read_bytes() == before
    assert json.loads((directory / "result.json").read_text()) == result


def test_derive_keeps_limits(finished: tuple[Path, dict[str, Any]]) -> None:
    directory, result = finished
    params = min(row["parameters"] for row in result["genomes"]) - 1
    macs = min(row["macs"] for row in result["genomes"]) - 1
    rows = derive(directory, 2, max_params=params, max_macs=macs)
    assert len(rows) == 2
    assert all(row["parameters"] <= params and row["macs"] <= macs for row in rows)
    assert rows[0]["log_odds"] < result["genomes"][-1]["log_odds"]


@pytest.mark.parametrize("changes", [{}, {"stem_residual": True, "final_normal": True}], ids=str)
def test_a_search_keeps_its_limits(tmp_path: Path, changes: dict[str, Any]) -> None:
    least = cheapest(generator_prices(sizes_of(Config(**SMALL), 4), 16, 1, **changes))
    most = least.parameters + 100
    limits = {"max_params": most, "top_k": 2}
    result = search(tmp_path / "run", **QUICK | changes | limits)
    assert len(result["genomes"]) == 2
    assert all(row["parameters"] <= most for row in result["genomes"])


def test_impossible_limits_are_refused_at_once_with_the_smallest_possible(
    tmp_path: Path, finished: tuple[Path, dict[str, Any]]
) -> None:
    least = cheapest(generator_prices(sizes_of(Config(**SMALL), 4), 16, 1))
    said = f"{least.parameters:,} parameters, or {least.macs:,} multiply-adds"
    with pytest.raises(InvalidInput, match=f"within 10 parameters: .*{said}"):
        search(tmp_path / "run", max_params=10)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InvalidInput, match=f"10 parameters and 9 multiply-adds: .*{said}"):
        derive(finished[0], 2, max_params=10, max_macs=9)


@pytest.mark.parametrize("kind", ["search", "reconstruction"])
def test_an_impossible_resolution_leaves_no_directory_behind(tmp_path: Path, kind: str) -> None:
    work = {"search": search, "reconstruction": tiny.run_reconstruction}[kind]
    with pytest.raises(InvalidInput, match="multiple of 8"):
        work(tmp_path / "run", resolution=20)
    assert not (tmp_path / "run").exists()


def test_derive_refuses_a_search_that_has_not_ended(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        search(tmp_path / "run", lambda: True)
    with pytest.raises(InvalidInput, match="has not ended"):
        derive(tmp_path / "run", 2)


def test_derive_refuses_the_run_of_another_method(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", {"method": "reconstruct"}).close()
    with pytest.raises(InvalidInput, match="no search by degas: reconstruct"):
        derive(tmp_path / "run", 2)
    with pytest.raises(InvalidInput, match="not a run directory"):
        derive(tmp_path, 2)


VARIANTS: list[dict[str, Any]] = [
    {"stem_residual": True},
    {"final_normal": True},
    {"stem_residual": True, "final_normal": True, "resolution": 48},
    {"latent_start": "gauss", "latent_space": "sphere", "alpha_data": "same", "latent_dim": 7},
    {"precision": "bf16", "derived_discriminator": "sn_resnet"},
    {"num_images": 5, "batch_size": 12},
    {"resolution": 8, "num_scored": 9},
    {"num_images": None, "latent_dim": 200},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_variant_searches_and_derives(tmp_path: Path, changes: dict[str, Any]) -> None:
    result = search(tmp_path / "run", **QUICK | changes)
    config = Config.model_validate(SMALL | QUICK | changes)
    side = config.resolution or 8
    for row in derive(tmp_path / "run", 3):
        genome = read_genome(Path(row["file"]))
        generator = genome.generator
        assert isinstance(generator, DEGASGenerator)
        assert generator.latent_dim == changes.get("latent_dim", 128)
        assert (generator.final_normal is not None) == config.final_normal
        if not config.stem_residual:
            assert generator.stages[0].residual is None
        if config.derived_discriminator == "sn_resnet":
            assert genome.discriminator == SNResNetDiscriminator(space="sn_resnet", width=4)
        with torch.device("cpu"):
            made = build_generator(generator, side, 1)(torch.zeros(2, generator.latent_dim))
        assert made.shape == (2, 1, side, side)
    (line,) = [line for line in read_log(tmp_path / "run") if line.get("event") == "architecture"]
    assert set(line["entropies"]["alpha"]) == set(places(config))
    assert result["resolution"] == side
    assert (tmp_path / "run" / "edges.png").stat().st_size > 10_000


def test_colour_images_are_searched(tmp_path: Path) -> None:
    digits = tiny.digits()
    train = digits.train[:20].expand(-1, 3, -1, -1).contiguous()
    colour = replace(digits, train=train, train_labels=None)
    config = Config.model_validate(SMALL | QUICK)
    result = degas.search(config, colour, tmp_path / "run", device=CPU)
    assert isfinite(result["loss"])
    assert [p.name for p in (tmp_path / "run" / "samples").iterdir()] == ["0000002.png"]


def mean_of(lines: list[dict[str, Any]], name: str, part: slice) -> float:
    values = [line[name] for line in lines if name in line][part]
    return sum(values) / len(values)


def test_the_loss_falls_and_alpha_gets_sure(tmp_path: Path) -> None:
    changes = {"iterations": 60, "width": 8, "log_every": 1, "derive_every": 20, "batch_size": 16}
    changes |= {"num_images": None, "architecture_lr": 0.3}
    result = search(tmp_path / "run", **changes)
    lines = read_log(tmp_path / "run")
    for name in ("weight_loss", "alpha_loss"):
        assert mean_of(lines, name, slice(-10, None)) < 0.7 * mean_of(lines, name, slice(5))
    rows = [line for line in lines if line.get("event") == "architecture"]
    entropies = [sum(row["entropies"]["alpha"].values()) / 8 for row in rows]
    none = (3 * log(len(NORMAL_OPS)) + 5 * log(len(UP_OPS))) / 8
    assert entropies[-1] == pytest.approx(result["entropy"]["alpha"])
    assert max(entropies) < none
    assert entropies[-1] < 0.95 * none


@pytest.mark.parametrize(
    "name", ["ctgan-cifar10", "autogan-cifar10-top3", "adversarialnas-cifar10", "degas"]
)
def test_genomes_of_every_space_reconstruct(tmp_path: Path, name: str) -> None:
    if name == "degas":
        (row,) = search(tmp_path / "search", **QUICK)["genomes"]
        genome = read_genome(Path(row["file"]))
    else:
        genome = published_genome(name)
    genome = genome.resized(6, 6)
    changes = {"iterations": 40, "log_every": 1, "save_every": 40, "batch_size": 16}
    result = tiny.run_reconstruction(
        tmp_path / "run", genome=genome, **changes, num_images=None, derive_every=20
    )
    assert result["genome_id"] == genome.genome_id
    assert (result["method"], result["iterations"]) == ("reconstruct", 40)
    lines = read_log(tmp_path / "run")
    assert not any("alpha_loss" in line for line in lines)
    last = mean_of(lines, "weight_loss", slice(-8, None))
    assert last < 0.8 * mean_of(lines, "weight_loss", slice(3))
    assert 0 < result["loss"] < 1.5 * last
    names = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert names == ["0000020.png", "0000040.png"]
    with Image.open(tmp_path / "run" / "curves.png") as picture:
        assert picture.format == "PNG"


def test_another_genome_is_refused_in_the_directory_of_a_reconstruction(tmp_path: Path) -> None:
    tiny.run_reconstruction(tmp_path / "run", **QUICK)
    with pytest.raises(Incompatible, match="genome"):
        tiny.run_reconstruction(tmp_path / "run", genome=tiny.GENOME.resized(5, 4), **QUICK)
    with pytest.raises(Incompatible, match="method"):
        search(tmp_path / "run", **QUICK)


def test_the_presets_have_the_published_schedules() -> None:
    paper, stl = (resolve(Config, PRESETS[name]) for name in ("paper-cifar10", "paper-stl10"))
    assert paper == Config() == resolve(Config, PRESETS["paper"])
    assert paper.iterations == 50 * (50_000 // 64) == 39_050
    assert stl.iterations == 50 * (105_000 // 64) == 82_000
    assert (paper.lr, stl.lr, stl.resolution) == (0.3, 0.03, 48)
    for config in (paper, stl):
        assert (config.batch_size, config.width, config.derived_width) == (64, 128, 128)
        assert (config.momentum, config.weight_decay, config.clip_norm) == (0.9, 3e-4, 5.0)
        assert (config.lr_last, config.lr_levels, config.latent_lr_ratio) == (1e-3, 50, 10.0)
        assert (config.architecture_lr, config.architecture_weight_decay) == (3e-4, 1e-3)
        assert (config.architecture_beta1, config.architecture_beta2) == (0.5, 0.999)
        assert (config.alpha_data, config.latent_start, config.latent_dim) == (
            "resample",
            "pca",
            128,
        )
        assert config.derive_every * 50 == config.iterations
    literal = {"latent_start": "gauss", "alpha_data": "same"}
    assert resolve(Config, PRESETS["published"]) == paper.model_copy(update=literal)
    network = supernet(stl, 48, 3)
    assert network.bottom_width == 6
    assert network.stem.out_features == 128 * 6 * 6


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_builds(preset: str) -> None:
    config = resolve(Config, PRESETS[preset])
    degas.check(config, config.resolution or 32, 3)
    assert len(resolved(config, config.resolution or 32)) == 22


def test_every_setting_is_described() -> None:
    for name, field in Config.model_fields.items():
        assert field.description, name
        assert len(field.description) > 10, name


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 1}, "batch_size = 1: must be at least 2"),
        ({"latent_space": "cube"}, "latent_space"),
        ({"alpha_data": "holdout"}, "'resample' or 'same'"),
        ({"momentum": 1.0}, "less than 1"),
        ({"clip_norms": 5}, "did you mean clip_norm"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        resolve(Config, settings)


def test_the_same_seed_finds_the_same_genomes_whatever_the_default_device(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """A tensor made without its device would land on meta and break here, as it would on a GPU."""
    digits, config = tiny.digits(), Config.model_validate(SMALL)
    with torch.device("meta"):
        result = degas.search(config, digits, tmp_path / "run", device=CPU)
        rows = derive(tmp_path / "run", 1)
        alone = tiny.run_reconstruction(tmp_path / "alone", **QUICK)
        degas.plan(config, digits, device=CPU)
    assert tiny.timeless(result) == tiny.timeless(finished[1])
    assert rows == result["genomes"][:1]
    expected = tiny.run_reconstruction(tmp_path / "expected", **QUICK)
    assert tiny.timeless(alone) == tiny.timeless(expected)


@pytest.mark.parametrize("searching", [True, False])
@pytest.mark.parametrize("log_every", [1, 100])
@pytest.mark.parametrize("derive_every", [1, 100])
def test_what_diverged_fails_and_leaves_nothing_bad(
    tmp_path: Path, searching: bool, log_every: int, derive_every: int
) -> None:
    changes = {"iterations": 2, "save_every": 1, "log_every": log_every}
    work = working(tmp_path, searching, **changes, derive_every=derive_every)

    def poison() -> bool:
        if work.step == 1:
            work.glo.weights[0].data.fill_(float("nan"))
        return False

    work.run.stop = poison
    with pytest.raises(RunFailed, match="before iteration 2: a loss is not finite"):
        work.train(lambda *_: None)
    newest = work.run.latest()
    assert newest is not None
    assert newest.step == 1
    assert all(t.isfinite().all() for group in newest.tensors.values() for t in group.values())
    assert not list(tmp_path.glob("*/0000002.*"))


def test_a_finite_loss_with_a_bad_update_after_it_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = working(tmp_path, searching=False, iterations=3, save_every=1)
    take = work.glo.step

    def step(number: int) -> Tensor:
        loss = take(number)
        if number == 1:
            work.glo.latents[3, 3] = float("inf")
        return loss

    monkeypatch.setattr(work.glo, "step", step)
    with pytest.raises(RunFailed, match="the reconstruction diverged before iteration 2: a weight"):
        work.train(lambda *_: None)
    newest = work.run.latest()
    assert newest is not None
    assert newest.step == 1


def test_the_plan_counts_every_step_and_trains_nothing() -> None:
    config = Config.model_validate(SMALL)
    plan = degas.plan(config, tiny.digits(), device=CPU)
    assert plan["generators"] == 1_166_400
    assert (plan["steps"], plan["images"]) == (3, 24)
    assert plan["supernet_parameters"] == num_parameters(supernet(config, 16, 1))
    assert 12 * plan["supernet_parameters"] < plan["memory_bytes"] < 1 << 28
    assert 0 < plan["predicted_seconds"] < 60


def test_a_plan_of_eight_pixels_sees_maps_of_one() -> None:
    config = Config.model_validate(SMALL | {"resolution": 8})
    small, large = (
        degas.plan(c, tiny.digits(), device=CPU)["memory_bytes"]
        for c in (config, config.model_copy(update={"resolution": 16}))
    )
    assert small < large < 4.2 * small


def test_the_papers_plan_has_its_numbers() -> None:
    """Only counts."""
    config = resolve(Config, PRESETS["paper-cifar10"])
    assert config.iterations * config.batch_size == 2_499_200
    assert num_parameters(supernet(config, 32, 3)) == 6_172_547
    assert num_parameters(supernet(config.model_copy(update={"stem_residual": True}), 32, 3)) == (
        7_188_355
    )
