"""What presets say of themselves: the lists of differences, and the published figures."""

import re
from typing import Any

import pytest
import torch

from gan_nas.configs import Settings, resolve
from gan_nas.search.adversarialnas import config as adversarialnas_config
from gan_nas.search.adversarialnas.super_gan import SuperGAN
from gan_nas.search.autogan import config as autogan_config
from gan_nas.search.autogan.shared_gan import new_shared_gan
from gan_nas.search.degas import config as degas_config
from gan_nas.spaces.published import published_genome
from gan_nas.training import presets as training_presets
from gan_nas.training.config import TrainingConfig, presets_for
from gan_nas.training.gan import GAN
from gan_nas.training.plan import new_gan

CPU = torch.device("cpu")
CONFIGS = {
    "autogan": autogan_config,
    "adversarialnas": adversarialnas_config,
    "degas": degas_config,
}
TRAININGS = {  # heading in the docstring -> whose presets
    "AutoGAN": ("autogan", "hinge-sn"),
    "AdversarialNAS": ("adversarialnas", "hinge-sn"),
    "WGAN-GP and CT-GAN": ("degas", "ctgan"),
    "MMD-AdversarialNAS": ("adversarialnas", "mmd"),
    "R3GAN": ("autogan", "r3gan"),
}


def listed(text: str) -> list[str]:
    """Return the settings that a docstring's list names, before each colon."""
    items = re.findall(r"^- ([\w, ]+):", text, flags=re.MULTILINE)
    return [name for item in items for name in item.split(", ")]


def differing(model: type[Settings], presets: dict[str, dict[str, Any]]) -> set[str]:
    """Return the settings that `paper` and `published` have otherwise."""
    paper, published = (resolve(model, presets[name]) for name in ("paper", "published"))
    return {name for name in model.model_fields if getattr(paper, name) != getattr(published, name)}


@pytest.mark.parametrize("method", CONFIGS)
def test_a_searchs_list_names_what_the_paper_preset_has_otherwise(method: str) -> None:
    config = CONFIGS[method]
    names = listed(str(config.__doc__))
    assert len(names) == len(set(names))
    assert set(names) == differing(config.Config, config.PRESETS)


@pytest.mark.parametrize("heading", TRAININGS)
def test_a_trainings_list_names_what_the_paper_preset_has_otherwise(heading: str) -> None:
    parts = re.split(
        r"^(.+), `paper` against `published`", str(training_presets.__doc__), flags=re.M
    )
    assert parts[1::2] == list(TRAININGS)
    names = listed(parts[parts.index(heading) + 1])
    space, framework = TRAININGS[heading]
    assert len(names) == len(set(names))
    assert set(names) == differing(TrainingConfig, presets_for(space, framework))


def test_repo_is_another_name_for_published() -> None:
    for method in ("autogan", "adversarialnas"):
        for presets in (CONFIGS[method].PRESETS, presets_for(method)):
            assert presets["repo"] == presets["published"]
        assert presets_for(method)["repo-stl10"] == presets_for(method)["published-stl10"]


# Settings that came later, and what was done before there was a choice.
LATER: dict[str, dict[str, Any]] = {
    "autogan": {
        "generator_turn": "last",
        "passes": "together",
        "discriminator_init": "xavier",
        "idle_weights": "skipped",
        "log_every": 50,
        "candidates_from": "trained",
        "score_latents": "same",
    },
    "adversarialnas": {
        "generator_turn": "first",
        "tau_start_level": 0,
        "average_replaces": False,
        "derivation": "exact",
    },
    "training": {
        "generator_turn": "last",
        "passes": "together",
        "augment": "none",
        "final_lr_factor": 1.0,
        "final_beta2": None,
        "ema_half_life": None,
    },
}


@pytest.mark.parametrize("kind", LATER)
def test_a_config_from_before_a_setting_existed_means_what_it_did(kind: str) -> None:
    """Old run directories are read with defaults in their gaps, and so resumed and derived."""
    model = TrainingConfig if kind == "training" else CONFIGS[kind].Config
    stored = model(seed=3).model_dump(mode="json")
    for name in LATER[kind]:
        del stored[name]
    read = model.model_validate(stored)
    assert read == model(seed=3)
    assert {name: getattr(read, name) for name in LATER[kind]} == LATER[kind]


