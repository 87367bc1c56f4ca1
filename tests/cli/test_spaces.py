"""Commands on genomes of every space, a stranger's too: shown, compiled, compared and trained."""

from pathlib import Path
from random import Random

import pytest
from commands import Command, sets
from tiny import TRAINING

from gan_nas.networks.weights import load_generator_file
from gan_nas.spaces.diff import diff
from gan_nas.spaces.genome import Genome, parse_genome, read_genome
from gan_nas.spaces.registry import BUILT_IN, load_space, space_names

pytestmark = pytest.mark.usefixtures("plugin")

SIZES = ("--width", "4", "--resolution", "16", "--channels", "1")


@pytest.fixture(params=(*BUILT_IN, "toy"))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """Files of a genome and of one of its neighbours."""
    space = load_space(request.param)
    generator = space.sample(Random(3), 4)
    neighbours = list(space.neighbours(generator))
    files = (tmp_path / "my genome.json", tmp_path / "its neighbour.json")
    for file, one in zip(files, (generator, neighbours[len(neighbours) // 2]), strict=True):
        Genome(generator=one, discriminator=space.discriminator(4)).save(file)
    return files


def test_a_genome_is_shown_in_words_or_drawn(gan_nas: Command, pair: tuple[Path, Path]) -> None:
    genome = read_genome(pair[0])
    shown = gan_nas("genomes", pair[0], "--costs")
    assert shown.code == 0
    assert f"{genome.generator.space}, width 4, latents {genome.generator.latents}" in shown.out
    drawing = genome.generator.drawing
    said = [edge.op for part in drawing.parts for edge in part.edges]
    for words in said if drawing.is_graph else genome.generator.words:
        assert words in shown.out
    assert parse_genome(gan_nas("genomes", pair[0], "--json").out) == genome


def test_a_genome_is_compiled(gan_nas: Command, pair: tuple[Path, Path], tmp_path: Path) -> None:
    written = tmp_path / "fresh weights.safetensors"
    built = gan_nas("build", pair[0], *SIZES, "-o", written, "--json").json
    assert built["generator"]["parameters"] > 0
    assert built["layers"][-1]["output"] == [1]
    assert gan_nas("build", pair[0], *SIZES).code == 0
    sampled = gan_nas("sample", written, "-o", tmp_path / "grid.png")
    assert sampled.code == 0
    assert (tmp_path / "grid.png").exists()


def test_neighbours_are_told_apart_by_one_field(gan_nas: Command, pair: tuple[Path, Path]) -> None:
    changes = diff(*map(read_genome, pair))
    compared = gan_nas("compare", *pair, *SIZES, "--json")
    assert compared.code == 1
    assert [row["text"] for row in compared.json["changes"]] == list(map(str, changes))
    shown = gan_nas("compare", *pair, *SIZES)
    assert shown.code == 1
    graph = read_genome(pair[0]).generator.drawing.is_graph
    assert (f"1 {changes[0].kind}" if graph else str(changes[0])) in shown.out


def test_a_genome_is_trained_by_the_presets_of_its_framework(
    gan_nas: Command, pair: tuple[Path, Path], folder: Path, tmp_path: Path
) -> None:
    space = load_space(read_genome(pair[0]).generator.space)
    settings = sets(TRAINING | {"steps": 1, "framework": space.framework, "num_scored": 20})
    run = tmp_path / "a run"
    trained = gan_nas("retrain", pair[0], "--data", folder, *settings, "--run", run, "--json")
    assert trained.code == 0, trained.err
    about, _ = load_generator_file(run / "generator.safetensors")
    assert about.genome.generator == read_genome(pair[0]).generator


def test_cells_that_only_one_genome_has_are_added_or_removed(
    gan_nas: Command, tmp_path: Path
) -> None:
    toy = load_space("toy")
    short = toy.example(4)
    files = [tmp_path / "short.json", tmp_path / "long.json"]
    for file, number in zip(files, (1, 2), strict=True):
        generator = short.model_copy(update={"cells": short.cells * number})
        Genome(generator=generator, discriminator=toy.discriminator(4)).save(file)
    for pair, kind in ((files, "added"), (files[::-1], "removed")):
        changes = diff(*map(read_genome, pair))
        assert [str(change) for change in changes] == [
            f"generator.cells.{index}: {kind} conv conv_1x1, activation relu" for index in (2, 3)
        ]
        shown = gan_nas("compare", *pair, *SIZES)
        assert shown.code == 1
        assert f"generator.cells: 2 {kind}" in shown.out
        assert "cell 3" in shown.out


def test_genomes_lists_the_size_of_every_space(gan_nas: Command) -> None:
    sizes = gan_nas("genomes", "--json").json["spaces"]
    assert sizes == {name: load_space(name).count() for name in space_names()}
    assert "The space toy holds 81 generators." in gan_nas("genomes").err
