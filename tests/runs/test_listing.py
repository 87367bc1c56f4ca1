"""Whatever lies in a folder of runs, `gan-nas runs` lists it."""

import json
from pathlib import Path

import pytest
import tiny
from old_runs import FIXTURES, LAYOUTS, copy

from gan_nas.runs.listing import list_runs
from gan_nas.runs.run import Run


@pytest.mark.parametrize("layout", LAYOUTS)
def test_old_runs_are_listed_with_their_state_and_score(layout: str) -> None:
    listed = {Path(one.run).name: one for one in list_runs(FIXTURES / layout)}
    assert set(listed) == {path.parent.name for path in (FIXTURES / layout).glob("*/config.json")}
    for name, one in listed.items():
        is_finished = name.endswith("finished")
        assert one.state == ("finished" if is_finished else "stopped"), one
        assert one.data == "digits"
        if is_finished:
            assert one.best is not None or one.method == "adversarialnas"
        else:
            assert one.step is not None
            assert one.steps is not None
            assert 0 < one.step < one.steps


def test_a_run_is_running_while_it_is_held_and_says_how_far_it_is(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", {"method": "walk", "config": {"steps": 10}}) as run:
        ledger = tiny.ledger_after(run, seconds=30.0)
        ledger.log(step=3, images=24, d_loss=1.0)
        ledger.log("scores", step=3, images=24, **{"frechet_distance[x]": 2.5})
        (one,) = list_runs(tmp_path)
        assert (one.state, one.step, one.steps) == ("running", 3, 10)
        assert (one.score, one.best) == ("frechet_distance[x]", 2.5)
        assert one.seconds_left == pytest.approx(70, abs=2)
        # Whoever looks disturbs nobody: the directory is still held.
        (same,) = list_runs(tmp_path / "run")
        assert same.state == "running"
    (one,) = list_runs(tmp_path)
    assert one.state == "stopped"
    (tmp_path / "run" / "outcome.json").write_text(
        json.dumps({"outcome": "diverged", "why": "a loss is not finite"})
    )
    (one,) = list_runs(tmp_path)
    assert (one.state, one.why, one.seconds_left) == ("failed", "a loss is not finite", None)


@pytest.mark.parametrize("name", ["config.json", "result.json", "log.jsonl", "outcome.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\x00", b'{"config": 3, "genomes": [{}]}'])
def test_what_cannot_be_read_is_listed_too(tmp_path: Path, name: str, content: bytes) -> None:
    run = copy("retrain-interrupted", tmp_path / "run")
    (run / name).write_bytes(content)
    copy("degas-finished", tmp_path / "whole")
    listed = {Path(one.run).name: one.state for one in list_runs(tmp_path)}
    assert listed["whole"] == "finished"
    assert listed["run"] in ("stopped", "damaged", "finished", "failed")


def test_runs_in_a_run_are_listed_with_it(tmp_path: Path) -> None:
    run = copy("autogan-finished", tmp_path / "run")
    copy("retrain-finished", run / "retrained" / "x")
    assert [one.run for one in list_runs(tmp_path)] == [str(run)]
    assert [one.run for one in list_runs(run)] == [str(run), str(run / "retrained" / "x")]


def test_the_best_of_a_search_by_trials_is_a_distance(tmp_path: Path) -> None:
    tiny.run_search("random", tmp_path)
    finished = list_runs(tmp_path)[0].best
    (tmp_path / "result.json").unlink()
    listed = list_runs(tmp_path)[0]
    assert (listed.score, listed.best) == ("distance", finished)


@pytest.mark.parametrize("number", ["1e999", "NaN", "1" + "0" * 400, "-1e999"])
def test_numbers_that_are_none_damage_no_list(tmp_path: Path, number: str) -> None:
    run = tmp_path / "run"
    tiny.run_training(run)
    line = f'{{"event":"scores","step":{number},"seconds":{number},"distance":{number}}}\n'
    with (run / "log.jsonl").open("a") as log:
        log.write(line)
    (run / "result.json").unlink()
    (listed,) = list_runs(tmp_path)
    json.loads(listed.model_dump_json())
    assert listed.state in ("stopped", "damaged")
