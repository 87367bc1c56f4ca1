"""One genome trained: what is written, what is refused, and that it learns."""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tiny
import torch
from safetensors.torch import load_file
from torch import Tensor

from gan_nas.configs import resolve
from gan_nas.data import Images
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, MissingResource, RunFailed
from gan_nas.machine.compiler import check_compiler
from gan_nas.metrics.classifier import in_domain_classifier
from gan_nas.networks.weights import load_generator
from gan_nas.runs.events import LogLine
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.run import read_log
from gan_nas.scoring.generating import generate
from gan_nas.scoring.scorer import Scorer
from gan_nas.spaces.frameworks import FRAMEWORKS, Framework, suited
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import published_genome
from gan_nas.streams import stream
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.gan import GAN
from gan_nas.training.loop import train
from gan_nas.training.mmd import widened
from gan_nas.training.objectives import MMD, R3GAN
from gan_nas.training.plan import new_gan, plan
from gan_nas.training.presets import PRESETS
from gan_nas.training.schedules import pace_at
from gan_nas.training.steps import dequantised


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult]:
    directory = tmp_path_factory.mktemp("training") / "run"
    return directory, tiny.run_training(directory)


def test_a_run_writes_weights_samples_curves_log_and_result(
    trained: tuple[Path, TrainingResult],
) -> None:
    directory, result = trained
    for name in ("generator.safetensors", "best.safetensors", "curves.png", "result.json"):
        assert (directory / name).stat().st_size > 0
    events = [LogLine.model_validate(line).root.event for line in read_log(directory)]
    assert set(events) == {"losses", "scores"}
    scored = [line["step"] for line in read_log(directory) if "classifier_score" in line]
    assert scored == [0, 3, 6, 7]
    assert len(list((directory / "samples").glob("*.png"))) == 4
    assert result.images == 7 * 2 * 8
    distance = "frechet_distance[classifier]"
    assert result.best[distance] <= result.last[distance]
    assert result.compared is not None
    assert result.compared.num == 150  # 360 are held out
    assert result.last.items() >= result.compared.scores.items()
    assert result.compared.scores.keys() == result.real.keys()


def test_scores_at_given_moments_and_other_judges_change_no_training(
    trained: tuple[Path, TrainingResult], tmp_path: Path
) -> None:
    config = TrainingConfig.model_validate(tiny.TRAINING | {"score_at": (2, 5)})
    second = in_domain_classifier(tiny.digits(), None, tiny.CPU, kind="residual")
    run = tmp_path / "run"
    settings: dict[str, Any] = {"resolution": 16, "backbone": tiny.backbone()}
    result = train(tiny.GENOME, tiny.digits(), config, run, judges=[second], plain=True, **settings)
    assert [row["step"] for row in result.scores] == [0, 2, 3, 5, 6, 7]
    directory, alone = trained
    assert result.last.items() >= alone.last.items()
    scorer = Scorer(second, tiny.digits().at(16), 16)
    network = load_generator(run / "generator.safetensors", tiny.CPU)
    theirs = scorer.score(generate(network, 150, 128, 0, tiny.CPU))
    for name, theirs_is in (
        ("frechet_distance[residual]", theirs[second.distance_name]),
        ("classifier_score[residual]", theirs["classifier_score"]),
    ):
        assert result.last[name] == pytest.approx(theirs_is, rel=1e-6)
    whole, plain = (load_file(path / "generator.safetensors") for path in (directory, run))
    assert all(torch.equal(whole[name], plain[name]) for name in whole)
    assert not list(run.rglob("*.png"))
    assert result.processor_seconds > 0
    with pytest.raises(Incompatible, match="judges"):
        train(tiny.GENOME, tiny.digits(), config, run, **settings)


def test_beside_few_real_images_stand_as_few_generated_ones(tmp_path: Path) -> None:
    digits = tiny.digits()
    images = Images("few", digits.train, digits.held_out[:20])
    config = TrainingConfig.model_validate(tiny.TRAINING | {"steps": 2})
    settings: dict[str, Any] = {"resolution": 16, "device": tiny.CPU, "backbone": tiny.backbone()}
    result = train(tiny.GENOME, images, config, tmp_path, **settings)
    network = load_generator(tmp_path / "generator.safetensors", tiny.CPU)
    scorer = Scorer(tiny.backbone(), images.at(16), 16)
    few = scorer.score(generate(network, 20, 128, 0, tiny.CPU))
    assert result.compared is not None
    assert result.compared.num == 20
    assert result.compared.scores == pytest.approx(few, rel=1e-6)
    assert result.real == scorer.score([images.at(16).held_out])


