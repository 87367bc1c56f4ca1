"""The comparison of all ways to search: equal time, the same bytes however often it is stopped."""

import csv
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import exp
from pathlib import Path
from typing import Any

import extras
import pytest
import tiny
import torch
from PIL import Image

from gan_nas.cli.study import _show
from gan_nas.errors import Interrupted, InvalidInput
from gan_nas.runs.run import never
from gan_nas.search import OWN, load_method
from gan_nas.search.strategies.budget import planned, spent
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.studies import load_study
from gan_nas.studies.against import compared
from gan_nas.studies.contest import LEAP, SHORT, TIMES, Times, fitting_length, search_config
from gan_nas.studies.methods import STUDY, MethodsConfig
from gan_nas.studies.searches import Contender, parsed
from gan_nas.studies.study import StudyResult, StudyTask, run_study
from gan_nas.studies.trainings import train_all
from gan_nas.trials.trial import Outcome, Trial

FEW = ("batch_size=8", "generator_batch_size=8", "num_critic=1", "num_scored=50", "save_every=2")
TINY: dict[str, Any] = {
    "searches": ("draw:degas", "random:degas", "degas"),
    "seeds": 2,
    "training_seeds": 2,
    "width": 4,
    "search_set": ("trial_images=16", "num_images=40", "num_scored=20", "batch_size=8"),
    "training_set": (*FEW, "steps=2", "score_every=2"),
}


def task(directory: Path, stop: Callable[[], bool] = never, **changes: Any) -> StudyTask[Any]:
    return StudyTask(
        config=MethodsConfig.model_validate(TINY | changes),
        images=tiny.few_images(),
        device=tiny.CPU,
        backbone=tiny.backbone(),
        directory=directory,
        stop=stop,
    )


def begin(directory: Path) -> None:
    """Begin a study, and write down lengths as if they had been measured."""
    with suppress(Interrupted):
        run_study(STUDY, task(directory, lambda: True))
    times = Times(lengths={"random:degas": 0.05, "degas": 0.002})
    (directory / TIMES).write_text(times.model_dump_json())


def told(directory: Path) -> dict[str, Any]:
    """Return what a study has come to, without times."""
    report: dict[str, Any] = json.loads((directory / "study.json").read_text())
    del report["files"]
    for row in report["rows"]:
        del row["seconds"]
    return report


def test_trainings_have_seeds_that_no_search_has_chosen_by(tmp_path: Path) -> None:
    outcomes = train_all(task(tmp_path, seed=5), [tiny.GENOME])[tiny.GENOME.genome_id]
    assert [one.trial.seed for one in outcomes] == [5 + TINY["seeds"] + n for n in (0, 1)]


@pytest.mark.slow
def test_a_study_stopped_again_and_again_is_the_one_that_was_not(tmp_path: Path) -> None:
    whole, again = tmp_path / "a whole one", tmp_path / "again"
    begin(whole)
    result = run_study(STUDY, task(whole))
    begin(again)
    interrupted = 0
    while not (again / "study.json").exists():
        looks = iter([False] * (30 + 7 * (interrupted % 3)))
        try:
            run_study(STUDY, task(again, partial(next, looks, True)))
        except Interrupted:
            interrupted += 1
    assert interrupted >= 3
    assert told(again) == told(whole)
    assert run_study(STUDY, task(whole)) == result
    written = StudyResult.model_validate_json((whole / "study.json").read_text())
    assert written.placed(whole) == result
    table = list(csv.DictReader((whole / "study.csv").read_text().splitlines()))
    assert [row["search"] for row in table] == list(TINY["searches"])
    with Image.open(whole / "study.png") as picture:
        assert picture.width > 500
    for row in result.rows:
        assert isinstance(row["distances"], list)
        assert len(row["distances"]) == 4 - int(str(row["failed"]))


@pytest.mark.slow
def test_lengths_are_measured_so_that_a_search_takes_the_seconds(tmp_path: Path) -> None:
    with suppress(Interrupted):
        run_study(STUDY, task(tmp_path, lambda: True))
    searches = ("random:degas",)
    run_study(STUDY, task(tmp_path / "run", searches=searches, seconds=0.5))
    times = Times.model_validate_json((tmp_path / "run" / TIMES).read_text())
    first, second = (f"searches/random-degas-{seed}" for seed in (0, 1))
    assert list(times.lengths) == [first, second]
    # The second is as long as the first would have been if it had taken just the time.
    fitting = times.lengths[first] * 0.5 / times.seconds[first]
    assert times.lengths[second] == pytest.approx(max(fitting, SHORT[0]), rel=0.01)
    assert all(0.1 < times.seconds[where] < 3 for where in (first, second))


@pytest.mark.parametrize("noise", [-2.0, -0.5, 0.0, 0.5, 2.0])
@pytest.mark.parametrize(("start", "per_length"), [(0.0, 50.0), (2.0, 50.0), (15.0, 10.0)])
def test_a_length_fits_the_time_and_no_noise_makes_a_search_endless(
    start: float, per_length: float, noise: float
) -> None:
    shorter, longer = SHORT
    spent = {longer: start + per_length * longer + noise, shorter: start + per_length * shorter}
    length = fitting_length(spent, 90.0)
    assert 0 < length <= LEAP * longer * 90 / spent[longer]
    if noise == 0 and start < 10:
        assert start + per_length * length == pytest.approx(90)


