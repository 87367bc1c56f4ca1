"""Studies that compare searches: each is a question, and names whom it compares with whom."""

from pathlib import Path

import pytest
import tiny
from pydantic import ValidationError

from gan_nas.data import load_images
from gan_nas.errors import InvalidInput
from gan_nas.studies import STUDIES, load_study
from gan_nas.studies.contest import Contest
from gan_nas.studies.searches import Contender, parsed
from gan_nas.studies.study import StudyTask, run_study

# transfer compares a search with itself on other data, which its own tests look at.
CONTESTS = [n for n in STUDIES if isinstance(load_study(n), Contest) and n != "transfer"]


@pytest.mark.parametrize("name", CONTESTS)
def test_a_contest_compares_searches_that_there_are(name: str, tmp_path: Path) -> None:
    study = load_study(name)
    config = study.Config()
    study.check(StudyTask(config=config, directory=tmp_path, images=tiny.digits()))
    searches = parsed(config.searches)
    assert len({search.folder(0) for search in searches}) == len(searches)
    baselines = study.baselines(searches)
    assert baselines
    for search, baseline in baselines.items():
        assert search != baseline
        assert search.space == baseline.space
    assert all(search in baselines for search in searches if search not in baselines.values())


def test_methods_are_compared_with_random_search_and_variants_with_the_first() -> None:
    searches = parsed(("autogan", "degas", "random:autogan", "evolution:autogan"))
    random = Contender("random", "autogan")
    autogan, degas, _, evolution = searches
    assert load_study("methods").baselines(searches) == {autogan: random, evolution: random}
    assert load_study("levels").baselines(searches) == {random: autogan, evolution: autogan}
    assert degas not in load_study("levels").baselines(searches)


def test_a_transfer_is_between_two_data_sets(tmp_path: Path) -> None:
    study = load_study("transfer")
    alike = StudyTask(config=study.Config(), directory=tmp_path, images=load_images("digits"))
    with pytest.raises(InvalidInput, match="found_on: digits are the images that are trained on"):
        study.check(alike)


@pytest.mark.slow
def test_what_is_found_elsewhere_is_trained_here(tmp_path: Path) -> None:
    few = ("batch_size=8", "generator_batch_size=8", "num_critic=1", "num_scored=50")
    config = load_study("transfer").Config(
        searches=("random:autogan",),
        seconds=0.01,
        seeds=2,
        training_seeds=1,
        width=4,
        search_set=("trial_images=16",),
        training_set=(*few, "steps=2", "score_every=2", "save_every=2"),
    )
    task = StudyTask(
        config=config,
        directory=tmp_path / "run",
        images=tiny.few_images(),
        backbone=tiny.backbone(),
        cache=tmp_path / "cache",
    )
    report = run_study(load_study("transfer"), task)
    names = [row["search"] for row in report.rows]
    assert names == ["random:autogan on digits", "random:autogan"]
    assert all(len(row["genomes"]) == 2 for row in report.rows)  # type: ignore[arg-type]
    assert len(list((tmp_path / "run" / "elsewhere" / "searches").iterdir())) == 2
    assert "random:autogan on digits" in report.findings[0]
    assert run_study(load_study("transfer"), task) == report


def test_a_contest_may_run_presets_at_their_own_length() -> None:
    assert load_study("reset").Config().seconds is None
    with pytest.raises(ValidationError):
        load_study("methods").Config(seconds=0)
