"""Learning curves: losses, rewards and scores of one run, or of several over each other, as PNG."""

import logging
from collections.abc import Mapping, Sequence
from itertools import cycle
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_nas.runs.figures import LARGEST, STYLES, in_figures, literal, save_figure, short
from gan_nas.scoring.protocols import is_distance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLOCKS = {  # what a line of a log may be of, and what that is called: the first that is there
    "update": "updates of the controller",
    "images": "images seen",
    "step": "steps",
}
OTHERS = ("reward", "distance")  # beside losses and scores
MOST_PANELS, MOST_POINTS = 12, 2_000  # of a figure, of a line: a log may hold any
SPIKY = 3.0  # times as far as most values go: what lies beyond is left out of the picture

logger = logging.getLogger(__name__)

Row = Mapping[str, float | None]


class Course(NamedTuple):
    """How a run went."""

    name: str
    log: Sequence[Mapping[str, Any]]
    real: Mapping[str, float] = {}
    """Scores of real images that were held out."""


class _Series(NamedTuple):
    """A value over a clock; NaN where it was not finite."""

    clock: str
    x: list[float]
    y: list[float]


def save_curves(courses: Sequence[Course], path: Path, caption: str = "") -> bool:
    """Draw `curves_figure` and write it, as PNG or SVG; tell whether there was anything to draw."""
    figure = curves_figure(courses, caption)
    if figure is not None:
        save_figure(figure, path)
    return figure is not None


