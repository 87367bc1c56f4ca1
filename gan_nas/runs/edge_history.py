"""The history of a differentiable search: what stood on each edge, how sure, and the entropies."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from gan_nas.runs.figures import LARGEST, STYLES, in_figures, literal, save_figure, short
from gan_nas.spaces.colours import colour_of, rgb
from gan_nas.spaces.genome import Genome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROLES = ("generator", "discriminator")
MOST_MOMENTS = 1_000  # that are drawn, evenly spaced
FAINTEST = 0.15  # of what is just not nothing

logger = logging.getLogger(__name__)

_Operation = Annotated[str, Field(max_length=40)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Cells = Annotated[
    list[Annotated[dict[str, _Operation], Field(max_length=64)]], Field(max_length=16)
]


class Moment(BaseModel):
    """What stood on the edges at a step: a line of the log, whose event is "architecture"."""

    step: Annotated[int, Field(ge=0, le=LARGEST)]
    entropies: Annotated[dict[str, dict[str, _Finite]], Field(max_length=8)]
    """Of each edge's softmax, in nats, by the name of the logits."""
    generator: _Cells
    discriminator: _Cells | None = None
    probabilities: dict[str, list[dict[str, Annotated[float, Field(ge=0, le=1)] | None]]] = {}
    """Of those operations, by network; null for an edge that is left out without having one. Older
    versions did not log them."""
    highest_entropies: dict[str, _Finite] = {}
    """The mean over edges of the most that an entropy can be, by the name of the logits."""

    def cells(self, role: str) -> list[dict[str, str]]:
        """Return a network's cells as edge -> operation; none where it is not searched."""
        found: list[dict[str, str]] | None = getattr(self, role)
        return found or []

    def sure(self, role: str) -> list[float | None]:
        """Return how probable each edge's operation is, edge after edge; None: not known."""
        known = self.probabilities.get(role, [])
        cells = self.cells(role)
        if [list(cell) for cell in known] != [list(cell) for cell in cells]:
            return [None for cell in cells for _ in cell]
        return [p for cell in known for p in cell.values()]


def save_edge_history(
    log: Sequence[Mapping[str, Any]], path: Path, genome: Genome | None = None, caption: str = ""
) -> bool:
    """Draw `edges_figure` and write it, as PNG or SVG; tell whether there was anything to draw."""
    figure = edges_figure(log, genome, caption)
    if figure is None:
        logger.warning("%s is not drawn: the log it would be made of is lost", path)
        return False
    save_figure(figure, path)
    return True


