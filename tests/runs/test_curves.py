"""Learning curves and edge histories: what they show of a log, a stranger's, too."""

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

from gan_nas.runs.curves import Course, curves_figure, save_curves
from gan_nas.runs.edge_history import edges_figure
from gan_nas.spaces.published import published_genome

ADVERSARIAL = published_genome("adversarialnas-cifar10")
CURVE = [{"images": 64 * i, "d_loss": 1.0 + i % 3, "g_loss": 0.5} for i in range(60)]
SCORES = [{"images": 640 * i, "fid": 90.0 - i, "inception_score": 1.0 + i} for i in range(6)]
NASTY = "$x_{$ \\frac \x1b[31m \u202e 码"


def texts(figure: Any) -> list[str]:
    """List what is written in a figure, legends included."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize(
    ("log", "panels"),
    [
        ([], 0),
        ([{"event": "shared", "d_loss": 1.0}], 0),
        ([{"trial": 1, "images": 5, "distance": 3.0}], 0),
        ([{"step": 3, "distance": 99.0}], 1),
        ([{"images": 0, "frechet_distance[classifier]": 99.0}], 1),
        (
            [
                {"images": 0, "frechet_distance[classifier]": 210.0, "classifier_score": 1.2},
                {"images": 64, "d_loss": 1.5, "g_loss": None},
                {"images": 128, "d_loss": 1.25, "g_loss": 0.5},
                {"images": 128, "frechet_distance[classifier]": 9.0, "classifier_score": None},
            ],
            3,
        ),
        ([{"update": 1, "reward": 0.5, "controller_loss": 1.0}, {"images": 8, "d_loss": 1}], 3),
    ],
)
def test_each_value_of_a_log_has_its_panel(log: list[dict[str, Any]], panels: int) -> None:
    figure = curves_figure([Course("", log)], "a caption")
    assert (figure is None) == (panels == 0)
    if figure is not None:
        assert len(figure.axes) == panels
        assert "a caption" in texts(figure)


def test_curves_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        paths = [tmp_path / f"{name}.{kind}" for name in "ab"]
        for path in paths:
            assert save_curves([Course("", CURVE)], path, NASTY)
        assert paths[0].read_bytes() == paths[1].read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 300


def test_real_images_have_a_line_and_several_runs_a_legend() -> None:
    real = {"fid": 3.5, "inception_score": 9.25}
    figure = curves_figure([Course("", SCORES, real)])
    assert figure is not None
    assert {"real, held out: 3.5", "real, held out: 9.25"} <= set(texts(figure))
    figure = curves_figure([Course("one", SCORES, real), Course("two", SCORES[:3], real)])
    assert figure is not None
    for axes in figure.axes:
        assert [t.get_text() for t in axes.get_legend().get_texts()][:2] == ["one", "two"]  # type: ignore[union-attr]
        styles = {(str(line.get_color()), line.get_linestyle()) for line in axes.lines[:3:2]}
        assert len(styles) == 2


def test_the_best_reward_is_that_of_the_last_level_whose_images_have_their_full_size() -> None:
    levels = [{"update": i, "level": i // 4, "reward": 5.0 - i // 4 + i / 64} for i in range(12)]
    said = texts(curves_figure([Course("", levels)]))
    assert f"{max(float(row['reward']) for row in levels[8:]):.3g}" in said
    assert f"{max(float(row['reward']) for row in levels):.3g}" not in said


def test_a_spike_does_not_hide_the_rest_and_is_counted() -> None:
    spiky = [row | ({"d_loss": 1e6} if place == 30 else {}) for place, row in enumerate(CURVE)]
    figure = curves_figure([Course("", spiky)])
    assert figure is not None
    assert figure.axes[0].get_ylim()[1] < 10
    assert "1 of 120 values beyond" in texts(figure)
    calm = curves_figure([Course("", CURVE)])
    assert calm is not None
    assert not any("beyond" in text for text in texts(calm))


def moment(step: int, probability: float, **changes: Any) -> dict[str, Any]:
    cells = [dict(cell.edges) for cell in ADVERSARIAL.generator.cells]  # type: ignore[attr-defined]
    return {
        "step": step,
        "generator": cells,
        "probabilities": {"generator": [dict.fromkeys(cell, probability) for cell in cells]},
        "entropies": {"alpha": {"0.0-1": 1.0, "0.0-2": 1.2}},
        "highest_entropies": {"alpha": log(7)},
    } | changes


def test_an_edge_is_the_more_opaque_the_more_probable_and_named_by_what_it_is() -> None:
    figure = edges_figure([moment(1, 0.0), moment(2, 1.0)], ADVERSARIAL, "a caption")
    assert figure is not None
    said = texts(figure)
    assert {"a caption", "cell 0, 0-1", "cell 2, 3-4"} <= set(said)
    assert any(f"the most it can be: {log(7):.2f}" in text for text in said)
    pixels = np.asarray(figure.axes[0].images[0].get_array()).astype(int)  # (edges, moments, 3)
    paler = (pixels[:, 0].sum(-1) > pixels[:, 1].sum(-1)) | (pixels[:, 1].sum(-1) == 3 * 255)
    assert paler.all()


def test_histories_of_older_versions_and_of_strangers_are_drawn(tmp_path: Path) -> None:
    """Without probabilities; with operations that no space here has; for another genome."""
    old = {k: v for k, v in moment(1, 1.0).items() if k in ("step", "generator", "entropies")}
    odd = moment(1, 0.5, generator=[{NASTY: NASTY[:30]}], probabilities={"generator": [{"x": 0.5}]})
    for row in (old, odd):
        figure = edges_figure([row], tiny.GENOME, NASTY)
        assert figure is not None
        figure.savefig(tmp_path / "edges.png")
    assert edges_figure([{"step": 1}, moment(-1, 1.0), {}]) is None
