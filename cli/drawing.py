"""Cells of AdversarialNAS' space drawn with characters, edge by edge.

A row is an edge, from the node on its left; edges that meet at a node on the right are added up. A
dotted edge is absent. Skips are not searched: a cell takes up those of all cells before it.
"""

from collections.abc import Collection
from itertools import groupby, zip_longest
from math import ceil
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from gan_nas.cli.printing import console, remark, show, table
from gan_nas.diff import ABSENT, Change
from gan_nas.genome import DiscriminatorGenome, GeneratorGenome, Genome
from gan_nas.spaces.adversarialnas import (
    AdversarialNASDiscriminator,
    AdversarialNASGenerator,
    DownCell,
    FirstDownCell,
    UpCell,
)

GAP = 3  # columns between cells
LINE_WIDTH = len("0 ─ dil_conv_5x5 ─")
SKIPS_ENTER = "3"  # the node of an Up-Cell that takes up skips
MARKS = {"changed": "~ changed", "added": "+ added", "removed": "- removed"}
STYLES = {"changed": "yellow", "added": "green", "removed": "red"}
ASCII = str.maketrans("─┄┬┤┘▶", "-.++'>")  # for a stdout that takes no other characters


class Edge(NamedTuple):
    """A row of a drawing: the edge itself, and where it meets others or enters its node."""

    name: str
    line: str
    end: str
    is_absent: bool


def has_edges(network: GeneratorGenome | DiscriminatorGenome) -> bool:
    """Tell whether a network's cells are graphs, which can be drawn."""
    return isinstance(network, AdversarialNASGenerator | AdversarialNASDiscriminator)


def is_drawn(a: Genome, b: Genome, part: str) -> bool:
    """Tell whether `show_both` has something to draw of the generators, or the discriminators.

    Generators of different spaces have nothing that lines up; of discriminators one is enough, as
    the other is hand-made.
    """
    drawable = [has_edges(getattr(genome, part)) for genome in (a, b)]
    return all(drawable) or (part == "discriminator" and any(drawable))


def show_cells(genome: Genome, part: str) -> None:
    """Draw the cells of a genome's generator or discriminator, beside each other where they fit."""
    pictures = [
        Text("\n").join([Text(f"cell {index}", "bold cyan"), *map(_text, _edges(cell, index))])
        for index, cell in enumerate(getattr(genome, part).cells)
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
    for index in range(max(len(n.cells) for n in networks if has_edges(n))):
        sides = [_edges(n.cells[index], index) if has_edges(n) else [] for n in networks]
        for number, pair in enumerate(zip_longest(*sides)):
            name = next(edge.name for edge in pair if edge)
            kind = kinds.get(f"{part}.cells.{index}.{name}", "")
            style = STYLES.get(kind, "")
            drawn = [_text(edge, style) if edge else "" for edge in pair]
            mark = Text(MARKS.get(kind, ""), style)
            rows.add_row("" if number else f"cell {index}", *drawn, mark)
        rows.add_section()
    show(rows, "")


def explain_drawing() -> None:
    """Say on stderr how to read a drawing."""
    remark("Edges that meet are added up; a dotted edge is absent (none).", style="dim")


def _heading(genome: Genome, network: GeneratorGenome | DiscriminatorGenome) -> str:
    hand_made = "" if has_edges(network) else f" ({network.space} of width {network.width})"
    return genome.title + hand_made


def _edges(cell: UpCell | DownCell | FirstDownCell, index: int) -> list[Edge]:
    """Draw the edges of cell `index`, node by node."""
    into: list[tuple[str, str, str]] = []  # node, the node before it, operation
    for edge, op in cell.edges.items():
        source, node = edge.split("-")
        into.append((node, source, op))
    if isinstance(cell, UpCell):
        into += [(SKIPS_ENTER, "", f"skip of cell {earlier}") for earlier in range(index)]
    drawn = []
    for node, group in groupby(sorted(into, key=lambda edge: edge[0]), lambda edge: edge[0]):
        incoming = list(group)
        head = " " if all(op == ABSENT for _, _, op in incoming) else "▶"
        for number, (_, source, op) in enumerate(incoming):
            dash = "┄" if op == ABSENT else "─"
            start = f"{source} {dash} {op} " if source else f"  {op} "
            joint = dash if len(incoming) == 1 else "┬"
            end = f"{joint}{head} {node}"
            if number:
                end = "┘" if number == len(incoming) - 1 else "┤"
            line = start.ljust(LINE_WIDTH, dash)
            drawn.append(Edge(f"{source}-{node}", line, end, op == ABSENT))
    return drawn


def _text(edge: Edge, style: str = "") -> Text:
    line, end = edge.line, edge.end
    if console().options.ascii_only:
        line, end = line.translate(ASCII), end.translate(ASCII)
    return Text.assemble((line, "dim" if edge.is_absent else style), end)
