"""Pictures of studies: readable in print and by the colour-blind, since shapes tell it, too."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from statistics import geometric_mean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gan_nas.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DARK, LIGHT, LINE = "#1f3b66", "#8fb3d9", "#b3541e"
STYLES = (
    ("#000000", "--", ""),
    ("#0072b2", "-", "o"),
    ("#d55e00", "-", "s"),
    ("#009e73", "-", "^"),
    ("#cc79a7", "-", "v"),
    ("#e69f00", "-", "D"),
    ("#56b4e9", "-", "x"),
)


def save_dots(groups: Mapping[str, Sequence[float]], path: Path, label: str, title: str) -> None:
    """Draw the positive values of each group as dots in a row, with a bar at their geometric mean.

    The best group is on top; values are on a logarithmic axis. Writes one PNG.
    """
    from matplotlib.figure import Figure  # no pyplot: no global state, no window

    known = {name: list(values) for name, values in groups.items() if values}
    names = sorted(known, key=lambda name: geometric_mean(known[name]))
    figure = Figure(figsize=(7.5, 0.32 * len(names) + 1.3), layout="constrained")
    axes = figure.add_subplot()
    for place, name in enumerate(names):
        values, mean = known[name], geometric_mean(known[name])
        axes.plot(values, [place] * len(values), "o", color=LIGHT, markeredgecolor=DARK, ms=5)
        axes.plot([mean, mean], [place - 0.32, place + 0.32], "-", color=LINE, linewidth=2)
        axes.annotate(
            f"{mean:.3g}",
            (mean, place),
            xytext=(3, 6),
            textcoords="offset points",
            fontsize=7,
            color=LINE,
        )
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    _in_plain_numbers(axes.xaxis)
    axes.tick_params(labelsize=8, which="both")
    axes.set_xlabel(f"{label}; the bar is the geometric mean", fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3, axis="x")
    _save(figure, axes, path)


def save_bands(
    bands: Mapping[str, Sequence[NDArray[np.float64]]],
    path: Path,
    x_label: str,
    y_label: str,
    title: str,
) -> None:
    """Draw lines with bands around them over 1, 2, ...: (middle, low, high) of each name.

    Lines differ in colour (Okabe and Ito's), dashes and marks; the axis of values is logarithmic.
    Writes one PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, (middle, low, high)), style in zip(bands.items(), cycle(STYLES), strict=False):
        colour, dashes, mark = style
        x = np.arange(1, len(middle) + 1)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        every = max(1, len(middle) // 10)
        axes.plot(
            x,
            middle,
            color=colour,
            linestyle=dashes,
            marker=mark,
            markevery=every,
            ms=4,
            label=name,
        )
    axes.set_yscale("log")
    _in_plain_numbers(axes.yaxis)
    axes.tick_params(labelsize=8, which="both")
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.3, which="both")
    _save(figure, axes, path)


def save_lines(
    lines: Mapping[str, Sequence[tuple[float, float]]],
    path: Path,
    x_label: str,
    y_label: str,
    title: str,
) -> None:
    """Draw points (x, y), both positive, joined in their order, on logarithmic axes.

    Lines differ in colour (Okabe and Ito's) and marks. Writes one PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, points), style in zip(lines.items(), cycle(STYLES[1:]), strict=False):
        colour, dashes, mark = style
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=colour, linestyle=dashes, marker=mark, ms=5, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _in_plain_numbers(axis)
    axes.tick_params(labelsize=8, which="both")
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.3, which="both")
    _save(figure, axes, path)


def save_sorted(
    values: Sequence[Sequence[float]], path: Path, x_label: str, y_label: str, title: str
) -> None:
    """Draw the positive values of many things as dots in a column, sorted by geometric means.

    The means are a line; the axis of values is logarithmic. Writes one PNG.
    """
    from matplotlib.figure import Figure

    ordered = sorted(values, key=geometric_mean)
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = figure.add_subplot()
    x = [place for place, column in enumerate(ordered, start=1) for _ in column]
    y = [value for column in ordered for value in column]
    axes.plot(x, y, "o", color=LIGHT, markeredgecolor=DARK, markeredgewidth=0.4, ms=3)
    means = [geometric_mean(column) for column in ordered]
    axes.plot(range(1, len(means) + 1), means, "-", color=LINE, linewidth=2)
    axes.set_yscale("log")
    _in_plain_numbers(axes.yaxis)
    axes.tick_params(labelsize=8, which="both")
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel(y_label, fontsize=9)
    axes.legend(["a seed", "geometric mean"], fontsize=8, frameon=False)
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3, which="both")
    _save(figure, axes, path)


def save_intervals(bars: Mapping[str, Sequence[float]], path: Path, label: str, title: str) -> None:
    """Draw (low, middle, high) of each name as a line with a dot, the first name on top.

    Writes one PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.3 * len(bars) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for place, (low, middle, high) in enumerate(bars.values()):
        axes.plot([low, high], [place, place], "-", color=DARK, linewidth=1.5)
        axes.plot([middle], [place], "o", color=LINE, ms=5)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(bars)), list(bars), fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(labelsize=8)
    axes.set_xlabel(label, fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3, axis="x")
    _save(figure, axes, path)


def _in_plain_numbers(axis: "Axis") -> None:
    """Write a logarithmic axis' numbers out, not as powers."""
    for place in (axis.set_major_formatter, axis.set_minor_formatter):
        place(lambda value, _: f"{value:,g}")


def _save(figure: "Figure", axes: "Axes", path: Path) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))
