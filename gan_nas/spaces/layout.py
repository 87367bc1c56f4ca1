"""Where the maps and operations of a part stand in a picture, so that nothing overlaps (no torch).

Layers, as Sugiyama et al. (1981) draw graphs: a map's column is its longest path from the part's
input. Between two columns of maps is one of operations; an edge that passes a column has a place of
its own there, too. So in each column things stand one below the other, and between columns there
are nothing but lines.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Literal, NamedTuple

from gan_nas.spaces.drawing import ABSENT, Drawing, Edge, Part

Kind = Literal["map", "idle map", "skip", "operation", "absent", "pass"]
Key = tuple[object, ...]
Sizes = Mapping[tuple[int, str], str]  # of maps, by the number of their part and their name

COLUMN_GAP, ROW_GAP, PASS_HEIGHT = 30.0, 8.0, 6.0
SWEEPS = 8


class Size(NamedTuple):
    """Width and height."""

    width: float
    height: float


class Box(NamedTuple):
    """What stands in a column: a map, an operation, or a line that passes."""

    kind: Kind
    lines: tuple[str, ...]
    """What is written, line by line."""
    op: str
    x: float
    """Of its centre, as y."""
    y: float
    size: Size


class Line(NamedTuple):
    """A curve through points; between two of the same height it is straight."""

    kind: Literal["edge", "absent", "skip"]
    points: tuple[tuple[float, float], ...]
    has_head: bool


class Laid(NamedTuple):
    """A part, laid out from (0, 0)."""

    size: Size
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    entry: tuple[float, float]
    """Where what comes in enters its map; `exit` is where the last map is left."""
    exit: tuple[float, float]


class _Item(NamedTuple):
    kind: Kind
    rank: int
    lines: tuple[str, ...]
    op: str
    size: Size


def lay_out(drawing: Drawing, number: int, sizes: Sizes, measure: "Measure") -> Laid:
    """Return where everything of a part stands, by its number.

    `sizes` says how large each map is and `measure` how much room a text needs.
    """
    part = drawing.parts[number]
    items, chains = _items(drawing, number, sizes, measure)
    columns = _ordered(items, chains)
    x_of = _columns(items, columns)
    y_of = _rows(items, columns, chains)
    boxes = tuple(
        Box(item.kind, item.lines, item.op, x_of[item.rank][0], y_of[key], item.size)
        for key, item in items.items()
    )
    lines = tuple(_line(edge, chain, items, x_of, y_of) for edge, chain in chains)
    first, last = (("map", part.nodes[end].name) for end in (0, -1))
    height = max(box.y + box.size.height / 2 for box in boxes)
    width = max(x + size / 2 for x, size in x_of.values())
    half = (items[first].size.width / 2, items[last].size.width / 2)
    return Laid(
        Size(width, height),
        boxes,
        lines,
        (x_of[items[first].rank][0] - half[0], y_of[first]),
        (x_of[items[last].rank][0] + half[1], y_of[last]),
    )


class Measure(NamedTuple):
    """How much room texts need: a character's width, a line's height, and what is around them."""

    character: float
    line: float
    around: float

    def __call__(self, lines: Sequence[str]) -> Size:
        """Return the size of a box with these lines."""
        longest = max(map(len, lines))
        return Size(
            self.character * longest + 2 * self.around, self.line * len(lines) + self.around
        )


def wrapped(text: str, columns: int = 16) -> tuple[str, ...]:
    """Break a text between its words into lines of so many characters, where words allow it."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= columns:
            lines[-1] += f" {word}"
        else:
            lines.append(word if len(word) <= 2 * columns else f"{word[: 2 * columns - 1]}…")
    return tuple(lines[:4]) or ("",)


def _ranks(part: Part) -> dict[str, int]:
    """Return each map's column: the longest path to it, counted in edges, operations between."""
    ranks = {node.name: 0 for node in part.nodes}
    for _ in part.nodes:  # as often as a path can be long
        for edge in part.edges:
            if edge.part is None and edge.source != edge.target:
                ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 2)
    if any(edge.part is not None and ranks[edge.target] == 0 for edge in part.edges):
        ranks = {name: rank + 2 for name, rank in ranks.items()}
    return ranks


