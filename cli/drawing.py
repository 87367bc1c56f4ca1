"""Networks whose cells are graphs drawn with characters, edge by edge.

A row is an edge, from the node on its left; edges that meet at a node on the right are added up. A
dotted edge is absent. Skips come from earlier cells.
"""

from collections.abc import Collection, Iterable
from itertools import groupby, zip_longest
from math import ceil
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from gan_nas.cli.printing import console, remark, show, table
from gan_nas.spaces.diff import Change
from gan_nas.spaces.drawing import ABSENT, Drawing, Edge, Part
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome

GAP = 3  # columns between cells
MARKS = {"changed": "~ changed", "added": "+ added", "removed": "- removed"}
STYLES = {"changed": "yellow", "added": "green", "removed": "red"}
ASCII = str.maketrans("─┄┬┤┘▶", "-.++'>")  # for a stdout that takes no other characters


class DrawnEdge(NamedTuple):
    """An edge drawn: its line, and where it meets others or enters its node."""

    edge: Edge
    line: str
    end: str


class Picture(NamedTuple):
    """A cell or a stage, row by row."""

    title: str
    rows: list[DrawnEdge]


def has_edges(network: GeneratorGenome | DiscriminatorGenome) -> bool:
    """Tell whether a network's cells are graphs of its genome's operations, which can be drawn."""
    return network.drawing.is_graph


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


def explain_words(legends: Iterable[str]) -> None:
    """Say on stderr how to read the cells in words, as tables have them, by networks' legends."""
    for legend in filter(None, sorted(set(legends))):
        remark(legend, style="dim")


def explain_drawing(networks: Iterable[GeneratorGenome | DiscriminatorGenome]) -> None:
    """Say on stderr how to read the drawings of networks."""
    remark("Edges that meet are added up; a dotted edge is absent (none).", style="dim")
    for note in dict.fromkeys(network.drawing.note for network in networks if has_edges(network)):
        if note:
            remark(note, style="dim")


def _heading(genome: Genome, network: GeneratorGenome | DiscriminatorGenome) -> str:
    hand_made = "" if has_edges(network) else f" ({network.space} of width {network.width})"
    return genome.title + hand_made


def _pictures(network: GeneratorGenome | DiscriminatorGenome) -> list[Picture]:
    """Draw a network's cells; of one that is said in words there are none."""
    drawing = network.drawing
    if not drawing.is_graph:
        return []
    return [Picture(part.title, _drawn(part, drawing)) for part in drawing.parts]


def _is_blank(picture: Picture) -> bool:
    return all(row.edge.op == ABSENT for row in picture.rows)


def _drawn(part: Part, drawing: Drawing) -> list[DrawnEdge]:
    """Draw the edges of a part, which are sorted by the node they enter."""
    rows = []
    width = len("0 ─ ") + drawing.op_columns + len(" ─")
    for node, group in groupby(part.edges, lambda edge: edge.target):
        incoming = list(group)
        head = " " if all(edge.op == ABSENT for edge in incoming) else "▶"
        for number, edge in enumerate(incoming):
            dash = "┄" if edge.op == ABSENT else "─"
            start = f"{edge.source} {dash} {edge.op} "
            if edge.part is not None:
                start = f"  {edge.op} of {drawing.parts[edge.part].title} "
            joint = dash if len(incoming) == 1 else "┬"
            end = f"{joint}{head} {node}"
            if number:
                end = "┘" if number == len(incoming) - 1 else "┤"
            rows.append(DrawnEdge(edge, start.ljust(width, dash), end))
    return rows


def _text(row: DrawnEdge, style: str = "") -> Text:
    line, end = row.line, row.end
    if console().options.ascii_only:
        line, end = line.translate(ASCII), end.translate(ASCII)
    return Text.assemble((line, "dim" if row.edge.op == ABSENT else style), end)
