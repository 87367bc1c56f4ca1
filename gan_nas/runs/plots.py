"""Pictures of a run: grids of samples, and what came of its trials."""

from collections.abc import Sequence
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from gan_nas.files import write_atomically
from gan_nas.runs.figures import BLUE, GREEN, ORANGE, in_figures, literal, save_figure, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TILE = 64  # pixels a small image is blown up to, about
GAP = 2  # pixels between images
GROUND = 255  # the grey of gaps and border


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


def save_trials(
    points: Sequence[tuple[float, float, float]], cost: str, path: Path, caption: str = ""
) -> None:
    """Draw `trials_figure` and write it, as PNG or SVG."""
    save_figure(trials_figure(points, cost, caption), path)


def trials_figure(
    points: Sequence[tuple[float, float, float]], cost: str, caption: str = ""
) -> "Figure":
    """Draw trials: the best so far, and the front against the cost.

    A point is the images spent up to the end of a trial, its distance (infinite for one that
    failed) and what its generator costs; `cost` says in words what that is, with its unit.
    """
    from matplotlib.figure import Figure

    ended = [point for point in points if point[1] < inf]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    if caption:
        figure.suptitle(literal(caption), fontsize=10)
    over_time, over_cost = figure.subplots(1, 2, sharey=True)
    spent = [point[0] for point in points]
    best = np.minimum.accumulate([point[1] for point in points])
    over_time.step(spent, np.where(np.isinf(best), nan, best), where="post", color=BLUE)
    over_time.plot(*_columns(ended, 0, 1), "x", color=ORANGE, ms=4)
    over_time.set_xlabel("real images seen by all trials", fontsize=9)
    over_time.set_ylabel("distance", fontsize=9)
    over_time.legend(["best so far", "a trial"], fontsize=8, frameon=False)
    front: list[tuple[float, float, float]] = []
    for point in sorted(ended, key=lambda point: (point[2], point[1])):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    over_cost.step(*_columns(front, 2, 1), where="post", color=GREEN, marker="o", markersize=4)
    over_cost.plot(*_columns(ended, 2, 1), "x", color=ORANGE, ms=4)
    over_cost.set_xlabel(cost, fontsize=9)
    over_cost.legend(["Pareto front", "a trial"], fontsize=8, frameon=False)
    for axes in (over_time, over_cost):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_major_formatter(lambda value, _: short(value))
        in_figures(axes)
    return figure


def _columns(
    points: Sequence[tuple[float, float, float]], x: int, y: int
) -> tuple[list[float], list[float]]:
    return [point[x] for point in points], [point[y] for point in points]