def test_the_file_alone_gives_the_score_of_the_run(trained: tuple[Path, TrainingResult]) -> None:
    directory, result = trained
    network = load_generator(directory / "generator.safetensors", tiny.CPU)
    about = network.about
    assert about.genome == tiny.GENOME
    scorer = Scorer(tiny.backbone(), tiny.digits().at(about.resolution), about.resolution)
    scores = scorer.score(generate(network, 150, 128, 0, tiny.CPU))
    for name, value in scores.items():
        assert value == pytest.approx(result.last[name], rel=1e-5)


def test_no_steps_write_the_untrained_generator(tmp_path: Path) -> None:
    result = tiny.run_training(tmp_path / "run", steps=0)
    assert result.steps == 0
    assert result.first == result.last == result.best
    network = load_generator(tmp_path / "run" / "generator.safetensors", tiny.CPU)
    assert network(torch.zeros(2, 128)).shape == (2, 1, 16, 16)


def test_the_paper_preset_has_the_papers_numbers() -> None:
    paper = resolve(TrainingConfig, PRESETS["paper"])
    assert (paper.steps, paper.num_critic, paper.batch_size) == (50_000, 5, 64)
    assert (paper.generator_lr, paper.beta1, paper.beta2) == (2e-4, 0.0, 0.9)
    assert (paper.ema_decay, paper.generator_batch_size) == (0.999, 128)


def test_reestimated_norms_change_the_batch_norms_of_the_file(tmp_path: Path) -> None:
    tiny.run_training(tmp_path / "live")
    tiny.run_training(tmp_path / "own", norm_statistics="reestimated")
    networks = [
        load_generator(tmp_path / name / "generator.safetensors", tiny.CPU).network
        for name in ("live", "own")
    ]
    a, b = (network.get_buffer("to_rgb.norm.running_var") for network in networks)
    assert not torch.equal(a, b)
    weights = [dict(network.named_parameters()) for network in networks]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_weight_that_is_not_finite_is_never_saved_though_losses_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = GAN.generator_step

    def spoiling(gan: GAN, *args: Any) -> Tensor:
        loss = step(gan, *args)
        gan.generator.get_parameter("stem.weight").data.fill_(float("inf"))
        return loss

    monkeypatch.setattr(GAN, "generator_step", spoiling)
    with pytest.raises(RunFailed, match=r"a weight.*not finite"):
        tiny.run_training(tmp_path, steps=1, save_every=1, num_critic=1)
    assert not list(tmp_path.glob("checkpoint/*/manifest.json"))


def test_a_run_keeps_its_classifier_and_trains_no_other(tmp_path: Path) -> None:
    images = tiny.few_images()
    config = TrainingConfig.model_validate(tiny.TRAINING | {"steps": 1, "num_scored": 20})
    phases = set()

    def hear(phase: str, *_: object) -> None:
        phases.add(phase)

    begin = partial(train, tiny.GENOME, images, config, tmp_path, resolution=16, progress=hear)
    with pytest.raises(Interrupted):
        begin(stop=(tmp_path / "judge.safetensors").exists)
    assert phases == {"classifier images"}
    phases.clear()
    begin()
    embedding = "embedding real images"
    assert phases == {embedding, "1/2 training images", "2/2 comparing images"}


