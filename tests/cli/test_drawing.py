import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command

from gan_nas.cli.drawing import has_edges, is_drawn
from gan_nas.spaces.adversarialnas import sample_discriminator
from gan_nas.spaces.degas import DEGASSpace, from_operations, operations
from gan_nas.spaces.diff import diff
from gan_nas.spaces.drawing import Part
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

FOUND = published_genome("adversarialnas-cifar10")
WITH_MMD = published_genome("mmd-adversarialnas-cifar10")
TOP1 = published_genome("autogan-cifar10-top1")
GRAPHS = [name for name in published_names() if has_edges(published_genome(name).generator)]
CELL_WIDTH = len("0 ─ dil_conv_5x5 ─┬▶ 3")
EDGE = re.compile(r"(?:(\d) [─┄] |  )(skip of cell \d|\w+)[ ─┄]+(?:[─┄┬][▶ ] (\d)|┤|┘) *")
ESCAPE = re.compile(r"\x1b\[[\d;]*m")

Edges = list[tuple[str, str]]


def searched(genome: Genome, seed: int) -> Genome:
    """Return the genome with a discriminator that has edges to draw."""
    critic = sample_discriminator(random.Random(seed), genome.discriminator.width)
    return genome.model_copy(update={"discriminator": critic})


def staged(seed: int, final_normal: bool = False) -> Genome:
    """Return a random genome of DEGAS' space; its first stage may have a residual."""
    generator = DEGASSpace(stem_residual=True, final_normal=final_normal).sample(
        random.Random(seed), 8
    )
    critic = SNResNetDiscriminator(space="sn_resnet", width=8)
    return Genome(generator=generator, discriminator=critic)


def saved(genome: Genome, path: Path) -> Path:
    genome.model_copy(update={"name": path.stem, "source": None}).save(path)
    return path


def parts_of(genome: Genome) -> list[tuple[str, Part]]:
    """List what is drawn of both networks, part by part: those of graphs."""
    networks = {"generator": genome.generator, "discriminator": genome.discriminator}
    return [
        (name, part)
        for name, network in networks.items()
        for part in network.drawing.parts
        if network.drawing.is_graph
    ]


def edges_of(part: Part) -> Edges:
    """List what the drawing of a part must show."""
    return [
        (f"{edge.source}-{edge.target}", edge.op)
        if edge.part is None
        else (f"skip-{edge.target}", f"skip of cell {edge.part}")
        for edge in part.edges
    ]


def is_blank(*parts: Part) -> bool:
    return all(edge.op == "none" for part in parts for edge in part.edges)


def read_back(rows: list[str]) -> Edges:
    """Read a cell's edges from its drawing; a row without a node on its right joins those above."""
    edges, node = [], ""
    for row in rows:
        found = EDGE.fullmatch(row)
        assert found, row
        source, op, entered = found.groups()
        node = entered or node
        edges.append((f"{source or 'skip'}-{node}", op))
    return edges


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


DRAWN: dict[str, tuple[int, Callable[[int], Genome]]] = {
    "adversarialnas": (
        CELL_WIDTH,
        lambda seed: searched(sample_genomes("adversarialnas", 1, seed)[0], seed),
    ),
    "degas": (len("0 ─ nearest_conv_1x1 ─┬▶ 2"), lambda seed: staged(seed, seed % 4 > 1)),
}


@pytest.mark.parametrize("space", DRAWN)
@pytest.mark.parametrize("seed", range(5))
def test_every_edge_can_be_read_back_from_a_drawing(
    gan_nas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: str, seed: int
) -> None:
    width, draw = DRAWN[space]
    monkeypatch.setenv("COLUMNS", str(width))  # one part below the other
    genome = draw(seed)
    out = gan_nas("genomes", saved(genome, tmp_path / "g.json")).out
    rows = [line.rstrip() for line in out.splitlines() if EDGE.fullmatch(line)]
    assert max(map(len, rows)) == width
    parts = [part for _, part in parts_of(genome) if not is_blank(part)]
    for part in parts:
        drawn, rows = rows[: len(part.edges)], rows[len(part.edges) :]
        assert read_back(drawn) == edges_of(part)
    assert not rows
    titles = [line.strip() for line in out.splitlines() if re.match(r"(cell|stage) \d|final", line)]
    assert titles == [part.title for part in parts]


@pytest.mark.parametrize("space", DRAWN)
@pytest.mark.parametrize("seed", [0, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3))])
def test_compare_marks_exactly_the_edges_that_differ(
    gan_nas: Command, tmp_path: Path, space: str, seed: int
) -> None:
    width, draw = DRAWN[space]
    pair = draw(seed), draw(seed + 100)
    files = [saved(one, tmp_path / f"{name}.json") for name, one in zip("ab", pair, strict=True)]
    answer = gan_nas("compare", *files, "--width", 4)
    assert answer.code == 1
    assert max(map(len, answer.out.splitlines())) <= 80
    rows = [row for row in answer.out.splitlines() if re.search(r"[─┄┬][▶ ] \d|[┤┘]", row)]
    marked = []
    for (network, a), (_, b) in zip(*map(parts_of, pair), strict=True):
        if is_blank(a, b):
            continue
        drawn, rows = rows[: len(a.edges)], rows[len(a.edges) :]
        starts = [found.start() for found in re.finditer(r"0 [─┄]", drawn[0])]
        for start, part in zip(starts, (a, b), strict=True):
            assert read_back([row[start : start + width] for row in drawn]) == edges_of(part)
        for row, edge in zip(drawn, a.edges, strict=True):
            if mark := re.search(r" [~+-] (changed|added|removed) *$", row):
                marked.append((f"{network}.{edge.where}", mark[1]))
            assert row.startswith(edge.label)
    assert not rows
    assert sorted(marked) == sorted((change.where, str(change.kind)) for change in diff(*pair))


