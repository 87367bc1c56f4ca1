"""Cells of AdversarialNAS' space and stages of DEGAS' drawn with characters, edge by edge.

A row is an edge, from the node on its left; edges that meet at a node on the right are added up. A
dotted edge is absent. Skips are not searched: a cell takes up those of all cells before it. In a
stage, node 0 is the stage before it, node 1 its normal map and node 2 its up-sampled one.
"""

from collections.abc import Collection, Iterable
from itertools import groupby, zip_longest
from math import ceil
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from gan_nas.cli.printing import console, remark, show, table
from gan_nas.spaces.adversarialnas import (
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    Cell,
    UpCell,
)
from gan_nas.spaces.degas import DEGASGenerator, operations
from gan_nas.spaces.diff import ABSENT, Change
from gan_nas.spaces.genome import DiscriminatorGenome, GeneratorGenome, Genome

GAP = 3  # columns between cells
LINE_WIDTH = len("0 ─ dil_conv_5x5 ─")
STAGE_LINE_WIDTH = len("0 ─ nearest_conv_1x1 ─")
STAGE_EDGES = {"normal": "0-1", "up": "1-2", "residual": "0-2", "final_normal": "0-1"}
SKIPS_ENTER = "3"  # the node of an Up-Cell that takes up skips
MARKS = {"changed": "~ changed", "added": "+ added", "removed": "- removed"}
STYLES = {"changed": "yellow", "added": "green", "removed": "red"}
ASCII = str.maketrans("─┄┬┤┘▶", "-.++'>")  # for a stdout that takes no other characters


class Edge(NamedTuple):
    """An operation between two nodes; one without a source is a skip."""

    source: str
    node: str
    op: str
    where: str  # its place in the network, as `diff` names it
    label: str = ""  # what its row is called beside another genome's


class Row(NamedTuple):
    """An edge drawn: its line, and where it meets others or enters its node."""

    edge: Edge
    line: str
    end: str


class Picture(NamedTuple):
    """A cell or a stage, row by row."""

    title: str
    rows: list[Row]


def has_edges(network: GeneratorGenome | DiscriminatorGenome) -> bool:
    """Tell whether a network's cells or stages are graphs, which can be drawn."""
    return isinstance(
        network, AdversarialNASGenerator | AdversarialNASDiscriminator | DEGASGenerator
    )


def is_drawn(a: Genome, b: Genome, part: str) -> bool:
    """Tell whether `show_both` has something to draw of the generators, or the discriminators.

    Generators of different spaces have nothing that lines up; of discriminators one is enough, as
    the other is hand-made.
    """
    networks = [getattr(genome, part) for genome in (a, b)]
    drawable = {network.space for network in networks if has_edges(network)}
    hand_made = {network.space for network in networks} - drawable
    return len(drawable) == 1 and (part == "discriminator" or not hand_made)


