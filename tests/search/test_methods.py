"""What holds of every search method, those of strangers too: see gan_nas/search/method.py.

Killed and resumed searches stand in tests/runs/test_resume.py, inherited weights in
test_inheritance.py; what is special to a paper in a file of its own.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import extras
import pytest
import tiny
import torch
from PIL import Image
from torch import Tensor

from gan_nas.cli import run
from gan_nas.configs import resolve
from gan_nas.errors import Incompatible, Interrupted, InvalidInput, RunFailed
from gan_nas.metrics.loading import load_backbone
from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.cost import generator_cost, num_parameters
from gan_nas.networks.states import load_groups, read_groups
from gan_nas.runs.events import LogLine
from gan_nas.runs.ledger import Ledger
from gan_nas.runs.loop import read_state
from gan_nas.runs.results import SearchResult
from gan_nas.runs.run import Run
from gan_nas.runs.stored import ABOUT, read_outcome, read_result, stored_config
from gan_nas.search import OWN, STRATEGIES, drive, load_method
from gan_nas.search.inheritance import read_supernets
from gan_nas.search.method import ImageShape, Method, Search, Task
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import published_genome
from gan_nas.training import forecast

Searches = Callable[[str], tiny.Searched]


def short(method: str) -> dict[str, int]:
    """Return fewer iterations, where a search needs no more to pass through all of its phases."""
    if method in STRATEGIES:
        return {"trials": 2}
    return {} if method == "autogan" else {"iterations": 2}


# What a search leaves.


def test_a_search_ends_with_distinct_valid_genomes_of_its_space_best_first(
    method: Method[Any, Any], searched: tiny.Searched
) -> None:
    directory, result = searched
    rows, columns = result.genomes, [column.name for column in method.columns]
    assert len({row.id for row in rows}) == len(rows) == tiny.SETTINGS[method.name]["top_k"]
    assert tiny.ranking(method, rows) == sorted(tiny.ranking(method, rows), reverse=True)
    for row, genome in zip(rows, searched.genomes, strict=True):
        assert list(row.values) == columns
        assert all(map(isfinite, row.values.values()))
        assert genome.genome_id == row.id
        assert genome.generator.space == method.spaces[0]
        assert genome.generator.width == genome.discriminator.width == 4
        assert genome.source is not None
        assert genome.source.where == f"{method.title} search on digits, seed 0"
        assert row.words == genome.generator.words
        assert (row.parameters, row.macs) == generator_cost(genome.generator, 16, 1)[:2]
        assert row.parameters == num_parameters(build_generator(genome.generator, 16, 1))
        assert build_discriminator(genome.discriminator, 16, 1)
    assert {path.stem for path in directory.glob("genomes/*.json")} == {row.id for row in rows}
    assert (result.method, Path(result.run).name, result.resolution) == (*(method.name,) * 2, 16)
    portable = result.portable(Path(result.run))
    assert json.loads((directory / "result.json").read_text()) == portable.model_dump(mode="json")
    assert read_result(directory, SearchResult) == searched.moved


def test_the_log_tells_of_every_step_and_the_time_and_pictures_are_pictures(
    method: Method[Any, Any], searched: tiny.Searched
) -> None:
    lines = (searched.directory / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == searched.log
    for row in searched.log:
        LogLine.model_validate(row)
    seconds = [row["seconds"] for row in searched.log]
    assert seconds[0] > 0
    assert seconds == sorted(seconds)
    assert seconds[-1] <= searched.result.seconds
    for event in {row["event"] for row in searched.log}:
        steps = [(row["step"], row["images"]) for row in searched.log if row["event"] == event]
        assert steps == sorted(steps)
    for path in searched.directory.rglob("*.png"):
        with Image.open(path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    drawn = {path.name for path in searched.directory.glob("*.*g")}
    assert {"best.png", "best.svg"} <= drawn
    assert drawn & {"curves.png", "trials.png"}
    best = (searched.directory / "best.svg").read_text()
    assert f"generator of {searched.result.genomes[0].id}" in best
    assert isinstance(method.explain(searched.result), str)


def test_the_history_holds_the_best_genome_of_each_moment(
    method: Method[Any, Any], searched: tiny.Searched
) -> None:
    every = tiny.SETTINGS[method.name].get("derive_every")
    paths = sorted(searched.directory.glob("history/*.json"))
    assert [path.name for path in paths] == (
        ["0000002.json", "0000004.json", "0000006.json"] if every else []
    )
    if every:
        assert read_genome(paths[-1]).genome_id == searched.result.genomes[0].id
        rows = [row for row in searched.log if row.get("event") == "architecture"]
        assert [row["step"] for row in rows] == [2, 4, 6]


def test_the_default_device_does_not_matter(
    method: Method[Any, Any], searched: tiny.Searched, tmp_path: Path
) -> None:
    """A tensor made without its device would land on meta and break here, as it would on a GPU."""
    task, backbone = tiny.search_task(method.name), tiny.backbone()
    with torch.device("meta"):
        result = drive.search(method, replace(task, backbone=backbone), tmp_path / "run")
        (best,) = tiny.derive(tmp_path / "run", 1)
    assert tiny.timeless(result.model_dump()) == tiny.timeless(searched.result.model_dump())
    assert best.parameters > 0


def test_another_seed_finds_other_genomes_and_the_classifier_scores_where_nothing_else_is_named(
    method: Method[Any, Any], searched: tiny.Searched, tmp_path: Path
) -> None:
    task = tiny.search_task(method.name, seed=1, top_k=1, **short(method.name))
    task = replace(task, backbone=None)
    (other,) = drive.search(method.name, task, tmp_path / "run").genomes
    assert other.id not in {row.id for row in searched.result.genomes}
    stored = stored_config(tmp_path / "run")
    classifier = load_backbone("classifier", tiny.digits(), None, tiny.CPU).fingerprint
    needed = "search" in method.scores
    assert stored.get("backbone") == (classifier if needed else None)


def test_a_search_and_derive_keep_the_classifier_that_was_trained_for_them(
    method: Method[Any, Any], tmp_path: Path
) -> None:
    images, phases = tiny.few_images(), set()
    task = tiny.search_task(method.name, top_k=1, **short(method.name))
    counts = {name: 20 for name in ("num_scored", "num_images") if hasattr(task.config, name)}
    config = task.config.model_copy(update=counts)
    task = replace(task, config=config, images=images, backbone=None, cache=None)

    def hear(phase: str, *_: object) -> None:
        phases.add(phase)

    begun = replace(task, stop=(tmp_path / "config.json").exists)
    with pytest.raises(Interrupted):
        drive.search(method, begun, tmp_path, progress=hear)
    assert ("classifier images" in phases) == ("search" in method.scores)
    phases.clear()
    drive.search(method, task, tmp_path, progress=hear)
    drive.derive(tmp_path, count=2, images=images, progress=hear)
    assert "classifier images" not in phases


def test_the_plan_counts_what_a_search_does(
    method: Method[Any, Any], searched: tiny.Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "BUDGET", 0.05)  # seconds that are timed
    task = tiny.search_task(method.name)
    plan = drive.plan(method, task)
    assert plan.config == task.config.model_dump(mode="json")
    assert plan.memory_bytes > 0
    if method.name not in OWN:
        return  # a stranger's foretells nothing
    if method.name in STRATEGIES:
        assert plan.images == searched.result.facts["images"]
    else:
        assert plan.steps == max(row.get("step", 0) for row in searched.log)
        assert plan.images == plan.steps * task.config.batch_size
    assert 0 < plan.predicted_seconds < 60
    assert all(size for size in plan.sizes.values())


# Going on.


class Snapshot(NamedTuple):
    """All that a checkpoint keeps, as JSON and copies of tensors."""

    step: int
    state: dict[str, Any]
    ledger: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


def snapshot(work: Any) -> Snapshot:
    ledger = work.task.ledger
    timeless = ledger.state() | {"seconds": 0.0, "processor_seconds": 0.0}
    plain = tiny.timeless(work.state.model_dump(mode="json")), timeless
    groups = read_groups(work.saved()) | {"losses": ledger.tensors()}
    tensors = {name: {k: t.clone() for k, t in group.items()} for name, group in groups.items()}
    return Snapshot(work.step, *json.loads(json.dumps(plain)), tensors)


def taken_up(method: Method[Any, Any], task: Task[Any], kept: Snapshot) -> Search[Any]:
    """Return a search as it was at a snapshot."""
    task, state = replace(task, ledger=Ledger()), read_state(method.State, kept.state)
    work = method.start(task, state)
    task.ledger.load(kept.ledger, kept.tensors["losses"])
    load_groups(work.saved(), kept.tensors)
    return work


def same(one: Snapshot, other: Snapshot) -> bool:
    flat = [
        {(g, name): tensor for g, group in kept.tensors.items() for name, tensor in group.items()}
        for kept in (one, other)
    ]
    return (
        one[:3] == other[:3]
        and flat[0].keys() == flat[1].keys()
        and all(torch.equal(tensor, flat[1][key]) for key, tensor in flat[0].items())
    )


def test_whatever_a_search_remembers_survives_a_stop_and_a_step_broken_off_is_done_again(
    method: Method[Any, Any],
) -> None:
    """Every attribute of its record takes several values on the way, and all come back."""
    resets = {"reset_threshold": 1e9, "candidates_from": "reset", "iterations": 3}
    task = tiny.search_task(method.name, **(resets if method.name == "autogan" else {}))
    work, values, way = method.start(replace(task, ledger=Ledger())), [], []
    while not work.finished:
        values.append(json.loads(work.state.model_dump_json()))
        way.append(snapshot(work))
        work.advance()
        assert work.step >= way[-1].step
    values.append(json.loads(work.state.model_dump_json()))
    fields = set(method.State.model_fields)
    if getattr(task.config, "evaluator", None) == "train":
        fields.remove("shared")
    for name in fields:
        assert any(value[name] != values[0][name] for value in values), name
    for place in {len(way) - 1, *range(0, len(way), 5)}:
        assert same(snapshot(taken_up(method, task, way[place])), way[place]), place

    looks = 0

    def stop() -> bool:
        """Say yes once within each unit: when it looks for the first or the second time."""
        nonlocal looks
        looks += 1
        return looks == 1 + again.step % 2

    task = replace(task, stop=stop)
    for in_another_process in (False, True):
        again, interrupted = taken_up(method, task, way[len(way) // 2]), 0
        while not again.finished:
            looks = 0
            try:
                again.advance()
            except Interrupted:
                interrupted += 1
                if in_another_process:
                    again = taken_up(method, task, snapshot(again))
                again.advance()
        assert same(snapshot(again), snapshot(work))
        assert (interrupted > 0) == ("search" in method.scores)


class Watched(NamedTuple):
    """A method, and the searches that it has started: to be looked at, and harmed."""

    method: Method[Any, Any]
    works: list[Any]


def watched(name: str) -> Watched:
    method, works = load_method(name), []

    class Watching(type(method)):  # type: ignore[misc]
        def start(self, task: Task[Any], state: Any = None) -> Search[Any]:
            works.append(method.start(task, state))
            return works[-1]

    return Watched(Watching(), works)


@pytest.mark.parametrize(  # AutoGAN starts its GAN anew
    ("name", "when"),
    [
        ("adversarialnas", "before a step"),
        ("degas", "before a checkpoint"),
        ("evolution", "before a step"),
    ],
)
def test_a_search_that_diverged_fails_and_keeps_the_state_from_before(
    name: str, when: str, tmp_path: Path
) -> None:
    method, works = watched(name)
    harm = True

    def stop() -> bool:
        """Spoil a weight as a step would whose loss was finite; and ask for a checkpoint or not."""
        if not (harm and works and works[0].step == 3):
            return False
        next(works[0].trained().generator.parameters()).data.fill_(float("nan"))
        return when == "before a checkpoint"

    # Neither lines of the log nor pictures are where it is noticed.
    rare = {"log_every": 100, "derive_every": 100, "iterations": 4}
    task = tiny.search_task(name, stop, **({} if name in STRATEGIES else rare))
    with pytest.raises(
        RunFailed,
        match=r"diverged before step [34]: .* is not finite|NaN or infinity: it has diverged",
    ):
        drive.search(method, task, tmp_path)
    assert read_outcome(tmp_path).outcome == "diverged"
    with Run.open(tmp_path, stored_config(tmp_path)) as run:
        newest = run.latest()
    assert newest is not None
    assert newest.step == 2
    assert all(t.isfinite().all() for group in newest.tensors.values() for t in group.values())
    assert not (tmp_path / "result.json").exists()
    harm = False
    with pytest.raises(RunFailed, match="of an earlier run"):
        drive.search(method, task, tmp_path)
    assert drive.search(method, task, tmp_path, again=True).genomes


# Settings.


def test_every_method_has_the_presets_of_its_demo_and_its_paper_and_all_resolve(
    method: Method[Any, Any],
) -> None:
    assert {"demo", "paper"} <= method.presets.keys() or method.name not in OWN
    for preset, values in method.presets.items():
        config = resolve(method.Config, dict(values))
        if method.seen_seed(config) is not None:  # judged by trainings, as what is derived will be
            assert config.derived_discriminator_width == config.discriminator_width, preset
        task = method.task(tiny.digits(), preset)
        assert task.config == config
        side = config.resolution or 32
        if preset.startswith("eagan-discriminators"):
            with pytest.raises(InvalidInput, match="name one whose discriminators are, by --gen"):
                method.check(replace(task, images=ImageShape("colour", side, 3)))
            generator = published_genome("eagan-cifar10").generator
            task = replace(task, config=config.model_copy(update={"generator": generator}))
        method.check(replace(task, images=ImageShape("colour", side, 3)))
    with pytest.raises(InvalidInput, match="did you mean demo"):
        method.task(tiny.digits(), "dem")


def test_every_setting_is_described_and_listed_by_help_config(
    method: Method[Any, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for preset in method.presets:
        command = ["search", "--method", method.name, "--preset", preset, "--help-config", "--json"]
        assert run(command) == 0
        listed = json.loads(capsys.readouterr().out)["settings"]
        assert [row["name"] for row in listed] == list(method.Config.model_fields)
    assert run(["search", "--method", method.name, "--help-config"]) == 0
    words = capsys.readouterr().out.split()
    for name, field in method.Config.model_fields.items():
        assert len(field.description or "") > 10, name
        assert name in words


def test_every_setting_that_changed_is_refused_by_name(
    method: Method[Any, Any], searched: tiny.Searched
) -> None:
    path = searched.directory / "config.json"
    stored = json.loads(path.read_text())
    again = partial(tiny.run_search, method.name, searched.directory)
    assert again() == searched.moved
    known = {"config", "run_id", "versions", "data", "data_summary", *ABOUT}
    changed = {name: "another" for name in stored if name not in known}
    settings = dict.fromkeys(stored["config"], "another")
    assert settings.keys() == method.Config.model_fields.keys()
    path.write_text(json.dumps(stored | changed | {"config": settings}))
    with pytest.raises(Incompatible) as refused:
        again()
    named = re.findall(r'([\w.]+): "another" -> ', str(refused.value))
    assert sorted(named) == sorted([*changed, *(f"config.{name}" for name in settings)])


@pytest.mark.parametrize("name", extras.methods(OWN))
def test_an_impossible_resolution_leaves_no_directory_behind(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="multiple of"):
        tiny.run_search(name, tmp_path / "run", resolution=20)
    assert not (tmp_path / "run").exists()


def test_a_method_that_trains_no_network_bequeaths_none(searches: Searches, plugin: Path) -> None:
    with pytest.raises(InvalidInput, match="hill-climbing, which trains no network"):
        read_supernets(searches("hill-climbing").directory)


@pytest.mark.parametrize(
    "method", [pytest.param("adversarialnas", marks=pytest.mark.slow), "degas"]
)
def test_weights_can_be_trained_before_the_architecture_first_moves(
    method: str, tmp_path: Path
) -> None:
    changes = {"architecture_start": 0.5, "derive_every": 1, "log_every": 1, "score_every": 6}
    fields = load_method(method).Config.model_fields
    known = {name: value for name, value in changes.items() if name in fields}
    tiny.run_search(method, tmp_path / "run", **known)
    rows = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    entropies = [row["entropies"] for row in rows if row.get("event") == "architecture"]
    assert len(entropies) == 6
    assert entropies[0] == entropies[1] == entropies[2]  # after three of six iterations
    assert entropies[2] != entropies[3] != entropies[4]
    moved = [row["step"] for row in rows if "alpha_loss" in row]
    assert min(moved) > 3
    trained = {row["step"] for row in rows if {"weight_loss", "d_loss"} & row.keys()}
    assert {1, 2, 3} <= trained
    looks = iter([False] * 3 + [True])  # amid the weights' own training
    with pytest.raises(Interrupted):
        tiny.run_search(method, tmp_path / "again", lambda: next(looks), **known)
    tiny.run_search(method, tmp_path / "again", **known)
    assert tiny.traces(tmp_path / "again") == tiny.traces(tmp_path / "run")
