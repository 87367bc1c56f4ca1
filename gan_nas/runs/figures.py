"""What pictures of runs and studies have in common: readable in print, and without colours."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from gan_nas.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST = 10**15  # of a step, or of any number drawn
MOST = 120  # characters of a line
STYLES = (  # Okabe and Ito's colours, dashes and marks: any of the three tells lines apart
    ("#0072b2", "-", "o"),
    ("#d55e00", "--", "s"),
    ("#009e73", "-.", "^"),
    ("#cc79a7", "-", "v"),
    ("#e69f00", "--", "D"),
    ("#56b4e9", "-.", "x"),
    ("#000000", ":", "P"),
)
BLUE, ORANGE, GREEN = (STYLES[index][0] for index in range(3))


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG or SVG, by the name's end: the same bytes each time."""
    content = figure_bytes(figure, path.suffix.removeprefix("."))
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def figure_bytes(figure: "Figure", kind: str) -> bytes:
    """Return a figure as "png" or "svg"."""
    from matplotlib import rc_context

    about = {"svg": {"Date": None}, "png": {"Software": None}}[kind]
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "gan-nas"}):
        figure.savefig(file, format=kind, dpi=120, metadata=about)
    return file.getvalue()


def literal(text: str) -> str:
    """Return a stranger's text as matplotlib shows it literally, no formula, no missing letter.

    A long one is cut.
    """
    seen = "".join(char if char.isprintable() else "?" for char in text[:MOST])
    return seen.encode("latin-1", "backslashreplace").decode("latin-1").replace("$", r"\$")


def in_figures(axes: "Axes") -> None:
    """Give axes the small letters, the grid and the open frame that all have."""
    axes.tick_params(labelsize=8, which="both")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def short(value: float) -> str:
    """Say 20000 as 20k."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{unit}"
    return f"{value:.4g}"
