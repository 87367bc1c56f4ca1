"""A genome as SVG: cells as graphs, operations on their edges, what size each map has (no torch).

One code for the networks of all spaces: it knows nothing but `Drawing`. In print and to the
colour-blind shapes and names tell all that colours do. An `xml.etree` writes it, so that whatever a
genome holds is text and never markup.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_args
from xml.etree import ElementTree as ET

from gan_nas.errors import InvalidInput
from gan_nas.files import write_text
from gan_nas.spaces.colours import DARK, colour_of, ink_on
from gan_nas.spaces.drawing import ABSENT, Drawing
from gan_nas.spaces.genome import Genome, Role
from gan_nas.spaces.layout import Box, Laid, Line, Measure, Size, lay_out, wrapped
from gan_nas.spaces.schema import DiscriminatorGenome, GeneratorGenome

ROLES: tuple[Role, ...] = get_args(Role)
MEASURE = Measure(character=6.7, line=13.0, around=6.0)
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
MARGIN, GUTTER, BETWEEN = 14.0, 30.0, 24.0  # around all; at a part's sides; between two parts
TITLE, INSIDE = 22.0, 10.0  # height of a part's title; around its graph
GREY, SKIP = "#6b6b6b", "#0072b2"


class _Piece(NamedTuple):
    """Something drawn from (0, 0), with its size."""

    element: ET.Element
    size: Size


def save_architecture(
    genome: Genome, path: Path, side: int, channels: int, roles: Sequence[Role] = ROLES
) -> None:
    """Write `architecture_svg` as a file."""
    root = architecture_svg(genome, side, channels, roles)
    write_text(path, ET.tostring(root, encoding="unicode") + "\n")


def architecture_svg(
    genome: Genome, side: int, channels: int, roles: Sequence[Role] = ROLES
) -> ET.Element:
    """Draw a genome's networks for images of `side` pixels and some channels.

    Raises InvalidInput for a side that the generator's parts cannot double up to.
    """
    pieces = [_network(genome, role, side, channels) for role in roles]
    pieces.append(_legend([getattr(genome, role).drawing.note for role in roles]))
    width = max(piece.size.width for piece in pieces) + 2 * MARGIN
    height = sum(piece.size.height + BETWEEN for piece in pieces) - BETWEEN + 2 * MARGIN
    root = _element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
    root.set("viewBox", f"0 0 {_n(width)} {_n(height)}")
    root.attrib |= {"width": _n(width), "height": _n(height)}
    root.attrib |= {"font-family": FONT, "font-size": "11", "fill": DARK}
    title = f"{genome.title}: {' and '.join(roles)}, images {channels}x{side}x{side}"
    _add(root, "title").text = plain(title)
    _add(root, "rect", width=width, height=height, fill="#ffffff")
    y = MARGIN
    for piece in pieces:
        piece.element.set("transform", f"translate({_n(MARGIN)} {_n(y)})")
        root.append(piece.element)
        y += piece.size.height + BETWEEN
    return root


def plain(text: str) -> str:
    """Return a text as XML can hold it: what cannot be seen becomes a replacement character."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _network(genome: Genome, role: Role, side: int, channels: int) -> _Piece:
    """Draw a network, part below part, from what comes in to what goes out."""
    network: GeneratorGenome | DiscriminatorGenome = getattr(genome, role)
    drawing = network.drawing
    sizes = _sizes(network, drawing, side, channels)
    laid = {
        number: lay_out(drawing, number, sizes, MEASURE)
        for number, part in enumerate(drawing.parts)
        if any(edge.op != ABSENT for edge in part.edges)
    }
    image = (f"image {channels}x{side}x{side}",)
    said = wrapped(
        network.words if isinstance(network.words, str) else "; ".join(network.words), 60
    )
    first: tuple[str, ...]
    last: tuple[str, ...]
    if isinstance(network, GeneratorGenome):
        first, into, last, out = (f"latents z: {network.latents}",), "linear", image, "to RGB"
    else:
        first, into, last, out = image, "", ("score",), ""
    first = first if laid else (*first, *said)
    begin, end = MEASURE(first), MEASURE(last)
    inner = max([part.size.width + 2 * INSIDE for part in laid.values()] + [begin.width, end.width])
    width = inner + 2 * GUTTER
    group = ET.Element("g")
    heading = f"{role} of {genome.title}: {network.space}, width {network.width}"
    _text(group, heading, 0, 12, size=13, weight="bold")
    y = TITLE
    _box(group, Box("map", first, "", GUTTER + begin.width / 2, y + begin.height / 2, begin))
    way = [(GUTTER + begin.width / 2, y + begin.height)]
    y += begin.height + BETWEEN
    for number, part in laid.items():
        at = (GUTTER + INSIDE, y + TITLE)
        way += _around(way[-1], y - BETWEEN / 2, (at[0] + part.entry[0], at[1] + part.entry[1]))
        _way(group, way, into)
        _panel(group, drawing.parts[number].title, part, (y, inner))
        way, into = [(at[0] + part.exit[0], at[1] + part.exit[1])], ""
        way.append((width - GUTTER / 4, way[0][1]))
        y += TITLE + part.size.height + INSIDE + BETWEEN
    x, middle = width - GUTTER - end.width / 2, y + end.height / 2
    _box(group, Box("map", last, "", x, middle, end))
    if not laid:
        way.append((way[0][0], middle))
        way.append((x - end.width / 2, middle))
    else:
        way += [(way[-1][0], middle), (x + end.width / 2, middle)]
    _way(group, way, "")
    _text(group, out, x - end.width / 2 - 8, middle + 4, anchor="end", fill=GREY)
    return _Piece(group, Size(max(width, len(heading) * 8.2), y + end.height))