def deviation(gan: GAN, name: str) -> float:
    return float(gan.discriminator.get_parameter(name).detach().std())


def test_the_published_discriminators_start_from_pytorchs_default() -> None:
    """On a GPU the authors' Xavier draw never reaches spectrally normalised weights.

    A uniform draw within 1 / sqrt(fan in) deviates by 0.0170 at width 128 with 3x3 kernels, and
    Xavier's would by 0.0295.
    """
    small = {"width": 8, "discriminator_width": 128}
    search = resolve(autogan_config.Config, autogan_config.PRESETS["published"] | small)
    gans = [new_shared_gan(search, 32, 3, CPU, num_resets) for num_resets in (0, 1)]
    genomes = {
        "autogan": published_genome("autogan-cifar10-top1").resized(8, 128),
        "adversarialnas": published_genome("adversarialnas-cifar10").resized(8, 128),
    }
    for space, genome in genomes.items():
        for preset in ("published", "published-stl10"):
            config = resolve(TrainingConfig, presets_for(space)[preset])
            gans.append(new_gan(genome, config, 32, 3, CPU))
    assert len(gans) == 6
    for gan in gans:
        for conv in ("conv1", "conv2"):
            assert deviation(gan, f"block2.{conv}.weight") == pytest.approx(0.0170, abs=1e-4)
        assert deviation(gan, "block2.shortcut.weight") == pytest.approx(
            (3 * 128) ** -0.5, rel=0.01
        )
        stem = dict(gan.generator.named_parameters())["to_rgb.conv.weight"].detach()
        xavier = (2 / (9 * (8 + 3))) ** 0.5
        assert float(stem.std()) == pytest.approx(xavier, rel=0.15)  # the generator's draw arrives
    intended = resolve(autogan_config.Config, autogan_config.PRESETS["paper"] | small)
    gan = new_shared_gan(intended, 32, 3, CPU, num_resets=0)
    assert deviation(gan, "block2.conv1.weight") == pytest.approx(0.0295, abs=2e-4)


def test_the_published_super_discriminator_starts_from_it_too() -> None:
    small = {"width": 4, "discriminator_width": 16}
    config = resolve(
        adversarialnas_config.Config, adversarialnas_config.PRESETS["published"] | small
    )
    gan = SuperGAN(config, 16, 1, CPU)
    weights = {name: p.detach() for name, p in gan.discriminator.named_parameters()}
    found = [p for name, p in weights.items() if name.endswith("weight") and p.shape[2:] == (3, 3)]
    assert len(found) > 20
    for weight in found:
        bound = weight[0].numel() ** -0.5
        assert 0.9 * bound < float(weight.abs().max()) <= bound


def test_the_published_schedules_count_the_authors_epochs() -> None:
    """Epochs of their batches, the last and smaller one with them."""
    search = resolve(autogan_config.Config, autogan_config.PRESETS["published"])
    batches = -(-50_000 // 64)
    assert search.discriminator_steps == 15 * batches == 11_730
    assert search.iterations * search.discriminator_steps == 762_450
    autogan, stl = (
        resolve(TrainingConfig, presets_for("autogan")[name])
        for name in ("published", "published-stl10")
    )
    assert autogan.steps == 320 * batches / 5
    assert autogan.score_every == 20 * batches / 5
    assert stl.steps == -(-153 * -(-105_000 // 64) // 5)
    assert stl.score_every == 10 * 1_641 / 5
    ours, stl = (
        resolve(TrainingConfig, presets_for("adversarialnas")[name])
        for name in ("published", "published-stl10")
    )
    assert (ours.steps, ours.score_every) == (600 * 50_000 / 40 / 5, 5 * 50_000 / 40 / 5)
    batches = -(-105_000 // 128)
    assert (stl.steps, stl.score_every) == (600 * batches / 5, 5 * batches / 5)
    for config in (autogan, ours, stl):
        assert (config.num_scored, config.num_splits) == (50_000, 10)
    search = resolve(adversarialnas_config.Config, adversarialnas_config.PRESETS["published"])
    batches = -(-50_000 // 120)
    assert search.iterations == 24 * batches == 10_008
    assert (search.score_every, search.derive_every) == (10 * batches, batches)
