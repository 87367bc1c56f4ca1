"""Studies of tables: regret, and how much of a score is the seed, on a table that is made up."""

import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image
from tables import TINY, made_up

from gan_nas.errors import Incompatible, Interrupted, InvalidInput
from gan_nas.runs.run import never
from gan_nas.studies import STUDIES, load_study
from gan_nas.studies.noise import parts_of, seeds_needed
from gan_nas.studies.proxy import HIGH_RANK, SMALL_GRADIENT, ProxyConfig
from gan_nas.studies.strategies import StrategiesConfig, compared, curves
from gan_nas.studies.study import StudyResult, StudyTask, run_study
from gan_nas.trials.recipes import find_recipe

FEW: dict[str, dict[str, Any]] = {
    "strategies": {"runs": 10, "budget": 3, "strategies": ("evolution",)},
    "proxy": {"zero_cost": False},
}
OF_TABLES = [name for name in STUDIES if not load_study(name).needs_images]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "made up.json"
    made_up().save(path)
    return path


def task(name: str, table: Path, directory: Path, stop: Any = never) -> StudyTask[Any]:
    config = load_study(name).Config.model_validate({"table": str(table)} | FEW.get(name, {}))
    return StudyTask(config=config, directory=directory, stop=stop)


@pytest.mark.parametrize("name", OF_TABLES)
def test_a_study_of_a_table_ends_in_a_report_a_table_and_a_picture(
    name: str, table: Path, tmp_path: Path
) -> None:
    run = tmp_path / "a study"
    if name == "strategies":
        with suppress(Interrupted):
            run_study(load_study(name), task(name, table, run, partial(bool, 1)))
        assert not (run / "study.json").exists()
        assert list((run / "curves").iterdir())
    result = run_study(load_study(name), task(name, table, run))
    written = StudyResult.model_validate(json.loads((run / "study.json").read_text()))
    assert written.placed(run) == result
    assert result.findings
    assert result.limits
    for row in result.rows:
        assert all(column.name in row for column in result.columns) or row["strategy"] == "random"
    names = ",".join(column.name for column in result.columns)
    assert (run / "study.csv").read_text().startswith(names)
    with Image.open(run / "study.png") as picture:
        assert picture.width > 500
    assert run_study(load_study(name), task(name, table, run)) == result


@pytest.mark.slow
def test_what_untrained_networks_tell_is_a_predictor_of_all_genomes(
    table: Path, tmp_path: Path
) -> None:
    whole = replace(
        task("proxy", table, tmp_path / "run"), config=ProxyConfig(table=str(table), zero_cost=True)
    )
    rows = {row["predictor"]: row for row in run_study(load_study("proxy"), whole).rows}
    for name in (SMALL_GRADIENT, HIGH_RANK):
        assert rows[name]["genomes"] == rows["few parameters"]["genomes"]


@pytest.mark.slow
def test_what_trained_stand_ins_tell_is_of_the_tables_genomes_and_images(tmp_path: Path) -> None:
    recipe = find_recipe("tied-digits", [one for one in TINY if not one.startswith("only")])
    table = made_up(recipe).model_copy(update={"data_fingerprint": tiny.digits().fingerprint})
    table.save(tmp_path / "table.json")
    config = ProxyConfig(
        table=str(tmp_path / "table.json"),
        zero_cost=False,
        shared_images=8,
        reconstruction_steps=2,
        reconstructed=10,
    )
    whole = StudyTask(
        config=config, directory=tmp_path / "run", images=tiny.digits(), backbone=tiny.backbone()
    )
    rows = {row["predictor"]: row for row in run_study(load_study("proxy"), whole).rows}
    assert rows["reconstruction loss"]["genomes"] == 10
    for name in ("distance on shared weights", "score on shared weights"):
        assert rows[name]["genomes"] > 270  # draws that are new run out before genomes do
    other = made_up(recipe)
    other.save(tmp_path / "table.json")
    with pytest.raises(Incompatible, match="is not what the table"):
        run_study(load_study("proxy"), replace(whole, directory=tmp_path / "other"))


@pytest.mark.slow
def test_side_by_side_searches_come_to_the_same(table: Path, tmp_path: Path) -> None:
    study = load_study("strategies")
    alone = run_study(study, task("strategies", table, tmp_path / "a"))
    both = run_study(study, replace(task("strategies", table, tmp_path / "b"), jobs=2))
    assert both.rows == alone.rows


def test_regret_never_rises_by_a_genome_that_is_known_to_be_best_and_ends_at_none(
    table: Path,
) -> None:
    """With a budget for all genomes random search finds nearly the best, whatever its seed saw."""
    config = StrategiesConfig(table=str(table), budget=288)
    (regrets,) = curves(config, "random", [0])
    assert len(regrets) == 288
    assert regrets[0] > regrets[-1]
    assert exp(regrets[-1]) < 1.15  # a seed's noise is 5 %
    assert min(regrets) > -0.1


def test_who_ends_lower_beats_random_with_its_probability() -> None:
    random = np.random.default_rng(0)
    flat = random.normal(0, 1, (200, 1))
    found = {"random": flat, "a": flat - 0.5, "b": random.permutation(flat), "c": flat + 5}
    made = {name: np.repeat(values, 4, 1) for name, values in found.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan_nas.studies.strategies._table", lambda name: made_up())
        findings = compared(StrategiesConfig(budget=4), made)
    rows = {row["strategy"]: row for row in findings.rows}
    assert rows["a"]["beats"] == pytest.approx(0.64, abs=0.05)  # P(N(0, 2) < 0.5)
    assert rows["b"]["beats"] == pytest.approx(0.5)
    assert rows["c"]["beats"] == pytest.approx(0, abs=0.01)
    a, b, c = findings.findings
    assert "a beats random search more often than not" in a
    assert "b cannot be told from random search" in b
    assert "c loses to random search" in c


def test_parts_of_variance_are_those_that_were_put_in() -> None:
    random = Random(0)
    logs = [
        [middle + random.gauss(0, 0.2) for _ in range(2 + number % 2)]
        for number, middle in enumerate(random.gauss(1, 0.5) for _ in range(2_000))
    ]
    parts = parts_of(logs)
    assert parts.genomes == pytest.approx(0.5, rel=0.05)
    assert parts.seeds == pytest.approx(0.2, rel=0.05)
    assert parts.share == pytest.approx(0.04 / 0.29, rel=0.1)
    alike = parts_of([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    assert alike.genomes == 0


def test_so_many_seeds_as_a_claim_needs_see_the_difference() -> None:
    seeds = seeds_needed(0.2, difference=0.2, power=0.8)
    random = np.random.default_rng(0)
    a, b = (random.normal(m, 0.2, (4_000, seeds)).mean(1) for m in (0, log(1.2)))
    seen = (b - a) / (0.2 * (2 / seeds) ** 0.5) > 1.96
    assert seen.mean() == pytest.approx(0.8, abs=0.04)
    assert seeds_needed(1e-6, 0.1, 0.8) == 2


def test_what_cannot_be_studied_is_refused(table: Path, tmp_path: Path) -> None:
    config = StrategiesConfig(table=str(table), strategies=("autogan",))
    with pytest.raises(InvalidInput, match="autogan is no strategy"):
        run_study(load_study("strategies"), StudyTask(config=config, directory=tmp_path))
    single = tmp_path / "single.json"
    whole = made_up()
    rows = tuple(row for row in whole.rows if row.seed == 0)
    whole.model_copy(update={"rows": rows}).save(single)
    with pytest.raises(InvalidInput, match="no two genomes of several seeds"):
        run_study(load_study("noise"), task("noise", single, tmp_path / "run"))