def _sizes(
    network: GeneratorGenome | DiscriminatorGenome, drawing: Drawing, side: int, channels: int
) -> dict[tuple[int, str], str]:
    """Return what each map's size is, by the number of its part and its name.

    A generator's last part ends at the images' side, a discriminator's first one takes them up.
    """
    makes = isinstance(network, GeneratorGenome)
    scales = [node.scale for part in drawing.parts for node in part.nodes]
    first = side / max(scales, default=1.0) if makes else float(side)
    if makes and any(not (first * scale).is_integer() or first * scale < 1 for scale in scales):
        most = int(max(scales))
        raise InvalidInput(
            f"images of {side} pixels: this generator grows a map to {most} times its side; use a "
            f"multiple of {most}"
        )
    sizes = {}
    for number, part in enumerate(drawing.parts):
        for place, node in enumerate(part.nodes):
            is_image = not makes and number == place == 0 and node.scale == 1
            length = int(first * node.scale)
            depth = channels if is_image else network.width
            sizes[number, node.name] = f"{depth}x{length}x{length}"
    return sizes


def _panel(group: ET.Element, title: str, part: Laid, at: tuple[float, float]) -> None:
    """Draw a part within a frame, at a height and as wide as said."""
    y, width = at
    height = TITLE + part.size.height + INSIDE
    frame = _add(group, "rect", x=GUTTER, y=y, width=width, height=height, rx=5)
    frame.attrib |= {"fill": "none", "stroke": "#bbbbbb"}
    _text(group, title, GUTTER + INSIDE, y + 14, weight="bold", fill=GREY)
    inside = _add(group, "g", transform=f"translate({_n(GUTTER + INSIDE)} {_n(y + TITLE)})")
    for line in part.lines:
        _curve(inside, line)
    for box in part.boxes:
        _box(inside, box)


def _around(
    start: tuple[float, float], between: float, end: tuple[float, float]
) -> list[tuple[float, float]]:
    """Return corners of a way between two parts and along the left, into a map."""
    left = GUTTER / 4
    return [(start[0], between), (left, between), (left, end[1]), end]


def _way(group: ET.Element, points: Sequence[tuple[float, float]], label: str) -> None:
    """Draw a way of straight pieces with a head at its end."""
    path = " ".join(f"{_n(x)} {_n(y)}" for x, y in points)
    drawn = _add(group, "polyline", points=path)
    drawn.attrib |= {"fill": "none", "stroke": DARK, "stroke-width": "1.6"}
    (x0, _), (x, y) = points[-2:]
    _head(group, x, y, DARK, -1 if x0 > x else 1)
    if label:
        _text(group, label, points[0][0] + 6, points[0][1] + 10, fill=GREY)


def _curve(group: ET.Element, line: Line) -> None:
    """Draw an edge."""
    (x, y), *others = line.points
    steps = [f"M{_n(x)} {_n(y)}"]
    for to_x, to_y in others:
        middle = (x + to_x) / 2
        bent = f"C{_n(middle)} {_n(y)} {_n(middle)} {_n(to_y)} {_n(to_x)} {_n(to_y)}"
        steps.append(f"L{_n(to_x)} {_n(to_y)}" if y == to_y else bent)
        x, y = to_x, to_y
    colour, dashes = {
        "edge": (DARK, ""),
        "absent": ("#a8a8a8", "1.5 3.5"),
        "skip": (SKIP, "6 3"),
    }[line.kind]
    drawn = _add(group, "path", d=" ".join(steps), fill="none", stroke=colour)
    drawn.set("stroke-width", "1" if line.kind == "absent" else "1.3")
    if dashes:
        drawn.set("stroke-dasharray", dashes)
    if line.has_head:
        _head(group, x, y, colour)


