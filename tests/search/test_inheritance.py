"""Training from a search's weights: equal networks, complete weights, what does not fit."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn

from gan_nas.errors import Incompatible, Interrupted, InvalidInput
from gan_nas.networks.adversarialnas import DownCellNetwork
from gan_nas.networks.builder import build_discriminator, build_generator, choose_cells
from gan_nas.networks.states import load_module_state
from gan_nas.networks.weights import GeneratorFile, load_generator_file
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.run import stored_config
from gan_nas.search import FOLDERS
from gan_nas.search.inheritance import Supernets, read_supernets, start_from
from gan_nas.search.retraining import retrain_all
from gan_nas.spaces.adversarialnas import sample_discriminator
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.schema import DiscriminatorGenome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.streams import stream
from gan_nas.training.config import TrainingConfig
from gan_nas.training.loop import train
from gan_nas.training.units import Start

Searches = Callable[[str], tiny.Searched]

NUM_GENOMES = 4


@pytest.fixture(params=FOLDERS)
def supernets(request: pytest.FixtureRequest, searches: Searches) -> Supernets:
    return read_supernets(searches(request.param).directory)


def drawn(supernets: Supernets, count: int = NUM_GENOMES, width: int = 4) -> list[Genome]:
    return sample_genomes(supernets.trained.sizes.space, count, 1, width, width)


def start(supernets: Supernets, genome: Genome) -> Start:
    return start_from(supernets, genome, resolution=16, image_channels=1)


def normals(seed: int, *size: int) -> Tensor:
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return torch.randn(size, generator=generator, device="cpu", dtype=torch.float64)


def derived(genome: Genome, tensors: dict[str, Tensor]) -> nn.Module:
    with torch.device("cpu"):
        network = build_generator(genome.generator, 16, 1).double()
    load_module_state(network, tensors)  # refuses what is missing or too much
    return network


def test_inherited_weights_compute_what_the_supernet_set_to_the_genome_computes(
    supernets: Supernets,
) -> None:
    """Batch norms use the batch's statistics; DEGAS' supernet sees the latents of its unit ball."""
    network = supernets.trained.generator.double()
    found = [read_genome(path) for path in (supernets.directory / "genomes").glob("*.json")]
    assert found
    for number, genome in enumerate((*drawn(supernets), *found)):
        child = derived(genome, start(supernets, genome).generator)
        choose_cells(network, genome.generator)
        z = normals(number, 5, genome.generator.latent_dim)
        scaled = z / genome.generator.latent_dim**0.5
        seen = scaled if genome.generator.space == "degas" else z
        torch.testing.assert_close(child(z), network(seen), rtol=0, atol=1e-12)


def test_degas_fills_in_neutral_values_and_shrinks_the_stem(searches: Searches) -> None:
    supernets = read_supernets(searches("degas").directory)
    known = supernets.trained.generator.state_dict()
    (genome,) = sample_genomes("degas", 1, 5, 4, 4)
    tensors = start(supernets, genome).generator
    torch.testing.assert_close(tensors["stem.weight"], known["stem.weight"] / 128**0.5)
    assert tensors["stem.bias"].equal(known["stem.bias"])
    added = {name: t for name, t in tensors.items() if name.startswith("stages") and t.dim() < 2}
    ones = {name for name in added if name.endswith((".norm.weight", ".running_var"))}
    zeros = {n for n in added if n.endswith(("bias", "running_mean", "num_batches_tracked"))}
    assert ones
    assert zeros
    assert ones | zeros == added.keys()
    assert all(added[name].eq(1).all() for name in ones)
    assert all(added[name].eq(0).all() for name in zeros)


def test_inherited_weights_are_the_live_ones_not_the_average(searches: Searches) -> None:
    supernets = read_supernets(searches("adversarialnas").directory)
    tensors = supernets.finished.checkpoint.tensors
    name = "to_rgb.conv.weight"
    live, average = (tensors[group][f"network.{name}"] for group in ("generator", "averages"))
    assert not live.equal(average)
    assert start(supernets, drawn(supernets)[0]).generator[name].equal(live)


def with_discriminator(supernets: Supernets, discriminator: DiscriminatorGenome) -> Genome:
    return drawn(supernets)[0].model_copy(update={"discriminator": discriminator})


def discriminator_of(space: str, width: int = 4) -> DiscriminatorGenome:
    if space == "sn_resnet":
        return SNResNetDiscriminator(space="sn_resnet", width=width)
    return sample_discriminator(random.Random(3), width)


@pytest.mark.parametrize(
    ("method", "space"), [("autogan", "sn_resnet"), ("adversarialnas", "adversarialnas")]
)
def test_a_discriminator_the_search_trained_is_inherited_with_its_spectral_vectors(
    searches: Searches, method: str, space: str
) -> None:
    supernets = read_supernets(searches(method).directory)
    genome = with_discriminator(supernets, discriminator_of(space))
    found = start(supernets, genome)
    assert found.origin["networks"] == ["generator", "discriminator"]
    assert found.discriminator is not None
    assert any(name.endswith("weight_u") for name in found.discriminator)
    with torch.device("cpu"):
        child = build_discriminator(genome.discriminator, 16, 1)
    load_module_state(child, found.discriminator)
    trained = supernets.trained.discriminator
    assert trained is not None
    if isinstance(trained, DownCellNetwork):
        assert genome.discriminator.space == "adversarialnas"
        choose_cells(trained, genome.discriminator)
    images = normals(0, 5, 1, 16, 16)
    ours, known = child.double().eval()(images), trained.double().eval()(images)
    torch.testing.assert_close(ours, known, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "space", "width"),
    [
        ("autogan", "sn_resnet", 5),
        ("autogan", "adversarialnas", 4),
        ("adversarialnas", "sn_resnet", 4),
        ("adversarialnas", "adversarialnas", 5),
        ("degas", "sn_resnet", 4),
    ],
)
def test_a_discriminator_the_search_did_not_train_starts_anew(
    searches: Searches, method: str, space: str, width: int
) -> None:
    supernets = read_supernets(searches(method).directory)
    found = start(supernets, with_discriminator(supernets, discriminator_of(space, width)))
    assert found.discriminator is None
    assert found.origin["networks"] == ["generator"]


def test_a_fixed_discriminator_of_a_search_is_inherited(tmp_path: Path) -> None:
    tiny.run_search("adversarialnas", tmp_path / "search", discriminator="sn_resnet", iterations=2)
    supernets = read_supernets(tmp_path / "search")
    assert start(supernets, drawn(supernets)[0]).discriminator is not None
    critic = suited(drawn(supernets)[0], "ctgan")
    assert start(supernets, critic).discriminator is None


def test_other_images_are_refused_with_both_numbers_and_another_width_with_advice(
    supernets: Supernets,
) -> None:
    """Of other sizes see test_inherited_spaces.py."""
    (genome,) = drawn(supernets, 1)
    (wide,) = drawn(supernets, 1, width=6)
    with pytest.raises(Incompatible, match=r"width is 6 and .* 4: derived_width must equal width"):
        start(supernets, wide)
    with pytest.raises(Incompatible, match=r"resolution are 32 and .* 16: "):
        start_from(supernets, genome, resolution=32, image_channels=1)
    with pytest.raises(Incompatible, match=r"channels are 3 and .* 1: "):
        start_from(supernets, genome, resolution=16, image_channels=3)


def test_only_a_search_bequeaths(tmp_path: Path) -> None:
    tiny.run_training(tmp_path / "training", steps=1)
    with pytest.raises(InvalidInput, match="is a run of retrain"):
        read_supernets(tmp_path / "training")


def training(
    genome: Genome,
    directory: Path,
    begin: Start | None,
    stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> TrainingResult:
    return train(
        genome,
        tiny.digits(),
        TrainingConfig.model_validate(tiny.TRAINING | changes),
        directory,
        resolution=16,
        device=tiny.CPU,
        backbone=tiny.backbone(),
        stop=stop,
        start=begin,
    )


def test_training_starts_from_inherited_weights_and_their_average(
    supernets: Supernets, tmp_path: Path
) -> None:
    (genome,) = drawn(supernets, 1)
    begin = start(supernets, genome)
    result = training(genome, tmp_path / "run", begin, steps=0)
    about, tensors = _generator(tmp_path / "run")
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    for name, tensor in begin.generator.items():
        if not name.endswith(buffers):
            assert tensors[name].equal(tensor), name
    assert about.lineage["weights"] == "moving average"
    assert about.lineage["inherited_from"] == begin.origin == result.inherited_from
    assert about.lineage["inherited_from"] == {
        "method": supernets.finished.settings["method"],
        "run_id": supernets.finished.run_id,
        "data": "digits",
        "networks": begin.origin["networks"],
    }
    assert stored_config(tmp_path / "run")["inherited"] == begin.origin


def test_the_first_norm_statistics_are_those_of_the_inherited_weights(
    supernets: Supernets, tmp_path: Path
) -> None:
    (genome,) = drawn(supernets, 1)
    training(genome, tmp_path / "run", start(supernets, genome), steps=0)
    tensors = _generator(tmp_path / "run")[1]
    child = derived(genome, tensors).eval()
    random = stream(0, "norm latents", 0)
    z = torch.randn(256, genome.generator.latent_dim, generator=random, device="cpu").double()
    by_own_statistics = child(z)
    torch.testing.assert_close(by_own_statistics, child.train()(z), rtol=0, atol=0.02)


def test_from_scratch_the_lineage_says_so(tmp_path: Path) -> None:
    result = tiny.run_training(tmp_path / "run", steps=0)
    about, _ = _generator(tmp_path / "run")
    assert about.lineage["inherited_from"] is None is result.inherited_from
    assert stored_config(tmp_path / "run")["inherited"] is None


def test_an_inherited_training_resumed_equals_uninterrupted(
    searches: Searches, tmp_path: Path
) -> None:
    supernets = read_supernets(searches("autogan").directory)
    (genome,) = drawn(supernets, 1)
    begin = partial(start, supernets, genome)
    looks = 0

    def count() -> bool:
        nonlocal looks
        looks += 1
        return False

    training(genome, tmp_path / "whole", begin(), count, norm_statistics="reestimated")
    whole = tiny.traces(tmp_path / "whole")
    for place in range(1, looks + 1, max(1, looks // 2)):
        directory = tmp_path / f"stopped-{place}"
        left = iter(range(looks))
        with pytest.raises(Interrupted):
            training(
                genome,
                directory,
                begin(),
                lambda left=left, place=place: next(left) + 1 >= place,  # type: ignore[misc]
                norm_statistics="reestimated",
            )
        training(genome, directory, begin(), norm_statistics="reestimated")
        assert tiny.traces(directory) == whole, f"stopped at look {place} of {looks}"


def test_a_run_does_not_change_where_it_starts(searches: Searches, tmp_path: Path) -> None:
    supernets = read_supernets(searches("degas").directory)
    (genome,) = drawn(supernets, 1)
    training(genome, tmp_path / "scratch", None, steps=0)
    with pytest.raises(Incompatible, match="inherited: null -> "):
        training(genome, tmp_path / "scratch", start(supernets, genome), steps=0)
    training(genome, tmp_path / "heir", start(supernets, genome), steps=0)
    with pytest.raises(Incompatible, match=r"inherited: .* -> null"):
        training(genome, tmp_path / "heir", None, steps=0)
    tiny.run_search("degas", tmp_path / "other", seed=1)
    other = start(read_supernets(tmp_path / "other"), genome)
    with pytest.raises(Incompatible, match=r"inherited\.run_id: "):
        training(genome, tmp_path / "heir", other, steps=0)


def test_retraining_with_inheritance_stands_beside_that_from_scratch(
    searches: Searches, tmp_path: Path
) -> None:
    supernets = read_supernets(searches("autogan").directory)
    (genome,) = drawn(supernets, 1)
    retrain = partial(
        retrain_all,
        tmp_path,
        [genome],
        tiny.digits(),
        TrainingConfig.model_validate(tiny.TRAINING | {"steps": 1}),
        resolution=16,
        device=tiny.CPU,
        backbone=tiny.backbone(),
    )
    scratch, heir = (
        run().trials[0].result for run in (retrain, partial(retrain, supernets=supernets))
    )
    assert scratch is not None
    assert heir is not None
    assert scratch.inherited_from is None
    assert heir.inherited_from is not None
    assert heir.inherited_from["networks"] == ["generator", "discriminator"]
    names = {path.name for path in (tmp_path / "retrained").iterdir()}
    assert names == {genome.genome_id, f"{genome.genome_id}-inherited"}
    assert scratch.first != heir.first


def _generator(directory: Path) -> tuple[GeneratorFile, dict[str, Tensor]]:
    return load_generator_file(directory / "generator.safetensors")
