"""Pictures of studies: readable in print and by the colour-blind, since shapes tell it, too."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean

from gan_nas.files import write_atomically

DARK, LIGHT, LINE = "#1f3b66", "#8fb3d9", "#b3541e"


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
            xytext=(0, 8),
            textcoords="offset points",
            fontsize=7,
            ha="center",
            color=LINE,
        )
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    axes.tick_params(labelsize=8, which="both")
    axes.set_xlabel(f"{label}; the bar is the geometric mean", fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right"]].set_visible(False)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))