def _box(group: ET.Element, box: Box) -> None:
    """Draw a map, an operation or a skip's source; of a line that passes there is nothing."""
    if box.kind == "pass":
        return
    left, top = box.x - box.size.width / 2, box.y - box.size.height / 2
    fill, stroke, ink = "#ffffff", DARK, DARK
    if box.kind == "operation":
        fill, stroke = colour_of(box.op), "#555555"
        ink = ink_on(fill)
    elif box.kind in ("absent", "idle map"):
        stroke, ink = "none" if box.kind == "absent" else "#a8a8a8", GREY
    elif box.kind == "skip":
        fill, stroke, ink = "#ffffff", SKIP, SKIP
    rect = _add(group, "rect", x=left, y=top, width=box.size.width, height=box.size.height)
    rect.attrib |= {"rx": "8" if box.kind == "operation" else "1", "fill": fill, "stroke": stroke}
    if box.kind in ("skip", "idle map"):
        rect.set("stroke-dasharray", "4 2")
    if box.op:
        _add(rect, "title").text = plain(box.op)
    for number, text in enumerate(box.lines):
        y = top + MEASURE.around / 2 + MEASURE.line * (number + 0.78)
        weight = "bold" if box.kind == "map" and len(box.lines) == 2 and not number else ""
        _text(group, text, box.x, y, anchor="middle", fill=ink, weight=weight)


def _legend(notes: Sequence[str]) -> _Piece:
    """Draw what stands for what, and what the drawings have to say."""
    group = ET.Element("g")
    op = MEASURE(("conv_3x3",))
    _add(group, "line", x1=0, y1=0, x2=560, y2=0, stroke="#bbbbbb")
    rows = (
        (
            Box("map", ("1", "128x8x8"), "", 32, 28, MEASURE(("1", "128x8x8"))),
            "a map: channels x height x width",
        ),
        (
            Box("operation", ("conv_3x3",), "conv_3x3", 40, 63, op),
            "an operation; edges that meet are added up",
        ),
    )
    for box, words in rows:
        _box(group, box)
        _text(group, words, 90, box.y + 4)
    lines: tuple[tuple[Line, str], ...] = (
        (Line("skip", ((4, 88), (76, 88)), True), "an active skip, from an earlier part"),
        (Line("absent", ((4, 106), (76, 106)), False), "none: this edge is left out"),
    )
    for line, words in lines:
        _curve(group, line)
        _text(group, words, 90, line.points[0][1] + 4)
    said = list(dict.fromkeys(note for note in notes if note))
    for number, note in enumerate(said):
        _text(group, note, 0, 130 + 16 * number, fill=GREY)
    width = max([90 + 44 * 6.7, *(len(note) * 6.7 for note in said)])
    return _Piece(group, Size(width, 112 + 16 * len(said)))


def _head(group: ET.Element, x: float, y: float, colour: str, way: int = 1) -> None:
    points = f"{_n(x)} {_n(y)} {_n(x - 7 * way)} {_n(y - 3.5)} {_n(x - 7 * way)} {_n(y + 3.5)}"
    _add(group, "polygon", points=points, fill=colour)


def _text(
    group: ET.Element,
    text: str,
    x: float,
    y: float,
    *,
    size: float | None = None,
    weight: str = "",
    anchor: str = "",
    fill: str = "",
) -> None:
    drawn = _add(group, "text", x=x, y=y)
    given = {"font-size": size and _n(size), "font-weight": weight, "text-anchor": anchor}
    drawn.attrib |= {name: value for name, value in (given | {"fill": fill}).items() if value}
    drawn.text = plain(text)


def _element(tag: str, **attributes: str | float) -> ET.Element:
    values = {
        name: value if isinstance(value, str) else _n(value) for name, value in attributes.items()
    }
    return ET.Element(tag, values)


def _add(parent: ET.Element, tag: str, **attributes: str | float) -> ET.Element:
    made = _element(tag, **attributes)
    parent.append(made)
    return made


def _n(number: float) -> str:
    """Write a number with a tenth of a pixel."""
    return f"{round(number, 1):g}"
