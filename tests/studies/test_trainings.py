"""Studies that train genomes, without a search: orders, and how sure they are."""

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any

import pytest
import tiny
from PIL import Image

from gan_nas.errors import InvalidInput
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome, published_names
from gan_nas.studies import leaderboard, load_study, scaling
from gan_nas.studies.leaderboard import alike
from gan_nas.studies.study import StudyTask, run_study
from gan_nas.studies.trainings import sampled
from gan_nas.trials.trial import Outcome, Trial

NAMES = ("sngan-cifar10", "autogan-cifar10-top1", "e2gan-cifar10", "adversarialnas-cifar10")
FEW = ("batch_size=8", "generator_batch_size=8", "num_critic=1", "num_scored=50", "save_every=2")


def task(name: str, directory: Path, **changes: Any) -> StudyTask[Any]:
    study = load_study(name)
    return StudyTask(
        config=study.Config.model_validate({"genomes": NAMES} | changes),
        images=tiny.few_images(),
        backbone=tiny.backbone(),
        device=tiny.CPU,
        directory=directory,
    )


def made_up(noise: float) -> Any:
    """Train in no time: the order is that of names and parameters, seeds differ by `noise`."""

    def train_all(task: StudyTask[Any], genomes: Sequence[Genome]) -> dict[str, list[Outcome]]:
        found: dict[str, list[Outcome]] = {}
        for place, genome in enumerate(genomes):
            for seed in range(task.config.training_seeds):
                loss = 10 * (1 + place) * exp(noise * (seed - 1))
                scores = ({"images": 1, "frechet_distance[residual]": 2 * loss},)
                trial = Trial(genome=genome, images=1, seed=seed)
                outcome = Outcome(trial=trial, status="completed", distance=loss, scores=scores)
                found.setdefault(genome.genome_id, []).append(outcome)
        return found

    return train_all


@pytest.mark.parametrize(
    ("noise", "said"), [(0.02, "sngan-cifar10 is best"), (2.0, "No genome is best")]
)
def test_a_leaderboard_ranks_and_says_how_the_published_order_agrees(
    noise: float, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "train_all", made_up(noise))
    report = run_study(load_study("leaderboard"), task("leaderboard", tmp_path / "run"))
    assert [row["genome"] for row in report.rows] == list(NAMES)
    assert said in report.findings[0]
    # Reported 21.7, 12.42, 11.26 and 10.87: the other way round.
    assert "Spearman -1.00" in report.findings[1]
    assert report.rows[0]["p_value"] is None
    for row, name in zip(report.rows, NAMES, strict=True):
        assert row["reported"] == load_genome(name).source.reported["cifar10"]["fid"]  # type: ignore[union-attr]
    with Image.open(report.files["picture"]) as picture:
        assert picture.width > 500


def test_a_leaderboard_gives_all_the_same_discriminator_and_width() -> None:
    genomes = alike((), 8)
    assert set(genomes) <= set(published_names())
    assert len(genomes) > 10
    assert len({genome.discriminator for genome in genomes.values()}) == 1
    assert {genome.generator.width for genome in genomes.values()} == {8}
    alone = task("leaderboard", Path(), genomes=("sngan-cifar10", "sngan-cifar10"))
    with pytest.raises(InvalidInput, match="two different ones"):
        load_study("leaderboard").check(alone)


def test_a_genome_that_was_found_twice_counts_once() -> None:
    genomes = list(alike(NAMES[:2], 4).values())
    run = StudyTask(config=load_study("leaderboard").Config(), directory=Path())
    outcomes = made_up(0.1)(run, genomes)
    assert sampled([*genomes, genomes[0]], outcomes) == sampled(genomes, outcomes)
    assert len(sampled(genomes, outcomes).all) == 2 * run.config.training_seeds


def test_scaling_says_what_width_gives_and_whether_orders_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "train_all", made_up(0.1))
    report = run_study(load_study("scaling"), task("scaling", tmp_path / "run", widths=(8, 4)))
    widths = [row["width"] for row in report.rows]
    assert widths == sorted(widths)
    assert len(report.rows) == 2 * len(NAMES)
    assert f"{NAMES[0]}: 5.00 times the distance at width 8 as at 4." in report.findings
    assert "Rank correlation of width 4 with width 8: 1.00 (4 genomes)." in report.findings
    with Image.open(report.files["picture"]) as picture:
        assert picture.width > 500
    with pytest.raises(InvalidInput, match="holds one twice"):
        load_study("scaling").check(task("scaling", tmp_path, widths=(4, 4)))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sizes"), [("leaderboard", {"width": 4}), ("scaling", {})])
def test_genomes_are_really_trained(name: str, sizes: dict[str, int], tmp_path: Path) -> None:
    sizes = sizes or {"widths": (4, 8)}  # type: ignore[dict-item]
    few = (*FEW, "steps=2", "score_every=2")
    run = task(name, tmp_path, training_set=few, training_seeds=2, genomes=NAMES[:2], **sizes)
    report = run_study(load_study(name), run)
    assert all(len(row["distances"]) == 2 for row in report.rows)  # type: ignore[arg-type]
    assert run_study(load_study(name), run) == report