def test_a_finished_run_goes_on_to_more_steps_as_if_it_had_been_so_long(tmp_path: Path) -> None:
    whole = tiny.run_training(tmp_path / "whole")
    short = tiny.run_training(tmp_path / "run", steps=4)
    with pytest.raises(Interrupted):
        tiny.run_training(tmp_path / "run", stop=lambda: True)
    longer = tiny.run_training(tmp_path / "run")
    assert (short.steps, longer.steps, longer.last) == (4, 7, whole.last)
    ours, theirs = (load_file(result.files["last"]) for result in (longer, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert tiny.run_training(tmp_path / "run") == longer
    with pytest.raises(Incompatible, match=r"config\.steps: 7 -> 4"):
        tiny.run_training(tmp_path / "run", steps=4)
    with pytest.raises(Incompatible, match=r"config\.batch_size: 8 -> 9"):
        tiny.run_training(tmp_path / "run", steps=9, batch_size=9)
    assert tiny.run_training(tmp_path / "run") == longer


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lr_decay": "linear"}, "lr_decay"),
        ({"final_beta2": 0.99}, "schedule_images = none"),
        ({"framework": "mmd", "mmd_patience": 1}, "mmd_patience"),
    ],
)
def test_what_follows_the_length_of_a_run_keeps_it_from_going_on(
    settings: dict[str, Any], named: str, tmp_path: Path
) -> None:
    result = tiny.run_training(tmp_path, steps=1, **settings)
    with pytest.raises(Incompatible, match=f"steps = 1 and cannot go on to 2: {named} follows"):
        tiny.run_training(tmp_path, steps=2, **settings)
    assert tiny.run_training(tmp_path, steps=1, **settings) == result
    assert (
        resolve(TrainingConfig, {"final_beta2": 0.99, "schedule_images": 9}).follows_length is None
    )


def test_a_missing_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(MissingResource, match=r"needs a C\+\+ compiler"):
        check_compiler(tiny.CPU)


def test_the_recipe_of_ctgan_is_its_authors() -> None:
    for framework in ("wgan-gp", "ctgan"):
        paper = resolve(TrainingConfig, presets_for("degas", framework)["paper"])
        assert paper.framework == framework
        assert (paper.steps, paper.num_critic) == (100_000, 5)
        assert (paper.batch_size, paper.generator_batch_size) == (64, 128)
        assert (paper.generator_lr, paper.discriminator_lr, paper.lr_decay) == (
            2e-4,
            2e-4,
            "linear",
        )
        assert (paper.beta1, paper.beta2, paper.ema_decay) == (0.0, 0.9, 0.0)
        assert (paper.generator_init, paper.discriminator_init) == ("he", "he")
        assert (paper.dequantise, paper.norm_statistics) == (True, "reestimated")
        assert (paper.gradient_penalty, paper.consistency_weight) == (10.0, 2.0)
        assert paper.consistency_margin == 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("space", ["autogan", "adversarialnas", "degas"])
def test_every_preset_resolves_and_names_its_framework(space: str, framework: Framework) -> None:
    presets = presets_for(space, framework)
    assert {"demo", "small", "paper"} <= presets.keys()
    for preset in presets.values():
        assert resolve(TrainingConfig, preset).framework == framework
    # DEGAS published nothing; its genomes are trained by CT-GAN's authors' settings.
    hinge = (framework == "hinge-sn" and space != "degas") * ("published",)
    own = ("mmd", "wgan-gp", "ctgan", "r3gan")
    assert ("published" in presets) == (framework in own or bool(hinge))
    assert ("repo" in presets) == (space != "degas" and framework == "hinge-sn")


def test_another_loss_leaves_a_spaces_recipe_alone() -> None:
    for framework in ("rahinge", "wasserstein"):
        for space in ("autogan", "adversarialnas"):
            found, hinge = (
                resolve(TrainingConfig, presets_for(space, name)["paper"])
                for name in (framework, "hinge-sn")
            )
            assert found.model_copy(update={"framework": "hinge-sn"}) == hinge


