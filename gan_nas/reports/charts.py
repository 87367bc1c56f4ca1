"""Charts that only reports have: what is best for what it costs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gan_nas.runs.figures import BLUE, LARGEST, ORANGE, in_figures, literal, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMED = 6


class Point(NamedTuple):
    """Something with a price and a value."""

    name: str
    cost: float
    value: float


def front_figure(
    points: Sequence[Point], cost: str, value: str, *, lower_is_better: bool
) -> "Figure | None":
    """Draw values against costs, and the Pareto front: what nothing cheaper beats.

    None where fewer than two points have both. A few points of the front are named.
    """
    from matplotlib.figure import Figure

    known = [p for p in points if all(-LARGEST <= x <= LARGEST for x in (p.cost, p.value))]
    if len(known) < 2:
        return None
    sign = 1 if lower_is_better else -1
    front: list[Point] = []
    for point in sorted(known, key=lambda p: (p.cost, sign * p.value)):
        if not front or sign * point.value < sign * front[-1].value:
            front.append(point)
    figure = Figure(figsize=(6.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([p.cost for p in known], [p.value for p in known], "x", color=ORANGE, ms=5)
    axes.step(
        [p.cost for p in front],
        [p.value for p in front],
        where="post",
        color=BLUE,
        marker="o",
        ms=5,
    )
    for place, point in enumerate(front if len(front) <= MOST_NAMED else ()):
        axes.annotate(
            literal(point.name),
            (point.cost, point.value),
            (0, 6 if place % 2 else -12),
            textcoords="offset points",
            fontsize=7,
            ha="right" if place == len(front) - 1 and place else "left",
        )
    axes.legend(["all", "Pareto front"], fontsize=8, frameon=False)
    if lower_is_better and min(p.value for p in known) > 0:
        values = [p.value for p in known]
        if max(values) > 10 * min(values):
            axes.set_yscale("log")
    axes.set_xlabel(literal(cost), fontsize=9)
    axes.set_ylabel(literal(value), fontsize=9)
    axes.xaxis.set_major_formatter(lambda x, _: short(x))
    axes.margins(0.12)
    in_figures(axes)
    return figure