def test_operations_of_stages_are_counted_and_the_last_one_is_told(
    gan_nas: Command, tmp_path: Path
) -> None:
    ops = dict(operations(staged(0).generator)) | {"1.residual": None, "2.residual": "deconv_4x4"}
    others = ops | {"0.up": "deconv_4x4", "1.residual": "deconv_6x6", "2.residual": None}
    generators = [
        from_operations(ops | {"0.up": "deconv_6x6"}, 8),
        from_operations(others | {"final_normal": "conv_1x1"}, 8),
    ]
    files = [
        saved(staged(0).model_copy(update={"generator": generator}), tmp_path / f"{name}.json")
        for name, generator in zip("ab", generators, strict=True)
    ]
    assert gan_nas("compare", *files).out.startswith(
        "generator.final_normal: added conv_1x1\n"
        "generator.stages: 1 changed, 1 added, 1 removed\n\n"
    )
    same = gan_nas("compare", files[1], files[1])
    assert same.code == 0
    assert "final_normal  0 ─ conv_1x1" in same.out
    assert not re.search("[~+-] (changed|added|removed)", same.out)


def test_nodes_of_stages_are_explained_where_there_are_stages(
    gan_nas: Command, tmp_path: Path
) -> None:
    file = saved(staged(1), tmp_path / "g.json")
    for command in (("genomes", file), ("compare", file, file)):
        assert "node 0 is the stage before it" in gan_nas(*command).err
    for command in (("genomes", GRAPHS[0]), ("compare", GRAPHS[0], GRAPHS[1])):
        assert "node 0" not in gan_nas(*command).err


def test_one_searched_discriminator_is_drawn_beside_a_hand_made_one(
    gan_nas: Command, tmp_path: Path
) -> None:
    file = saved(searched(TOP1, 3), tmp_path / "mine.json")
    there, back = (
        gan_nas("compare", *pair).out
        for pair in (("autogan-cifar10-top1", file), (file, "autogan-cifar10-top1"))
    )
    assert there.startswith("discriminator.space: sn_resnet -> adversarialnas\n")
    assert back.startswith("discriminator.space: adversarialnas -> sn_resnet\n")
    for out in (there, back):
        assert "(sn_resnet of" in out
        assert out.count("▶ 4") == 4
        assert not re.search("[~+-] (changed|added|removed)", out)


def test_only_what_lines_up_is_drawn_side_by_side() -> None:
    assert is_drawn(FOUND, WITH_MMD, "generator")
    assert not is_drawn(FOUND, TOP1, "generator")
    assert not is_drawn(FOUND, WITH_MMD, "discriminator")
    assert is_drawn(searched(FOUND, 1), searched(TOP1, 2), "discriminator")
    assert is_drawn(FOUND, searched(TOP1, 2), "discriminator")
    assert is_drawn(staged(1), staged(2), "generator")
    assert not is_drawn(staged(1), FOUND, "generator")
    assert not is_drawn(staged(1), TOP1, "generator")
    assert not is_drawn(staged(1), staged(2), "discriminator")
    assert is_drawn(searched(staged(1), 1), TOP1, "discriminator")


@pytest.mark.parametrize("name", published_names())
def test_every_published_genome_fits_into_eighty_columns(gan_nas: Command, name: str) -> None:
    for command in (("genomes", name), ("compare", "mmd-adversarialnas-cifar10", name)):
        out = gan_nas(*command).out
        assert max(map(len, out.splitlines())) <= 80
        assert "…" not in out


@pytest.mark.parametrize("options", [(), ("--costs",)])
def test_the_list_fits_into_eighty_columns(gan_nas: Command, options: tuple[str, ...]) -> None:
    out = gan_nas("genomes", *options).out
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    for score in ("cifar10 FID 12.42", "stl10 IS 9.63", "cifar10 FID 5.83"):
        assert score in out  # on one line


def test_colours_say_nothing_that_the_characters_do_not(
    gan_nas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = ("compare", "adversarialnas-cifar10", "mmd-adversarialnas-cifar10")
    piped = gan_nas(*compare).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = gan_nas(*compare).out
    assert "\x1b" not in piped
    assert "\x1b[32m2 ─ conv_5x5 ─────\x1b[0m┘" in coloured  # added
    assert "\x1b[2m2 ┄ none ┄┄┄┄┄┄┄┄┄\x1b[0m┘" in coloured  # absent
    assert ESCAPE.sub("", coloured) == piped


def test_a_stdout_of_ascii_gets_ascii(tmp_path: Path) -> None:
    ops = operations(staged(0).generator) | {"1.up": "deconv_4x4", "1.residual": None}
    genome = staged(0).model_copy(update={"generator": from_operations(ops, 8)})
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-c", "from gan_nas.cli import main; main()"),
            *("compare", *[str(saved(genome, tmp_path / "g.json"))] * 2),
        ],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"1 - deconv_4x4 -------+> 2" in done.stdout
    assert b"0 . none .............'" in done.stdout
