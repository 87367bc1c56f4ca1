import re
from pathlib import Path

import pytest
from commands import Command

from gan_nas.cli.build import costs_of
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.spaces.published import load_genome, published_genome, published_names
from gan_nas.spaces.registry import BUILT_IN

README = (Path(__file__).parents[2] / "genomes" / "README.md").read_text()


def test_genomes_lists_every_published_genome(gan_nas: Command) -> None:
    answer = gan_nas("genomes")
    assert answer.code == 0
    assert all(name in answer.out for name in published_names())
    assert "The space adversarialnas holds 3.46e15 generators." in answer.err
    listed = gan_nas("genomes", "--json").json
    assert [row["name"] for row in listed["genomes"]] == published_names()
    assert all(len(row["cells"]) == 3 for row in listed["genomes"])


@pytest.mark.parametrize("name", published_names())
def test_json_of_a_genome_is_a_genome_file(gan_nas: Command, name: str) -> None:
    answer = gan_nas("genomes", name, "--json")
    assert parse_genome(answer.out) == published_genome(name)


def test_a_genome_is_shown_with_its_source_and_costs(gan_nas: Command) -> None:
    answer = gan_nas("genomes", "autogan-cifar10-top1", "--costs")
    assert answer.code == 0
    for text in ("pre bilinear shortcut skips 0", "Fig. 3", "cifar10 FID 12.42", "4,405,251"):
        assert text in answer.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sngan-cifar100",), "did you mean sngan-cifar10?"),
        (("--sample", "adversarial"), "did you mean adversarialnas?"),
        (("--sample", "autogan", "--width", 10**9), "must be at most 2048"),
    ],
)
def test_what_there_is_not_is_refused(gan_nas: Command, words: tuple[str, ...], said: str) -> None:
    answer = gan_nas("genomes", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


@pytest.mark.parametrize("space", BUILT_IN)
def test_samples_are_json_lines_that_the_seed_decides(gan_nas: Command, space: str) -> None:
    draw = ("genomes", "--sample", space, "--count", 3, "--width", 8, "--seed")
    lines = gan_nas(*draw, 1).out.splitlines()
    genomes = [parse_genome(line) for line in lines]
    assert [genome.generator.space for genome in genomes] == [space] * 3
    assert {g.generator.width for g in genomes} == {g.discriminator.width for g in genomes} == {8}
    assert gan_nas(*draw, 1).out.splitlines() == lines
    assert gan_nas(*draw, 2).out.splitlines() != lines
    assert [Genome.model_validate_json(line) for line in lines] == genomes


def test_samples_can_become_files(gan_nas: Command, tmp_path: Path) -> None:
    answer = gan_nas("genomes", "--sample", "autogan", "--count", 3, "-o", tmp_path, "--json")
    for row in answer.json["genomes"]:
        assert load_genome(row["file"]).genome_id == row["id"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", published_names())
def test_the_table_of_sources_has_the_costs_that_are_counted(name: str) -> None:
    rows = re.findall(rf"^\| `{name}` \|.*$", README, re.MULTILINE)
    assert len(rows) == 2  # what it is, and where it was read
    genome = published_genome(name)
    resolution = 48 if "stl10" in name else 32
    cost = costs_of(genome, resolution, 3)
    counted = f"{cost['generator']['parameters']:,} | {cost['generator']['macs'] / 1e9:.3f} G"
    assert f" {genome.generator.width} | {resolution} | {counted} |" in rows[0]
    critic = cost["discriminator"]
    assert f"{critic['parameters']:,} parameters, {critic['macs'] / 1e9:.3f} G" in (
        rows[0] if "sn_resnet" in rows[0] else README
    )


@pytest.mark.parametrize(
    "pair",
    [
        ("adversarialnas-cifar10", "mmd-adversarialnas-cifar10"),
        ("eagan-cifar10", "ewsgan-cifar10"),
        ("cagan-stl10-top1", "cagan-stl10-top2"),
        ("scgan-cifar10", "scgan1-cifar10"),
    ],
    ids=" ".join,
)
def test_the_tables_of_edges_are_those_of_the_genomes(pair: tuple[str, str]) -> None:
    head = " | ".join(f"{name}: cell 0 | cell 1 | cell 2" for name in pair)
    assert f"| edge | {head} |" in README
    networks = [published_genome(name).generator for name in pair]
    for edge in networks[0].cells[0].edges:
        ops = [cell.edges[edge] for network in networks for cell in network.cells]
        assert f"| {edge} | {' | '.join(ops)} |" in README


def test_the_cells_of_adversarialnas_are_the_same_on_both_data_sets() -> None:
    cifar10, stl10 = (published_genome(f"adversarialnas-{data}") for data in ("cifar10", "stl10"))
    assert cifar10.generator.cells == stl10.generator.cells
