"""Pictures of a run: grids of samples and curves of losses and scores, as PNG files."""

import logging
from collections.abc import Callable, Mapping, Sequence
from math import inf, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from PIL import Image
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from torch import Tensor

from gan_nas.files import write_atomically
from gan_nas.scoring.protocols import is_distance
from gan_nas.spaces.colours import OP_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TILE = 64  # pixels a small image is blown up to, about
GAP = 2  # pixels between images
GROUND = 255  # the grey of gaps and border
ROLES = ("generator", "discriminator")
LARGEST = 10**15  # of a step, or of any number drawn
BLUE, ORANGE, GREEN = "#2f6fb3", "#d9772b", "#2e8b57"

logger = logging.getLogger(__name__)


def _known(op: str) -> str:
    if op not in OP_COLOURS:
        raise ValueError(op)
    return op


_Operation = Annotated[str, AfterValidator(_known)]


class _Moment(BaseModel):
    """What stood on the edges at a step."""

    step: Annotated[int, Field(ge=0, le=LARGEST)]
    entropies: dict[str, dict[str, Annotated[float, Field(allow_inf_nan=False)]]]
    generator: list[dict[str, _Operation]]
    discriminator: list[dict[str, _Operation]] | None = None


def save_grid(images: Tensor, path: Path, columns: int = 8, scale: int | None = None) -> None:
    """Write uint8 images (N, C, H, W), row by row, as one PNG; C is 1 or 3.

    Each pixel becomes scale x scale of them, without smoothing; None blows small images up to
    about 64 pixels.
    """
    pixels = images.cpu().permute(0, 2, 3, 1).numpy()  # (N, H, W, C)
    count, height, width, channels = pixels.shape
    assert count > 0
    assert channels in (1, 3)
    factor = scale or max(1, TILE // height)
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (factor * height + GAP, factor * width + GAP)
    sheet = np.full((rows * size[0] + GAP, columns * size[1] + GAP, channels), GROUND, np.uint8)
    for i, image in enumerate(pixels.repeat(factor, 1).repeat(factor, 2)):
        top, left = GAP + i // columns * size[0], GAP + i % columns * size[1]
        sheet[top : top + factor * height, left : left + factor * width] = image
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    write_atomically(path, lambda temporary: picture.save(temporary, format="PNG"))


def save_curves(log: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the losses and each score over the images seen, and write them as one PNG.

    `log` is what a run logged, "images" being how many were seen: every value named ..._loss is a
    loss, ..._score and distances, such as fid, are scores; a null leaves a gap. What is no number
    is left out.
    """
    from matplotlib.figure import Figure  # no pyplot: no global state, no window

    log = _numbers(log)
    losses = _names(log, lambda name: name.endswith("_loss"))
    scores = _names(log, lambda name: name.endswith("_score") or is_distance(name))
    panels = ([losses] if losses else []) + [[name] for name in scores]
    figure = Figure(figsize=(4.5 * max(1, len(panels)), 3.2), layout="constrained")
    for index, names in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        is_loss = names is losses
        for name, colour in zip(names, (BLUE, ORANGE) if is_loss else (GREEN,), strict=False):
            _draw(axes, log, name, colour, marked=not is_loss)
        axes.set_title("losses" if is_loss else _words(names[0]), fontsize=10)
        axes.set_xlabel("images seen", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.xaxis.set_major_formatter(lambda value, _: _short(value))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if is_loss:
            axes.legend(fontsize=8, frameon=False)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))


def save_edge_history(log: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw which operation led on each edge as a search went, and the entropy of the edges.

    `log` holds rows with "step", "entropies" and, for each network that is searched, its cells
    as edge -> operation; a network is a panel, above the mean entropies. Writes one PNG, of those
    rows that are whole, if there are any.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    log = _moments(log)
    if not log:
        logger.warning("%s is not drawn: the log it would be made of is lost", path)
        return
    networks = [name for name in ROLES if name in log[0]]
    steps = [row["step"] for row in log]
    rows = [
        [f"{i}: {edge}" for i, cell in enumerate(log[0][name]) for edge in cell]
        for name in networks
    ]
    heights = [0.17 * len(edges) + 0.4 for edges in rows] + [2.2]
    figure = Figure(figsize=(9, sum(heights)), layout="constrained")
    panels = figure.subplots(len(networks) + 1, 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, name, edges in zip(panels, networks, rows, strict=False):
        led = [[op for cell in row[name] for op in cell.values()] for row in log]
        numbers = np.array([[list(OP_COLOURS).index(op) for op in ops] for ops in led]).T
        pixels = np.array([_rgb(colour) for colour in OP_COLOURS.values()])[numbers]
        ends = (0.5, len(steps) + 0.5, len(edges) - 0.5, -0.5)
        axes.imshow(pixels, aspect="auto", interpolation="nearest", extent=ends)
        axes.set_yticks(range(len(edges)), edges, fontsize=7)
        border = -0.5
        for cell in log[0][name][:-1]:
            border += len(cell)
            axes.axhline(border, color="black", linewidth=0.8)
        axes.set_xticks([])
        axes.set_title(f"{name}: best operation of each edge (cell: edge)", fontsize=10)
        used = [op for op in OP_COLOURS if any(op in ops for ops in led)]
        patches = [Patch(facecolor=OP_COLOURS[op], edgecolor="grey", label=op) for op in used]
        axes.legend(
            handles=patches, fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    for name, colour in zip(log[0]["entropies"], (BLUE, ORANGE), strict=False):
        means = [np.mean(list(row["entropies"][name].values())) for row in log]
        panels[-1].plot(range(1, len(steps) + 1), means, ".-", color=colour, label=name)
    shown = range(0, len(steps), max(1, len(steps) // 8))
    panels[-1].set_xticks([i + 1 for i in shown], [_short(steps[i]) for i in shown], fontsize=8)
    panels[-1].set_xlim(0.5, len(steps) + 0.5)
    panels[-1].set_title("mean entropy of an edge, nats", fontsize=10)
    panels[-1].set_xlabel("iterations", fontsize=9)
    panels[-1].tick_params(labelsize=8)
    panels[-1].grid(alpha=0.3)
    panels[-1].spines[["top", "right"]].set_visible(False)
    panels[-1].legend(fontsize=8, frameon=False)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))


def save_trials(points: Sequence[tuple[float, float, float]], cost: str, path: Path) -> None:
    """Draw trials, and write them as one PNG: the best so far, and the front against the cost.

    A point is the images spent up to the end of a trial, its distance (infinite for one that
    failed) and what its generator costs; `cost` says in words what that is, with its unit.
    """
    from matplotlib.figure import Figure

    ended = [point for point in points if point[1] < inf]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    over_time, over_cost = figure.subplots(1, 2, sharey=True)
    spent = [point[0] for point in points]
    best = np.minimum.accumulate([point[1] for point in points])
    over_time.step(spent, np.where(np.isinf(best), nan, best), where="post", color=BLUE)
    over_time.plot(*_columns(ended, 0, 1), ".", color=ORANGE)
    over_time.set_xlabel("real images seen by all trials", fontsize=9)
    over_time.set_ylabel("distance", fontsize=9)
    over_time.legend(["best so far", "a trial"], fontsize=8, frameon=False)
    front: list[tuple[float, float, float]] = []
    for point in sorted(ended, key=lambda point: (point[2], point[1])):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    over_cost.step(*_columns(front, 2, 1), where="post", color=GREEN, marker="o", markersize=4)
    over_cost.plot(*_columns(ended, 2, 1), ".", color=ORANGE)
    over_cost.set_xlabel(cost, fontsize=9)
    over_cost.legend(["Pareto front", "a trial"], fontsize=8, frameon=False)
    for axes in (over_time, over_cost):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_major_formatter(lambda value, _: _short(value))
        axes.tick_params(labelsize=8, which="both")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))


def _columns(
    points: Sequence[tuple[float, float, float]], x: int, y: int
) -> tuple[list[float], list[float]]:
    return [point[x] for point in points], [point[y] for point in points]


def _numbers(log: Sequence[Mapping[str, Any]]) -> list[dict[str, float | None]]:
    """Return the numbers of those rows that say how many images were seen."""
    rows = ({k: v for k, v in row.items() if v is None or _is_number(v)} for row in log)
    return [row for row in rows if row.get("images") is not None]


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and not abs(value) > LARGEST  # type: ignore[arg-type]


def _moments(log: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those rows that show what the last one shows: other lines of a log are damaged."""
    rows = []
    for row in log:
        try:
            _Moment.model_validate(row)
        except ValidationError:
            continue
        rows.append(row)
    return [row for row in rows if _shown(row) == _shown(rows[-1])]


def _shown(row: Mapping[str, Any]) -> tuple[object, ...]:
    entropies = {name: list(edges) for name, edges in row["entropies"].items()}
    return entropies, *([list(cell) for cell in row.get(name, ())] for name in ROLES)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def _draw(
    axes: "Axes", log: Sequence[Mapping[str, Any]], name: str, colour: str, *, marked: bool
) -> None:
    """Draw one value; a score's lowest distance or highest score gets its number."""
    points = [(r["images"], nan if r[name] is None else r[name]) for r in log if name in r]
    xs, ys = zip(*points, strict=True)
    axes.plot(xs, ys, color=colour, linewidth=1.4, label=_words(name), marker="." if marked else "")
    known = [(y, x) for x, y in points if not isnan(y)]
    if marked and known:
        lower_is_better = is_distance(name)
        y, x = min(known) if lower_is_better else max(known)
        axes.plot([x], [y], "o", color=colour, markersize=5)
        axes.annotate(
            f"{y:.3g}",
            (x, y),
            xytext=(0, 7 if lower_is_better else -13),
            textcoords="offset points",
            fontsize=9,
            ha="center",
            color=colour,
        )
        if lower_is_better and max(known)[0] > 10 * y > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.margins(y=0.15)


def _names(log: Sequence[Mapping[str, Any]], wanted: Callable[[str], bool]) -> list[str]:
    return [name for name in dict.fromkeys(name for row in log for name in row) if wanted(name)]


def _words(name: str) -> str:
    words = name.replace("frechet_distance[", "Frechet distance [").replace("_", " ")
    names = {"d loss": "discriminator", "g loss": "generator", "fid": "FID"}
    return names.get(words, words)


def _short(value: float) -> str:
    """Say 20000 as 20k."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{unit}"
    return f"{value:.4g}"