def test_the_recipe_of_mmd_is_its_authors() -> None:
    published = resolve(TrainingConfig, presets_for("adversarialnas", "mmd")["published"])
    batches = -(-50_000 // 128)
    assert (published.steps, published.score_every) == (500 * batches, 5 * batches)
    assert (published.batch_size, published.generator_batch_size) == (128, 128)
    assert (published.num_critic, published.passes) == (1, "apart")
    assert (published.generator_lr, published.discriminator_lr) == (2e-4, 2e-4)
    assert (published.beta1, published.beta2, published.ema_decay) == (0.0, 0.9, 0.999)
    assert (published.mmd_upper_bound, published.mmd_lower_bound) == (4, 0.25)
    assert published.mmd_patience == 6
    assert resolve(TrainingConfig, presets_for("autogan", "mmd")["paper"]).mmd_patience is None


@pytest.mark.parametrize("framework", ["wgan-gp", "ctgan", "r3gan"])
def test_a_penalty_and_a_compiler_are_refused_in_one_sentence(framework: str) -> None:
    with pytest.raises(InvalidInput, match="second derivative of a gradient penalty"):
        resolve(TrainingConfig, {"framework": framework}, ["compile=true"])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_written_is_the_genome_that_was_trained(
    framework: Framework, tmp_path: Path
) -> None:
    result = tiny.run_training(tmp_path / "run", framework=framework, steps=1)
    about = load_generator(tmp_path / "run" / "generator.safetensors").about
    trained = about.genome.discriminator
    assert result.genome_id == about.genome.genome_id
    assert about.genome.generator == tiny.GENOME.generator
    assert trained == suited(tiny.GENOME, framework).discriminator
    assert trained.width == tiny.GENOME.discriminator.width
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    assert settings["genome"] == about.genome.model_dump(mode="json")
    assert about.lineage["config"]["framework"] == framework


@pytest.mark.parametrize("framework", ["hinge-sn", "mmd", "ctgan"])
def test_the_plan_counts_every_step_and_the_frameworks_own_discriminator(
    framework: Framework,
) -> None:
    config = TrainingConfig.model_validate(tiny.TRAINING | {"framework": framework})
    found = plan(tiny.GENOME, tiny.digits(), config, resolution=16, device=tiny.CPU)
    assert found.images == 7 * 2 * 8
    assert found.predicted_seconds > 0
    assert found.sizes.keys() == {"generator", "discriminator"}
    gan = new_gan(tiny.GENOME, config, 16, 1, tiny.CPU)
    for name, size in found.sizes.items():
        own = sum(p.numel() for p in getattr(gan, name).parameters())
        assert isinstance(size, dict)
        assert size["parameters"] == own


def test_learning_rates_fall_to_zero_in_a_straight_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, float]] = []
    original = GAN.generator_step

    def noted(gan: GAN, *arguments: Any) -> Tensor:
        seen.append(
            (
                gan.generator_optimizer.param_groups[0]["lr"],
                gan.discriminator_optimizer.param_groups[0]["lr"],
            )
        )
        return original(gan, *arguments)

    monkeypatch.setattr(GAN, "generator_step", noted)
    rates = {"generator_lr": 0.01, "discriminator_lr": 0.02}
    tiny.run_training(tmp_path / "run", lr_decay="linear", steps=4, **rates)
    expected = [(0.01 * share, 0.02 * share) for share in (1.0, 0.75, 0.5, 0.25)]
    torch.testing.assert_close(seen, expected)
    seen.clear()
    tiny.run_training(tmp_path / "constant", steps=2, **rates)
    assert seen == [(0.01, 0.02)] * 2


class Seen(NamedTuple):
    """The real images of a discriminator's step and of the generator's after it."""

    discriminator: list[Tensor]
    generator: list[Tensor | None]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen = Seen([], [])
    steps = GAN.discriminator_step, GAN.generator_step

    def discriminator_step(gan: GAN, real: Tensor, *rest: Any) -> Tensor:
        seen.discriminator.append(real)
        return steps[0](gan, real, *rest)

    def generator_step(gan: GAN, z: Tensor, random: Any, real: Tensor | None) -> Tensor:
        seen.generator.append(real)
        return steps[1](gan, z, random, real)

    monkeypatch.setattr(GAN, "discriminator_step", discriminator_step)
    monkeypatch.setattr(GAN, "generator_step", generator_step)
    return seen


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_generator_is_given_the_real_images_of_its_framework(
    framework: Framework, tmp_path: Path, seen: Seen
) -> None:
    tiny.run_training(tmp_path, framework=framework, steps=2, generator_batch_size=6)
    last = seen.discriminator[1::2]
    for real, of_discriminator in zip(seen.generator, last, strict=True):
        if framework == "mmd":
            assert real is of_discriminator
        elif framework in ("rahinge", "r3gan"):
            assert real is not None
            assert len(real) == 6
            assert not torch.equal(real, of_discriminator[:6])
        else:
            assert real is None