def show_cells(genome: Genome, part: str) -> None:
    """Draw the cells of a genome's generator or discriminator, beside each other where they fit."""
    pictures = [
        Text("\n").join([Text(picture.title, "bold cyan"), *map(_text, picture.rows)])
        for picture in _pictures(getattr(genome, part))
        if not _is_blank(picture)
    ]
    width = max(len(line) for picture in pictures for line in picture.plain.splitlines())
    fit = max(1, (console().width + GAP) // (width + GAP))
    in_a_row = ceil(len(pictures) / ceil(len(pictures) / fit))
    grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for start in range(0, len(pictures), in_a_row):
        if start:
            grid.add_row("")
        grid.add_row(*pictures[start : start + in_a_row])
    show(Text(f"{part} of {genome.title}", "bold"), grid, "")


def show_both(a: Genome, b: Genome, part: str, changes: Collection[Change]) -> None:
    """Draw the cells of two genomes side by side and mark the changes that turn a into b."""
    kinds = {change.where: change.kind for change in changes}
    networks = [getattr(genome, part) for genome in (a, b)]
    rows = table(part, *map(_heading, (a, b), networks), "")
    for column in rows.columns:
        column.overflow = "fold"
    for pictures in zip_longest(*map(_pictures, networks), fillvalue=Picture("", [])):
        if all(map(_is_blank, pictures)):
            continue
        for pair in zip_longest(*(picture.rows for picture in pictures)):
            edge = next(row.edge for row in pair if row)
            kind = kinds.get(f"{part}.{edge.where}", "")
            style = STYLES.get(kind, "")
            drawn = [_text(row, style) if row else "" for row in pair]
            rows.add_row(edge.label, *drawn, Text(MARKS.get(kind, ""), style))
        rows.add_section()
    show(rows, "")


def explain_drawing(networks: Iterable[GeneratorGenome | DiscriminatorGenome]) -> None:
    """Say on stderr how to read the drawings of networks."""
    remark("Edges that meet are added up; a dotted edge is absent (none).", style="dim")
    if any(isinstance(network, DEGASGenerator) for network in networks):
        remark(
            "Of a stage, node 0 is the stage before it, 1 its normal map, 2 its up-sampled one.",
            style="dim",
        )


def _heading(genome: Genome, network: GeneratorGenome | DiscriminatorGenome) -> str:
    hand_made = "" if has_edges(network) else f" ({network.space} of width {network.width})"
    return genome.title + hand_made


def _pictures(network: GeneratorGenome | DiscriminatorGenome) -> list[Picture]:
    """Draw a network's cells or stages; a hand-made network has none."""
    if isinstance(network, DEGASGenerator):
        return _stages(network)
    if isinstance(network, AdversarialNASGenerator | AdversarialNASDiscriminator):
        return [_cell(cell, index) for index, cell in enumerate(network.cells)]
    return []


def _is_blank(picture: Picture) -> bool:
    return all(row.edge.op == ABSENT for row in picture.rows)


def _cell(cell: Cell, index: int) -> Picture:
    title = f"cell {index}"
    edges = []
    for edge, op in cell.edges.items():
        source, node = edge.split("-")
        edges.append(Edge(source, node, op, f"cells.{index}.{edge}"))
    if isinstance(cell, UpCell):
        skips = [f"skip of cell {earlier}" for earlier in range(index)]
        edges += [Edge("", SKIPS_ENTER, skip, f"{title} {skip}") for skip in skips]
    first, *others = sorted(edges, key=lambda edge: edge.node)
    return Picture(title, _drawn([first._replace(label=title), *others], LINE_WIDTH))


def _stages(generator: DEGASGenerator) -> list[Picture]:
    """Draw the stages and, even if it is absent, the normal operation after them."""
    pictures: dict[str, list[Edge]] = {}
    for place, op in operations(generator).items():
        stage, _, name = place.rpartition(".")
        source, node = STAGE_EDGES[name].split("-")
        where = f"stages.{place}" if stage else place
        edge = Edge(source, node, op or ABSENT, where, label=place)
        pictures.setdefault(f"stage {stage}" if stage else "final", []).append(edge)
    return [Picture(title, _drawn(edges, STAGE_LINE_WIDTH)) for title, edges in pictures.items()]


def _drawn(edges: list[Edge], width: int) -> list[Row]:
    """Draw edges that are sorted by the node they enter, with lines of `width` columns."""
    rows = []
    for node, group in groupby(edges, lambda edge: edge.node):
        incoming = list(group)
        head = " " if all(edge.op == ABSENT for edge in incoming) else "▶"
        for number, edge in enumerate(incoming):
            dash = "┄" if edge.op == ABSENT else "─"
            start = f"{edge.source} {dash} {edge.op} " if edge.source else f"  {edge.op} "
            joint = dash if len(incoming) == 1 else "┬"
            end = f"{joint}{head} {node}"
            if number:
                end = "┘" if number == len(incoming) - 1 else "┤"
            rows.append(Row(edge, start.ljust(width, dash), end))
    return rows


def _text(row: Row, style: str = "") -> Text:
    line, end = row.line, row.end
    if console().options.ascii_only:
        line, end = line.translate(ASCII), end.translate(ASCII)
    return Text.assemble((line, "dim" if row.edge.op == ABSENT else style), end)