def curves_figure(courses: Sequence[Course], caption: str = "") -> "Figure | None":
    """Draw losses, rewards and each score of runs over the images seen.

    Of what a run logged every value named ..._loss is a loss, ..._score and distances, such as fid,
    are scores; a null leaves a gap, and what is no number is left out. One run's losses share a
    panel; of several each value has one. Real images' scores are dashed lines. An axis holds what
    most values are: single spikes are left out, and counted.
    """
    from matplotlib.figure import Figure  # no pyplot: no global state, no window

    logs = [_numbers(course.log) for course in courses]
    names = list(dict.fromkeys(name for log in logs for row in log for name in row))
    losses = [name for name in names if name.endswith("_loss")][:MOST_PANELS]
    scores = [name for name in names if _is_score(name)]
    scores.sort(key=lambda name: not is_distance(name))
    alone = len(courses) == 1
    panels = _together(losses, logs) if alone else [[name] for name in losses]
    panels += [[name] for name in scores]
    panels = panels[:MOST_PANELS]
    if not panels:
        return None
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    size = (4.4 * max(columns, 1.5), 3.1 * rows + 0.35 * bool(caption))
    figure = Figure(figsize=size, layout="constrained")
    if caption:
        figure.suptitle(literal(caption), fontsize=10)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        drawn: list[_Series] = []
        styles = cycle(STYLES)
        for course, log in zip(courses, logs, strict=True):
            for name in panel:
                series, (colour, dashes, mark) = _series(log, name), next(styles)
                if series is None:
                    continue
                drawn.append(series)
                label = literal(_words(name) if alone else course.name)
                marked = not alone or len(series.x) <= 30
                axes.plot(
                    _thinned(series.x),
                    _thinned(series.y),
                    color=colour,
                    linestyle=dashes,
                    marker=mark if marked else "",
                    markevery=1 if alone else max(1, len(series.x) // 8),
                    ms=3.5,
                    linewidth=1.3,
                    label=label,
                )
                if _is_score(name):
                    _name_best(axes, _of_last_level(series, log), name, colour)
        _draw_real(axes, courses, panel)
        _draw_levels(axes, logs, drawn)
        _scale(axes, drawn, distances=all(map(is_distance, panel)))
        title = "losses" if len(panel) > 1 else _words(panel[0])
        axes.set_title(literal(title), fontsize=10)
        axes.set_xlabel(CLOCKS[drawn[0].clock] if drawn else "", fontsize=9)
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        in_figures(axes)
        if len(axes.get_legend_handles_labels()[0]) > 1 or not alone:
            axes.legend(fontsize=7, frameon=False)
    return figure


def _numbers(log: Sequence[Mapping[str, Any]]) -> list[dict[str, float | None]]:
    """Return the numbers of those rows that say when they are of; trials have their own picture."""
    rows = ({k: v for k, v in row.items() if v is None or _is_number(v)} for row in log)
    return [
        row for row in rows if "trial" not in row and any(row.get(c) is not None for c in CLOCKS)
    ]


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and not abs(value) > LARGEST  # type: ignore[arg-type]


def _is_score(name: str) -> bool:
    return name.endswith("_score") or is_distance(name) or name in OTHERS


def _series(log: Sequence[Row], name: str) -> _Series | None:
    """Return the values of a name over the first clock that runs beside them."""
    rows = [row for row in log if name in row]
    for clock in CLOCKS:
        known = [row for row in rows if row.get(clock) is not None]
        if known:
            x = [row[clock] for row in known]
            y = [row[name] for row in known]
            return _Series(
                clock,
                [float(value) for value in x if value is not None],
                [nan if value is None else float(value) for value in y],
            )
    return None


def _of_last_level(series: _Series, log: Sequence[Row]) -> _Series:
    """Leave out values of earlier levels of a search, whose images are smaller."""
    levels = [row["level"] for row in log if row.get("level") is not None]
    if not levels or min(levels) == levels[-1]:  # type: ignore[type-var]
        return series
    clock = series.clock
    clocks = (row.get(clock) for row in log if row.get("level") == levels[-1])
    first = min((at for at in clocks if at is not None), default=series.x[0])
    kept = [(x, y) for x, y in zip(series.x, series.y, strict=True) if x >= first]
    return _Series(clock, [x for x, _ in kept], [y for _, y in kept])


def _together(losses: Sequence[str], logs: Sequence[Sequence[Row]]) -> list[list[str]]:
    """Return the losses that share a clock."""
    panels: dict[str, list[str]] = {}
    for name in losses:
        series = next((found for log in logs if (found := _series(log, name))), None)
        if series is not None:
            panels.setdefault(series.clock, []).append(name)
    return list(panels.values())


def _thinned(values: list[float]) -> list[float]:
    return values[:: 1 + len(values) // MOST_POINTS]


def _name_best(axes: "Axes", series: _Series, name: str, colour: str) -> None:
    """Write the lowest distance, or the highest score, beside its point."""
    known = [(y, x) for x, y in zip(series.x, series.y, strict=True) if isfinite(y)]
    if not known:
        return
    lower_is_better = _falls(name)
    y, x = min(known) if lower_is_better else max(known)
    place = (x - series.x[0]) / max(series.x[-1] - series.x[0], 1e-12)
    side = "left" if place < 0.1 else "right" if place > 0.9 else "center"
    axes.plot([x], [y], "o", color=colour, markersize=5)
    axes.annotate(
        f"{y:.3g}",
        (x, y),
        xytext=(0, -12 if lower_is_better else 5),
        textcoords="offset points",
        fontsize=8,
        ha=side,
        color=colour,
    )


def _falls(name: str) -> bool:
    return is_distance(name) or name == "distance"


def _draw_real(axes: "Axes", courses: Sequence[Course], panel: Sequence[str]) -> None:
    """Draw the score of real images, once for runs that share it."""
    values = {course.real[name] for course in courses for name in panel if name in course.real}
    values = {value for value in values if _is_number(value)}
    for value in sorted(values)[:MOST_PANELS]:
        label = f"real, held out: {value:.3g}"
        axes.axhline(value, color="black", linestyle=(0, (5, 3)), linewidth=1, label=label)


def _draw_levels(axes: "Axes", logs: Sequence[Sequence[Row]], drawn: Sequence[_Series]) -> None:
    """Draw a thin line where a search of one run went to its next level."""
    if len(logs) != 1 or not drawn:
        return
    level, clock = None, drawn[0].clock
    for row in logs[0]:
        now, at = row.get("level"), row.get(clock)
        if now is None or at is None:
            continue
        if level is not None and now != level:
            axes.axvline(at, color="#999999", linestyle=":", linewidth=1)
        level = now


def _scale(axes: "Axes", drawn: Sequence[_Series], *, distances: bool) -> None:
    """Make the axis hold what most values are; distances that fall far have a logarithmic one."""
    values = np.array([y for series in drawn for y in series.y if isfinite(y)])
    if not len(values):
        return
    if distances and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        for place in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            place(lambda value, _: f"{value:g}")
        axes.margins(y=0.15)
        return
    axes.margins(y=0.15)
    low, high = np.percentile(values, [2, 98])
    room = max(high - low, 1e-12)
    beyond = _beyond(values, low - room, high + room)
    if beyond and np.ptp(values) > SPIKY * room:
        axes.set_ylim(low - 0.5 * room, high + 0.5 * room)
        outside = _beyond(values, low - 0.5 * room, high + 0.5 * room)
        axes.annotate(
            f"{outside} of {len(values)} values beyond",
            (0.02, 0.97),
            xycoords="axes fraction",
            fontsize=7,
            va="top",
        )


def _beyond(values: Any, low: float, high: float) -> int:
    return int(np.sum((values < low) | (values > high)))


def _words(name: str) -> str:
    words = name.replace("frechet_distance[", "Frechet distance [").replace("_", " ")
    names = {"d loss": "discriminator", "g loss": "generator", "fid": "FID"}
    return names.get(words, words)