@pytest.mark.parametrize("dequantise", [False, True])
def test_real_images_are_mirrored_and_else_the_same(
    tmp_path: Path, seen: Seen, dequantise: bool
) -> None:
    for augment in ("none", "flip"):
        changes = {"augment": augment, "dequantise": dequantise, "framework": "rahinge"}
        tiny.run_training(tmp_path / augment, steps=2, **changes)
    for batches in seen:
        assert len(batches) in (2 * 2, 2 * 4)
        plain, flipped = batches[: len(batches) // 2], batches[len(batches) // 2 :]
        mirrored = []
        for a, b in zip(plain, flipped, strict=True):
            assert a is not None
            assert b is not None
            is_same, is_mirrored = ((x == b).flatten(1).all(1) for x in (a, a.flip(3)))
            assert (is_same | is_mirrored).all()
            mirrored += is_mirrored.tolist()
        assert 0 < sum(mirrored) < len(mirrored)


def test_rates_and_averages_follow_their_schedules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces = []
    original = GAN.generator_step

    def noted(gan: GAN, *arguments: Any) -> Tensor:
        optimizer = gan.discriminator_optimizer.param_groups[0]
        assert isinstance(gan.objective, R3GAN)
        paces.append((optimizer["lr"], optimizer["betas"], gan.ema_decay, gan.objective.gamma))
        return original(gan, *arguments)

    monkeypatch.setattr(GAN, "generator_step", noted)
    changes = tiny.R3GAN | {"steps": 3, "discriminator_lr": 0.01}
    tiny.run_training(tmp_path, **changes)
    config = TrainingConfig.model_validate(tiny.TRAINING | changes)
    expected = [pace_at(config, step) for step in range(3)]
    assert paces == [(0.01 * p.lr_factor, (0.0, p.beta2), p.ema_decay, p.gamma) for p in expected]
    assert len(set(paces)) == 3


def test_the_bound_of_mmd_follows_the_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = []
    original = GAN.discriminator_step

    def noted(gan: GAN, *arguments: Any) -> Tensor:
        assert isinstance(gan.objective, MMD)
        bounds.append(gan.objective.upper_bound)
        return original(gan, *arguments)

    monkeypatch.setattr(GAN, "discriminator_step", noted)
    run = {"framework": "mmd", "num_critic": 1, "score_every": 1, "mmd_patience": 1}
    tiny.run_training(tmp_path, **run, generator_lr=0.1)
    name = "frechet_distance[classifier]"
    distances = [line[name] for line in read_log(tmp_path) if name in line]
    assert bounds == [widened(4.0, distances[: n + 1], 1) for n in range(7)]
    assert bounds[-1] > 4


def test_dequantised_levels_fill_their_steps_and_no_more() -> None:
    levels = torch.arange(256, dtype=torch.uint8, device="cpu").repeat(100, 1)
    found = dequantised(levels, stream(0, "noise"))
    assert found.dtype == torch.float32
    assert torch.equal(((found + 1) * 128).floor(), levels.float())
    rest = (found.double() + 1) * 128 - levels
    assert float(rest.mean()) == pytest.approx(0.5, abs=0.01)
    assert torch.equal(found, dequantised(levels, stream(0, "noise")))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("genome", [tiny.GENOME, published_genome("ctgan-cifar10")])
def test_training_on_digits_beats_the_untrained_generator_by_far(
    genome: Genome, framework: Framework, tmp_path: Path
) -> None:
    from gan_nas.metrics.loading import load_backbone

    digits = tiny.digits()
    demo = presets_for(genome.generator.space, framework)["demo"]
    config = resolve(TrainingConfig, demo, ["steps=250"])
    result = train(
        genome.resized(16, 16),
        digits,
        config,
        tmp_path / "run",
        resolution=16,
        device=tiny.CPU,
        backbone=load_backbone("classifier", digits, None, tiny.CPU),
    )
    distance = "frechet_distance[classifier]"
    assert result.last[distance] < 0.5 * result.first[distance]
    assert result.last["classifier_score"] > result.first["classifier_score"] + 1
