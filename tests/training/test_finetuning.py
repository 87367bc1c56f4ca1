"""Training from given weights: what is taken over, what tells it apart, what does not fit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import tiny
import torch
from safetensors.torch import load_file

from gan_nas.errors import Incompatible, Interrupted, InvalidInput
from gan_nas.networks.builder import build_generator
from gan_nas.networks.initialisation import initialise
from gan_nas.networks.states import module_state
from gan_nas.networks.weights import read_metadata, save_generator
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.run import never, stored_config
from gan_nas.scoring.score import score
from gan_nas.spaces.autogan import AutoGANGenerator
from gan_nas.spaces.frameworks import discriminator_of
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.registry import BUILT_IN, load_space
from gan_nas.streams import stream
from gan_nas.training.config import TrainingConfig
from gan_nas.training.finetuning import load_start, read_given, start_with
from gan_nas.training.loop import train
from gan_nas.training.units import Start

pytestmark = pytest.mark.usefixtures("plugin")

DISTANCE = "frechet_distance[classifier]"
SIDE = 16
SEED = 1  # whose genomes do not collapse at once


@pytest.fixture(params=(*BUILT_IN, "toy"))
def genome(request: pytest.FixtureRequest) -> Genome:
    return drawn(request.param)


def drawn(name: str, width: int = 4) -> Genome:
    generator = load_space(name).sample(Random(SEED), width)
    return Genome(generator=generator, discriminator=discriminator_of("hinge-sn", 4))


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate(tiny.TRAINING | {"num_scored": 20} | changes)


def generator_file(
    path: Path, genome: Genome, seed: int = 0, side: int = SIDE, channels: int = 1
) -> Path:
    """Write drawn weights, with statistics of norms that are not those of a start."""
    with torch.device("cpu"):
        network = build_generator(genome.generator, side, channels)
    initialise(network, stream(seed, "weights"))
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(generator=stream(seed, name))
    lineage = {"method": "retrain", "data": "/home/me/cats", "steps": 9, "images": 72, "seed": 1}
    save_generator(path, module_state(network), genome, side, channels, lineage)
    return path


def training(
    genome: Genome,
    directory: Path,
    begin: Start | None,
    stop: Callable[[], bool] = never,
    **changes: Any,
) -> TrainingResult:
    return train(
        genome,
        tiny.digits(),
        config(**changes),
        directory,
        resolution=SIDE,
        device=tiny.CPU,
        backbone=tiny.backbone(),
        stop=stop,
        start=begin,
    )


def started(source: Path, genome: Genome, **changes: Any) -> Start:
    return load_start(source, genome, tiny.digits(), config(**changes), resolution=SIDE)


@pytest.mark.parametrize("statistics", ["live", "reestimated"])
def test_the_first_score_is_that_of_the_given_generator(
    genome: Genome, tmp_path: Path, statistics: str
) -> None:
    """By another seed than that of its training, if it had one."""
    path = generator_file(tmp_path / "given.safetensors", genome)
    changes = {"steps": 0, "seed": 5, "norm_statistics": statistics}
    first = training(genome, tmp_path / "run", started(path, genome), **changes).first
    alone = score(
        path, tiny.digits(), num=20, measures="fid", seed=5, backbone=tiny.backbone()
    ).scores
    assert first[DISTANCE] == alone[DISTANCE]
    given = load_file(path)
    for name, tensor in load_file(tmp_path / "run" / "best.safetensors").items():
        assert tensor.equal(given[name]), name


def test_a_run_gives_its_last_weights_and_their_discriminator(
    genome: Genome, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    begun = started(generator_file(tmp_path / "given.safetensors", genome), genome)
    ended = training(genome, first, begun, steps=1)
    start = started(first, genome)
    last = load_file(first / "generator.safetensors")
    assert all(tensor.equal(last[name]) for name, tensor in start.generator.items())
    checkpoint = sorted((first / "checkpoint").iterdir())[-1]
    beside = load_file(checkpoint / "discriminator.safetensors")
    assert start.discriminator is not None
    assert all(tensor.equal(beside[name]) for name, tensor in start.discriminator.items())
    assert start.origin["networks"] == ["generator", "discriminator"]

    result = training(genome, tmp_path / "second", start, steps=0)
    assert result.first[DISTANCE] == ended.last[DISTANCE]
    alone = started(first / "generator.safetensors", genome)
    assert (alone.discriminator, alone.origin["networks"]) == (None, ["generator"])
    assert started(first, genome, framework="ctgan").discriminator is None  # it has another one
    with pytest.raises(Incompatible, match=r"inherited\.discriminator_sha256: .* -> absent"):
        training(genome, tmp_path / "second", alone, steps=0)


def test_lineage_and_result_tell_the_origin_without_a_path(tmp_path: Path) -> None:
    genome = drawn("autogan")
    path = generator_file(tmp_path / "given.safetensors", genome)
    result = training(genome, tmp_path / "run", started(path, genome), steps=0)
    about = read_metadata(tmp_path / "run" / "generator.safetensors")
    assert about.lineage["inherited_from"] == result.inherited_from
    identity = {
        "sha256": read_metadata(path).sha256,
        "genome_id": genome.genome_id,
        "resolution": SIDE,
        "image_channels": 1,
        "method": "retrain",
        "data": "cats",
        "steps": 9,
        "images": 72,
        "networks": ["generator"],
    }
    assert result.inherited_from == identity | {"source": "given.safetensors"}
    assert stored_config(tmp_path / "run")["inherited"] == identity
    assert str(tmp_path) not in json.dumps(about.lineage)


def test_weights_are_told_by_content_not_by_name(tmp_path: Path) -> None:
    genome, directory = drawn("autogan"), tmp_path / "run"
    path = generator_file(tmp_path / "given.safetensors", genome)
    result = training(genome, directory, started(path, genome), steps=1)
    moved = path.rename(tmp_path / "moved.safetensors")
    assert training(genome, directory, started(moved, genome), steps=1) == result
    generator_file(path, genome, seed=1)
    with pytest.raises(Incompatible, match=r"inherited\.sha256: "):
        training(genome, directory, started(path, genome), steps=1)
    with pytest.raises(Incompatible, match=r"inherited: .* -> null"):
        training(genome, directory, None, steps=1)


def test_resumed_equals_uninterrupted_and_may_have_lost_the_file(
    genome: Genome, tmp_path: Path
) -> None:
    path = generator_file(tmp_path / "given.safetensors", genome)
    start, looks = started(path, genome), iter(range(10**6))
    training(genome, tmp_path / "whole", start, lambda: next(looks) < 0, steps=2)
    middle, left = next(looks) // 2, iter(range(10**6))
    stopped = tmp_path / "stopped"
    with pytest.raises(Interrupted):
        training(genome, stopped, start, lambda: next(left) >= middle, steps=2)
    path.unlink()
    given = read_given(path, stopped)
    assert (given.genome, given.resolution) == (genome, SIDE)
    training(genome, stopped, start_with(given, genome, SIDE, 1), steps=2)
    assert tiny.traces(stopped) == tiny.traces(tmp_path / "whole")


def test_a_longer_fine_tuning_goes_on_as_if_it_had_been_this_long(tmp_path: Path) -> None:
    genome = drawn("autogan")
    start = started(generator_file(tmp_path / "given.safetensors", genome), genome)
    training(genome, tmp_path / "whole", start, steps=3)
    training(genome, tmp_path / "longer", start, steps=1)
    training(genome, tmp_path / "longer", start, steps=3)
    whole, longer = (load_file(tmp_path / k / "generator.safetensors") for k in ("whole", "longer"))
    assert all(tensor.equal(longer[name]) for name, tensor in whole.items())


def test_lost_weights_need_a_run_that_began_from_them(tmp_path: Path) -> None:
    genome = drawn("autogan")
    path = generator_file(tmp_path / "given.safetensors", genome)
    start = started(path, genome)
    training(genome, tmp_path / "scratch", None, steps=1)
    training(genome, tmp_path / "tuned", start, steps=1)
    path.unlink()
    for run, said in ((None, "is not there, a generator"), ("scratch", "did not begin from a")):
        with pytest.raises(InvalidInput, match=said):
            read_given(path, run and tmp_path / run)
    lost = start_with(read_given(path, tmp_path / "tuned"), genome, SIDE, 1)
    assert lost.identity == start.identity
    shutil.rmtree(tmp_path / "tuned" / "checkpoint")
    (tmp_path / "tuned" / "result.json").unlink()
    with pytest.raises(InvalidInput, match=r"^given\.safetensors, .* no checkpoint to go on from"):
        training(genome, tmp_path / "tuned", lost, steps=1)


def test_another_genome_fits_where_all_shapes_are_equal(tmp_path: Path) -> None:
    genome = drawn("autogan")
    path = generator_file(tmp_path / "given.safetensors", genome)
    assert isinstance(genome.generator, AutoGANGenerator)
    cells = tuple(cell.model_copy(update={"up": "nearest"}) for cell in genome.generator.cells)
    alike = genome.model_copy(
        update={"generator": genome.generator.model_copy(update={"cells": cells})}
    )
    assert alike.genome_id != genome.genome_id
    assert started(path, alike).origin["genome_id"] == genome.genome_id


def test_what_does_not_fit_is_refused_with_tensor_shapes_and_reason(
    genome: Genome, tmp_path: Path
) -> None:
    path = generator_file(tmp_path / "given.safetensors", genome)
    given = read_given(path)
    wide = drawn(genome.generator.space, width=6)
    ids = f"{genome.genome_id} and {wide.genome_id} is"
    shapes = r"given\.safetensors do not fit: \S+ has shape \([\d, ]+\) there and shape \([\d, ]+\)"
    with pytest.raises(InvalidInput, match=rf"{shapes} .* of genome {ids} asked"):
        start_with(given, wide, SIDE, 1)
    with pytest.raises(InvalidInput, match=rf"{shapes} .* channels are 1 and those of the data 3"):
        start_with(given, genome, SIDE, 3)
    with pytest.raises(InvalidInput, match=rf"{shapes} .* side .* 16 px there and 32 px here; tr"):
        start_with(given, genome, 2 * SIDE, 1)


def test_a_missing_and_a_strange_tensor_are_refused(tmp_path: Path) -> None:
    genome = drawn("autogan")
    path = generator_file(tmp_path / "given.safetensors", genome)
    whole = load_file(path)
    name, *_ = whole
    for tensors, said in (
        ({k: t for k, t in whole.items() if k != name}, f"1 missing .{name}."),
        (whole | {"more": torch.zeros(1)}, "1 unexpected .more."),
        ({}, r"missing \("),
    ):
        save_generator(path, tensors, genome, SIDE, 1, {})
        with pytest.raises(Incompatible, match=f"the weights in .* do not fit .*{said}"):
            read_given(path)


def test_only_whole_files_and_finished_trainings_are_read(tmp_path: Path) -> None:
    genome = drawn("autogan")
    path = generator_file(tmp_path / "given.safetensors", genome)
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvalidInput, match="damaged"):
        read_given(tmp_path / "cut.safetensors")
    with pytest.raises(InvalidInput, match="it holds no config"):
        read_given(tmp_path)
    tiny.run_reconstruction(tmp_path / "reconstruction")
    with pytest.raises(InvalidInput, match="is a run of 'reconstruct', and a generator file"):
        read_given(tmp_path / "reconstruction")
    with pytest.raises(Interrupted):
        training(genome, tmp_path / "run", None, lambda: True)
    with pytest.raises(InvalidInput, match="has not ended"):
        read_given(tmp_path / "run")


def test_of_a_strangers_lineage_only_plain_values_are_kept(tmp_path: Path) -> None:
    genome = drawn("autogan")
    path = generator_file(tmp_path / "given.safetensors", genome)
    lineage = {"data": "x" * 10**4, "steps": [1], "images": {"a": 1}, "method": None}
    save_generator(path, load_file(path), genome, SIDE, 1, lineage)
    origin = started(path, genome).origin
    assert origin["data"] == "x" * 300
    assert not origin.keys() & {"steps", "images", "method"}
