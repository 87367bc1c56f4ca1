"""Retraining what was found: the best distance wins, and a failed trial stops nothing."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import extras
import pytest
import tiny

from gan_nas.errors import Interrupted, InvalidInput
from gan_nas.runs.run import never
from gan_nas.search.retraining import Retraining, retrain_all
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator
from gan_nas.training import units
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import GAN


def retrained(
    directory: Path,
    genomes: list[Genome],
    stop: Callable[[], bool] = never,
    *,
    seeds: int = 1,
    rungs: int = 1,
    tensorboard: bool = False,
    **changes: Any,
) -> Retraining:
    return retrain_all(
        directory,
        genomes,
        tiny.digits(),
        TrainingConfig.model_validate(tiny.TRAINING | changes),
        resolution=16,
        device=tiny.CPU,
        backbone=tiny.backbone(),
        stop=stop,
        seeds=seeds,
        rungs=rungs,
        tensorboard=tensorboard,
    )


def test_retraining_ranks_by_distance_and_names_a_winner(
    searches: Callable[[str], tiny.Searched], tmp_path: Path
) -> None:
    genomes = searches("autogan").genomes
    result = retrained(tmp_path, genomes)
    results = [trial.result for trial in result.trials if trial.result]
    distances = [one.last["frechet_distance[classifier]"] for one in results]
    assert len(distances) == len(genomes)
    assert distances == sorted(distances)
    assert result.winner == result.trials[0].id
    assert {trial.id for trial in result.trials} == {g.genome_id for g in genomes}


def test_genomes_that_a_framework_makes_the_same_are_not_ranked(tmp_path: Path) -> None:
    other = SNResNetDiscriminator(space="sn_resnet", width=4, third_block=("identity", "conv_5x5"))
    genomes = [tiny.GENOME, tiny.GENOME.model_copy(update={"discriminator": other})]
    with pytest.raises(InvalidInput, match="r3gan brings its own discriminator, with which 2 gen"):
        retrained(tmp_path, genomes, framework="r3gan")


@extras.needs_tensorboard
def test_each_training_writes_events_where_they_are_wanted(tmp_path: Path) -> None:
    retrained(tmp_path, [tiny.GENOME], seeds=2, tensorboard=True)
    runs = {path.parents[1] for path in tmp_path.glob("retrained/*/tensorboard/events*")}
    assert len(runs) == 2


def test_a_trial_that_collapses_stops_nothing_and_cannot_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tiny.GENOME.resized(8, 8)
    weights = "to_rgb.conv.weight"
    original = units.new_gan

    def dark_at_width_4(genome: Genome, *arguments: Any, **named: Any) -> GAN:
        """Make a generator of one image, whose weights no step can change."""
        gan = original(genome, *arguments, **named)
        if genome == tiny.GENOME:
            gan.generator.get_parameter(weights).data.zero_()
            gan.generator_optimizer.param_groups[0]["lr"] = 0.0
            gan._averages = []
        return gan

    monkeypatch.setattr(units, "new_gan", dark_at_width_4)
    result = retrained(tmp_path, [tiny.GENOME, wide])
    good, failed = result.trials
    assert result.winner == good.id == wide.genome_id
    assert (failed.id, failed.outcome) == (tiny.GENOME.genome_id, "collapsed")
    assert failed.why is not None
    assert "collapsed" in failed.why


@pytest.mark.slow
def test_seeds_and_rungs_train_the_better_half_longer_however_often_it_is_stopped(
    searches: Callable[[str], tiny.Searched], tmp_path: Path
) -> None:
    genomes = [tiny.GENOME, searches("autogan").genomes[0]]
    train_all = partial(retrained, genomes=genomes, seeds=2, rungs=2, steps=8, score_every=4)
    whole = train_all(tmp_path / "whole")
    steps = [trial.result.steps for trial in whole.trials if trial.result]
    assert steps == [8] * 2 + [4] * 2
    assert [row.images for row in whole.ranking] == [128, 64]
    assert [(row.completed, row.failed) for row in whole.ranking] == [(2, 0)] * 2
    assert whole.best == whole.ranking[0].id == whole.trials[0].id
    assert whole.winner is None  # nobody else was trained as long
    folders = {path.name for path in (tmp_path / "whole" / "retrained").iterdir() if path.is_dir()}
    ids = {genome.genome_id for genome in genomes}
    assert folders == ids | {f"{one}-seed1" for one in ids}
    interrupted = 0
    while True:
        looks = iter([False] * (9 + interrupted % 3))
        try:
            again = train_all(tmp_path / "again", stop=partial(next, looks, True))
            break
        except Interrupted:
            interrupted += 1
    assert interrupted > 2
    assert tiny.timeless(again.model_dump()) == tiny.timeless(whole.model_dump())


def test_rungs_refuse_trainings_that_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="lr_decay follows the length of a training"):
        retrained(tmp_path, [tiny.GENOME], rungs=2, lr_decay="linear")