@pytest.mark.parametrize("name", extras.methods(OWN))
@pytest.mark.parametrize("factor", [pytest.param(0.3, marks=pytest.mark.slow), 3.0])
def test_a_search_that_is_so_many_times_as_long_has_so_many_times_the_images(
    name: str, factor: float
) -> None:
    method: Any = load_method(name)
    config = method.task(tiny.digits(), "demo").config

    def images(of: Any) -> int:
        if method.side_by_side(of):
            return spent(of, planned(method.strategy, of))
        phases = method.phases(of, 16, 1, torch.device("meta"))
        return sum(phase.steps * phase.batch_size for phase in phases)

    assert images(method.longer(config, factor)) == pytest.approx(factor * images(config), rel=0.2)


def outcomes(
    **distances: float,
) -> tuple[dict[Contender, list[Genome]], dict[str, list[Outcome]]]:
    """Return genomes and trainings of searches of AutoGAN's space with such distances."""
    found: dict[Contender, list[Genome]] = {}
    judged: dict[str, list[Outcome]] = {}
    for number, (name, distance) in enumerate(distances.items()):
        genomes = sample_genomes("autogan", 3, 7 + number)
        found[Contender(name, "autogan")] = genomes
        for place, genome in enumerate(genomes):
            for seed in (0, 1):
                loss = distance * exp(0.05 * (place - 1) + 0.02 * seed)
                trial = Trial(genome=genome, images=1, seed=seed)
                scores = ({"images": 1, "frechet_distance[residual]": 2 * loss},)
                outcome = Outcome(trial=trial, status="completed", distance=loss, scores=scores)
                judged.setdefault(genome.genome_id, []).append(outcome)
    return found, judged


def test_who_beats_random_search_is_said_and_who_cannot_be_told_from_it() -> None:
    found, judged = outcomes(random=10.0, evolution=5.0, halving=10.2, nsga2=30.0)
    seconds = {search: [1.0] for search in found}
    findings = compared(found, judged, seconds, STUDY.baselines(list(found)))
    better, same, worse = findings.findings
    assert "evolution:autogan beats random search in autogan: its distances are 50 %" in better
    assert "halving:autogan cannot be told from random search" in same
    assert "nsga2:autogan loses to random search" in worse
    rows = {row["search"]: row for row in findings.rows}
    assert rows["evolution:autogan"]["ratio"] == pytest.approx(0.5)
    for row in rows.values():
        assert row["second_distance"] == pytest.approx(2 * row["distance"])
        if row["search"] != "random:autogan":
            assert row["low"] < row["ratio"] < row["high"]


def test_no_number_of_the_table_is_cut_short_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found, judged = outcomes(random=1234.5, evolution=0.00123, halving=345.6)
    sets = "architecture_start=0.25", "architecture_lr=0.025"
    found = {
        one._replace(sets=sets) if one.method == "halving" else one: g for one, g in found.items()
    }
    seconds = {search: [12345.6] for search in found}
    baselines = {one: next(iter(found)) for one in list(found)[1:]}
    findings = compared(found, judged, seconds, baselines)
    result = StudyResult(
        **dict(findings), study="methods", question="", config={}, date="", machine={}, files={}
    )
    _show(result)
    rows = capsys.readouterr().out.partition("─\n")[2].partition("\n\n")[0]
    assert max(map(len, rows.splitlines())) <= 80
    assert {"@architecture_start=0.25", "@architecture_lr=0.025"} < set(rows.split())
    shown = {column.name: column.format for column in findings.columns[1:]}
    for row in findings.rows:
        for name, how in shown.items():
            if row.get(name):
                assert f"{row[name]:{how}}" in rows.split()


def test_what_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown study 'method', did you mean methods"):
        load_study("method")
    with pytest.raises(InvalidInput, match="autogan does not search 'degas'; it can be autogan"):
        parsed(["autogan:degas"])
    with pytest.raises(InvalidInput, match="unknown method"):
        parsed(["luck"])
    with pytest.raises(InvalidInput, match="unknown setting lr"):
        STUDY.check(task(tmp_path, searches=("degas@lr=1@lrr=2",)))


def test_a_search_can_have_settings_of_its_own() -> None:
    plain, changed = parsed(["degas", "degas@lr=0.1@batch_size=9"])
    assert (plain.name, changed.name) == ("degas", "degas@lr=0.1@batch_size=9")
    assert plain.folder(0) != changed.folder(0)
    assert changed.folder(0) == "degas-degas-lr-0.1-batch_size-9-0"
    method: Any = load_method("degas")
    config = MethodsConfig.model_validate(TINY)
    assert search_config(method, plain, config, 0).model_dump()["batch_size"] == 8
    assert search_config(method, changed, config, 0).model_dump()["batch_size"] == 9