def _items(
    drawing: Drawing, number: int, sizes: Sizes, measure: Measure
) -> tuple[dict[Key, _Item], list[tuple[Edge, list[Key]]]]:
    """Return what stands somewhere, by key, and for each edge what it leads through."""
    part = drawing.parts[number]
    ranks = _ranks(part)
    fed = {edge.target for edge in part.edges if edge.op != ABSENT} | {part.nodes[0].name}
    items: dict[Key, _Item] = {}
    for node in part.nodes:
        texts = (node.name, sizes[number, node.name])
        kind: Kind = "map" if node.name in fed else "idle map"
        items["map", node.name] = _Item(kind, ranks[node.name], texts, "", measure(texts))
    crowds: dict[int, int] = {}
    chains = []
    for place, edge in enumerate(part.edges):
        end = ranks[edge.target]
        source: Key = ("map", edge.source)
        if edge.part is not None:
            source = ("skip", edge.part, edge.source, end)
            whose = f"{drawing.parts[edge.part].title}: {edge.source}"
            named = (whose, sizes[edge.part, edge.source])
            items[source] = _Item("skip", end - 2, named, "", measure(named))
        start = items[source].rank
        if start >= end:
            continue  # of a drawing with a circle: there is no place for it
        label = min(range(start + 1, end, 2), key=lambda rank: crowds.get(rank, 0))
        crowds[label] = crowds.get(label, 0) + 1
        chain: list[Key] = [source]
        for rank in range(start + 1, end):
            key: Key = ("edge", place, rank)
            said = wrapped(edge.op) if rank == label else ("",)
            room = measure(said) if rank == label else Size(0, PASS_HEIGHT)
            shown: Kind = "absent" if edge.op == ABSENT else "operation"
            items[key] = _Item(shown if rank == label else "pass", rank, said, edge.op, room)
            chain.append(key)
        chains.append((edge, [*chain, ("map", edge.target)]))
    return items, chains


def _ordered(
    items: Mapping[Key, _Item], chains: Iterable[tuple[Edge, Sequence[Key]]]
) -> dict[int, list[Key]]:
    """Return the columns, each sorted so that few lines cross: by the means of their neighbours."""
    columns: dict[int, list[Key]] = {}
    for key, item in items.items():
        columns.setdefault(item.rank, []).append(key)
    beside = _neighbours(chains)
    for sweep in range(SWEEPS):
        for rank in sorted(columns, reverse=bool(sweep % 2)):
            places = {
                key: (place + 0.5) / len(column)
                for column in columns.values()
                for place, key in enumerate(column)
            }
            columns[rank].sort(
                key=lambda key: (
                    fmean(places[other] for other in beside[key])
                    if beside.get(key)
                    else places[key]
                )
            )
    return columns


def _neighbours(chains: Iterable[tuple[Edge, Sequence[Key]]]) -> dict[Key, list[Key]]:
    beside: dict[Key, list[Key]] = {}
    for _, chain in chains:
        for a, b in pairwise(chain):
            beside.setdefault(a, []).append(b)
            beside.setdefault(b, []).append(a)
    return beside


def _columns(
    items: Mapping[Key, _Item], columns: Mapping[int, Sequence[Key]]
) -> dict[int, tuple[float, float]]:
    """Return the centre and the width of each column."""
    found, right = {}, 0.0
    for rank in sorted(columns):
        width = max(items[key].size.width for key in columns[rank])
        found[rank] = right + width / 2, width
        right += width + COLUMN_GAP
    return found


def _rows(
    items: Mapping[Key, _Item],
    columns: Mapping[int, Sequence[Key]],
    chains: Iterable[tuple[Edge, Sequence[Key]]],
) -> dict[Key, float]:
    """Return each thing's height: near its neighbours', and apart from those of its column."""
    beside = _neighbours(chains)
    y: dict[Key, float] = dict.fromkeys(items, 0.0)
    for sweep in range(2 * SWEEPS):
        for rank in sorted(columns, reverse=bool(sweep % 2)):
            column = columns[rank]
            wanted = [fmean(y[o] for o in beside[k]) if beside.get(k) else y[k] for k in column]
            placed: list[float] = []
            for place, key in enumerate(column):
                lowest = wanted[place]
                if place:
                    above = column[place - 1]
                    apart = (items[above].size.height + items[key].size.height) / 2 + ROW_GAP
                    lowest = max(lowest, placed[-1] + apart)
                placed.append(lowest)
            shift = fmean(a - b for a, b in zip(wanted, placed, strict=True))
            y |= {key: height + shift for key, height in zip(column, placed, strict=True)}
    top = min(y[key] - item.size.height / 2 for key, item in items.items())
    return {key: height - top for key, height in y.items()}


def _line(
    edge: Edge,
    chain: Sequence[Key],
    items: Mapping[Key, _Item],
    x_of: Mapping[int, tuple[float, float]],
    y_of: Mapping[Key, float],
) -> Line:
    """Return an edge's curve: straight within a column, bent between two."""
    points: list[tuple[float, float]] = []
    for place, key in enumerate(chain):
        item, y = items[key], y_of[key]
        x, width = x_of[item.rank]
        if place:
            points.append((x - width / 2, y))
        if place == len(chain) - 1:
            points.append((x - item.size.width / 2, y))
        elif not place:
            points.append((x + item.size.width / 2, y))
        if place < len(chain) - 1:
            points.append((x + width / 2, y))
    kind: Literal["edge", "absent", "skip"] = "edge" if edge.part is None else "skip"
    return Line("absent" if edge.op == ABSENT else kind, tuple(points), edge.op != ABSENT)