def edges_figure(
    log: Sequence[Mapping[str, Any]], genome: Genome | None = None, caption: str = ""
) -> "Figure | None":
    """Draw which operation led on each edge as a search went, and the entropy of the edges.

    `log` holds rows as `Moment` reads them; a network is a panel, above the mean entropies. The
    more probable an operation, the more opaque. Rows are named by what the parts of the `genome`'s
    drawing are called. Rows that are not whole are left out; None where no row is.
    """
    from matplotlib.figure import Figure  # no pyplot: no global state, no window
    from matplotlib.patches import Patch

    moments = _moments(log)
    if not moments:
        return None
    moments = moments[:: 1 + len(moments) // MOST_MOMENTS]
    first = moments[0]
    networks = [name for name in ROLES if first.cells(name)]
    rows = [_names(first.cells(name), genome, name) for name in networks]
    heights = [0.17 * len(edges) + 0.5 for edges in rows] + [2.2]
    figure = Figure(figsize=(9, sum(heights) + 0.4 * bool(caption)), layout="constrained")
    if caption:
        figure.suptitle(literal(caption), fontsize=10)
    panels = figure.subplots(len(networks) + 1, 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, name, edges in zip(panels, networks, rows, strict=False):
        led = [[op for cell in moment.cells(name) for op in cell.values()] for moment in moments]
        told = [[1.0 if p is None else p for p in moment.sure(name)] for moment in moments]
        sure = np.array(told).T[..., None]
        colours = np.array([[rgb(colour_of(op)) for op in ops] for ops in led]).swapaxes(0, 1)
        faint = FAINTEST + (1 - FAINTEST) * sure
        pixels = np.round(255 - (255 - colours) * faint).astype(np.uint8)
        ends = (0.5, len(moments) + 0.5, len(edges) - 0.5, -0.5)
        axes.imshow(pixels, aspect="auto", interpolation="nearest", extent=ends)
        axes.set_yticks(range(len(edges)), edges, fontsize=7)
        border = -0.5
        for cell in first.cells(name)[:-1]:
            border += len(cell)
            axes.axhline(border, color="black", linewidth=0.8)
        axes.set_xticks([])
        opaque = "; the more opaque, the more probable" if first.probabilities else ""
        axes.set_title(f"{name}: best operation of each edge{opaque}", fontsize=10)
        patches = [
            Patch(facecolor=colour_of(op), edgecolor="grey", label=literal(op))
            for op in sorted({op for ops in led for op in ops})
        ]
        axes.legend(
            handles=patches, fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )
        _letter(axes, led[-1], moments[-1].sure(name), len(moments) + 0.5)
    _draw_entropies(panels[-1], moments)
    return figure


def _letter(axes: "Axes", ops: Sequence[str], sure: Sequence[float | None], end: float) -> None:
    """Write the last operation, and how probable it is, where its row ends."""
    for row, (op, probability) in enumerate(zip(ops, sure, strict=True)):
        words = literal(op) + ("" if probability is None else f" {probability:.2f}")
        axes.annotate(
            words,
            (end, row),
            xytext=(-3, 0),
            textcoords="offset points",
            fontsize=6,
            ha="right",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )


def _draw_entropies(axes: "Axes", moments: Sequence[Moment]) -> None:
    """Draw the mean entropies, and the most that they can be: no preference at all."""
    steps = [moment.step for moment in moments]
    for name, (colour, dashes, mark) in zip(moments[0].entropies, STYLES, strict=False):
        means = [float(np.mean(list(m.entropies[name].values()) or [0.0])) for m in moments]
        x = range(1, len(steps) + 1)
        axes.plot(
            x, means, color=colour, linestyle=dashes, marker=mark, ms=3.5, label=literal(name)
        )
        most = moments[-1].highest_entropies.get(name)
        if most is not None:
            axes.axhline(most, color=colour, linestyle=(0, (1, 2)), linewidth=1.2)
            axes.annotate(
                f"the most it can be: {most:.2f} ({literal(name)})",
                (0.01, most),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                fontsize=7,
                color=colour,
            )
    shown = range(0, len(steps), max(1, len(steps) // 8))
    axes.set_xticks([i + 1 for i in shown], [short(steps[i]) for i in shown], fontsize=8)
    axes.set_xlim(0.5, len(steps) + 0.5)
    most_of_all = max([*moments[-1].highest_entropies.values(), axes.get_ylim()[1]])
    axes.set_ylim(0, 1.2 * most_of_all)
    axes.set_title("mean entropy of an edge, nats: 0 is certainty", fontsize=10)
    axes.set_xlabel("iterations", fontsize=9)
    in_figures(axes)
    axes.legend(fontsize=8, frameon=False)


def _names(cells: Sequence[Mapping[str, str]], genome: Genome | None, role: str) -> list[str]:
    """Name each edge by its part's title, as the genome's drawing has it, and its own name."""
    parts = getattr(genome, role).drawing.parts if genome is not None else ()
    names = []
    for number, cell in enumerate(cells):
        title = f"cell {number}"
        if number < len(parts):  # which may be those of another discriminator than the searched one
            own = {edge.where.rpartition(".")[2] for edge in parts[number].edges}
            title = parts[number].title if own & set(cell) else title
        names += [literal(f"{title}, {edge}") for edge in cell]
    return names


def _moments(log: Sequence[Mapping[str, Any]]) -> list[Moment]:
    """Return those rows that show what the last one shows: other lines of a log are damaged."""
    rows = []
    for row in log:
        try:
            rows.append(Moment.model_validate(row))
        except ValidationError:
            continue
    return [row for row in rows if _shown(row) == _shown(rows[-1])]


def _shown(row: Moment) -> tuple[object, ...]:
    entropies = {name: list(edges) for name, edges in row.entropies.items()}
    return entropies, *([list(cell) for cell in row.cells(name)] for name in ROLES)
