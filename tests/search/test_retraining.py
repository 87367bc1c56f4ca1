"""Retraining what was found: the best distance wins, and a failed trial stops nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

from gan_nas.runs.results import Retraining
from gan_nas.search.retraining import retrain_all
from gan_nas.spaces.genome import Genome
from gan_nas.training import loop as training
from gan_nas.training.config import TrainingConfig
from gan_nas.training.gan import GAN


def retrained(directory: Path, genomes: list[Genome]) -> Retraining:
    return retrain_all(
        directory,
        genomes,
        tiny.digits(),
        TrainingConfig.model_validate(tiny.TRAINING),
        resolution=16,
        device=tiny.CPU,
        backbone=tiny.backbone(),
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


def test_a_trial_that_collapses_stops_nothing_and_cannot_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = tiny.GENOME.resized(8, 8)
    weights = "to_rgb.conv.weight"
    original = training.new_gan

    def dark_at_width_4(genome: Genome, *arguments: Any) -> GAN:
        """Make a generator of one image, whose weights no step can change."""
        gan = original(genome, *arguments)
        if genome == tiny.GENOME:
            gan.generator.get_parameter(weights).data.zero_()
            gan.generator_optimizer.param_groups[0]["lr"] = 0.0
            gan._averages = []
        return gan

    monkeypatch.setattr(training, "new_gan", dark_at_width_4)
    result = retrained(tmp_path, [tiny.GENOME, wide])
    good, failed = result.trials
    assert result.winner == good.id == wide.genome_id
    assert (failed.id, failed.outcome) == (tiny.GENOME.genome_id, "collapsed")
    assert failed.why is not None
    assert "collapsed" in failed.why
