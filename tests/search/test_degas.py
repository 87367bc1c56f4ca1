"""DEGAS' search from its settings to its genomes, property by property."""

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

from gan_nas.configs import resolve
from gan_nas.errors import Incompatible, InvalidInput, RunFailed
from gan_nas.networks.builder import build_generator
from gan_nas.networks.cost import num_parameters
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.results import SearchResult
from gan_nas.runs.run import never, read_finished, read_log, stored_config
from gan_nas.search import drive, load_method
from gan_nas.search.degas.config import PRESETS, Config, resolved
from gan_nas.search.degas.genomes import new_alpha, places, sizes_of, supernet
from gan_nas.search.degas.pruning import prune
from gan_nas.search.degas.reconstruction import Reconstruction
from gan_nas.search.degas.search import DEGASSearch
from gan_nas.spaces.degas import NORMAL_OPS, UP_OPS, DEGASGenerator, operations
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import published_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.training.forecast import memory_bytes
from gan_nas.training.gan import fresh

CPU = tiny.CPU
SMALL = tiny.DEGAS | {"iterations": 3, "top_k": 3, "save_every": 100, "log_every": 1}
QUICK = {"iterations": 2, "derive_every": 100, "top_k": 1}


def search(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> SearchResult:
    return tiny.run_search("degas", directory, stop, **SMALL | changes)


def working(searching: bool = True, **changes: Any) -> Reconstruction:
    """Start a search, or the reconstruction of one genome, in memory."""
    task = tiny.search_task("degas", **SMALL | changes)
    if searching:
        return DEGASSearch(task, None).reconstruction
    with torch.device("meta"):
        network = build_generator(sizes_of(task.config, 4), 16, 1)
    network = fresh(network, 0, "generator weights", CPU, "default")
    about = task.images, 16, CPU, Ledger(what="the reconstruction"), None
    return Reconstruction(task.config, network, None, *about)


@pytest.fixture
def finished(searches: Callable[[str], tiny.Searched]) -> tiny.Searched:
    return searches("degas")


def test_the_best_genome_is_what_pruning_keeps_of_alpha(finished: tiny.Searched) -> None:
    alpha = new_alpha(Config.model_validate(tiny.DEGAS), CPU)
    checkpoint = read_finished(finished.directory, SearchResult).checkpoint
    alpha.load_state_dict(checkpoint.tensors["alpha"])
    kept = prune(alpha.log_probabilities())
    best = finished.genomes[0].generator
    assert isinstance(best, DEGASGenerator)
    assert {place: operations(best)[place] for place in kept} == kept
    last = [row for row in finished.log if row.get("event") == "architecture"][-1]
    assert last["entropies"]["alpha"] == alpha.entropies()
    ops = [op for op in kept.values() if op is not None]
    assert last["histogram"] == finished.result.facts["histogram"] == dict(Counter(ops))


def test_the_log_holds_the_pruned_genomes_of_the_history(finished: tiny.Searched) -> None:
    genomes = [read_genome(path) for path in sorted(finished.directory.glob("history/*.json"))]
    rows = [row for row in finished.log if row.get("event") == "architecture"]
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
    entropies = rows[-1]["entropies"]["alpha"]
    assert finished.result.facts["entropy"]["alpha"] == pytest.approx(sum(entropies.values()) / 8)


def test_the_log_holds_losses_and_the_learning_rate(finished: tiny.Searched) -> None:
    rows = [row for row in finished.log if "lr" in row]
    assert [(row["step"], row["images"]) for row in rows] == [(2, 16), (4, 32), (6, 48)]
    assert all(isfinite(row[name]) for row in rows for name in ("weight_loss", "alpha_loss"))
    rates = [row["lr"] for row in rows]
    assert rates[0] < 0.3
    assert rates == sorted(rates, reverse=True)


def test_the_config_holds_an_answer_to_each_of_22_questions(
    finished: tiny.Searched,
) -> None:
    stored = stored_config(finished.directory)
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


def test_images_are_chosen_evenly() -> None:
    whole = tiny.digits().at(16).train
    work = working(num_images=5)
    size = len(whole)
    assert torch.equal(work.glo.batches.images, whole[[size * i // 5 for i in range(5)]])
    assert len(work.glo.latents) == 5
    for num in (size, 10**6, None):
        work = working(num_images=num)
        assert torch.equal(work.glo.batches.images, whole)


VARIANTS: list[dict[str, Any]] = [
    {"stem_residual": True, "final_normal": True, "resolution": 48},
    {"latent_start": "gauss", "latent_space": "sphere", "alpha_data": "same", "latent_dim": 7},
    {"precision": "bf16", "derived_discriminator": "sn_resnet", "num_images": 5, "batch_size": 12},
    {"resolution": 8, "num_scored": 9, "num_images": None, "latent_dim": 200},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_variant_searches_and_derives(tmp_path: Path, changes: dict[str, Any]) -> None:
    result = search(tmp_path / "run", plain=False, **QUICK | changes)
    config = Config.model_validate(SMALL | QUICK | changes)
    side = config.resolution or 8
    for row in tiny.derive(tmp_path / "run", 3):
        genome = read_genome(Path(row.file))
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
    assert result.resolution == side
    shown = line["probabilities"]["generator"]
    assert [list(stage) for stage in shown] == [list(stage) for stage in line["generator"]]
    told = [
        (op, p)
        for a, b in zip(line["generator"], shown, strict=True)
        for op, p in zip(a.values(), b.values(), strict=True)
    ]
    assert all(p is None if op == "none" else 0 < p <= 1 for op, p in told)
    (alpha,) = line["entropies"].values()
    assert sum(alpha.values()) / len(alpha) <= line["highest_entropies"]["alpha"] + 1e-9
    assert (tmp_path / "run" / "edges.png").stat().st_size > 10_000
    assert (tmp_path / "run" / "best.png").is_file()


def test_colour_images_are_searched(tmp_path: Path) -> None:
    digits = tiny.digits()
    train = digits.train[:20].expand(-1, 3, -1, -1).contiguous()
    colour = replace(digits, train=train, train_labels=None)
    task = replace(tiny.search_task("degas", **SMALL | QUICK), images=colour)
    result = drive.search("degas", task, tmp_path / "run")
    assert isfinite(result.supernet["loss"])
    assert [p.name for p in (tmp_path / "run" / "samples").iterdir()] == ["0000002.png"]


def mean_of(lines: list[dict[str, Any]], name: str, part: slice) -> float:
    values = [line[name] for line in lines if name in line][part]
    return sum(values) / len(values)


@pytest.mark.slow
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
    assert entropies[-1] == pytest.approx(result.facts["entropy"]["alpha"])
    assert max(entropies) < none
    assert entropies[-1] < 0.95 * none


@pytest.mark.parametrize(
    "name", ["ctgan-cifar10", "autogan-cifar10-top3", "adversarialnas-cifar10", "degas"]
)
def test_genomes_of_every_space_reconstruct(tmp_path: Path, name: str) -> None:
    if name == "degas":
        (genome,) = sample_genomes("degas", 1, 0, 6, 6)
    else:
        genome = published_genome(name).resized(6, 6)
    changes = {"iterations": 40, "log_every": 1, "save_every": 40, "batch_size": 16}
    result = tiny.run_reconstruction(
        tmp_path / "run", genome=genome, **changes, num_images=None, derive_every=20
    )
    assert result.genome_id == genome.genome_id
    assert (result.method, result.iterations) == ("reconstruct", 40)
    lines = read_log(tmp_path / "run")
    assert not any("alpha_loss" in line for line in lines)
    last = mean_of(lines, "weight_loss", slice(-8, None))
    assert last < 0.8 * mean_of(lines, "weight_loss", slice(3))
    assert 0 < result.loss < 1.5 * last
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


def test_a_finite_loss_with_a_bad_update_after_it_is_not_saved() -> None:
    work = working(searching=False)
    work.advance()
    work.verify()
    work.glo.latents[3, 3] = float("inf")
    with pytest.raises(RunFailed, match="the reconstruction diverged before step 1: a weight"):
        work.verify()


def test_no_reconstruction_of_nan_is_drawn() -> None:
    work = working(log_every=100, derive_every=1)
    work.glo.weights[0].data.fill_(float("nan"))
    with pytest.raises(RunFailed, match="diverged before step 1: a loss"):
        work.advance()


def test_a_plan_of_eight_pixels_sees_maps_of_one() -> None:
    method, config = load_method("degas"), Config.model_validate(SMALL)
    small, large = (
        memory_bytes(method.work(config, side, 1, CPU), tiny.digits(), side, scores=False)
        for side in (8, 16)
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
