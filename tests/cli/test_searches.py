"""What the searches of all methods have in common, as typed: from a plan to trained genomes."""

import json
from pathlib import Path
from shutil import copytree
from typing import get_args

import pytest
from commands import Command, Searched, sets
from pydantic_core import to_jsonable_python
from tiny import TRAINING

from gan_nas.cli.ranking import _legend
from gan_nas.runs.results import Found, SearchResult
from gan_nas.runs.stored import read_result
from gan_nas.search import load_method, method_names
from gan_nas.spaces.genome import Role
from gan_nas.spaces.published import load_genome, published_genome
from gan_nas.spaces.registry import load_space

# What each says of its ranking, beside the values.
SAID = {
    "autogan": (
        *("reward, scores", "±", "cells", "another search seed moves a reward far more"),
        # 60 images, of which 6 are held out: as many of the best genome's stand beside them.
        *("6 images only", "held out: 6"),
    ),
    "adversarialnas": ("log-probability", "cells", "supernet", "Nothing was trained alone yet"),
    "degas": (
        *("log-odds, loss", "stages", "all operations mixed", "Nothing was trained alone yet"),
        "Mean entropy of an edge, in nats: alpha",
    ),
}


def test_a_search_prints_its_ranking_and_what_to_type_next(
    gan_nas: Command, searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    method, options, run = searched
    result = gan_nas("search", *options, "--run", run, "--json").json  # finished: prints it
    assert set(result) == set(SearchResult.model_fields)
    written = SearchResult.model_validate_json((run / "result.json").read_text())
    assert result == written.placed(run).model_dump(mode="json")
    again = gan_nas("search", *options, "--run", run)
    assert again.code == 0
    made_in = str(Path(result["run"]).parent)  # `run` is a copy
    rows = [line for line in again.out.splitlines() if made_in not in line]
    assert max(map(len, rows)) <= 80
    assert "…" not in again.out
    for text in SAID[method]:
        assert text in " ".join((again.out + again.err).split())
    assert f"gan-nas derive {run} --retrain" in again.err
    (ranks, *_) = load_method(method).columns
    assert len(result["genomes"]) == 2
    for row in result["genomes"]:
        genome = load_genome(row["file"])
        assert (genome.genome_id, genome.generator.words) == (row["id"], row["words"])
        value = f"{row['values'][ranks.name]:{ranks.format}}"
        for said in (row["id"], value, *" ".join(row["words"]).split()):  # lines may be broken
            assert said in again.out
        assert genome.generator.legend in " ".join((again.out + again.err).split())


@pytest.mark.parametrize("role", get_args(Role))
def test_the_legend_is_of_the_networks_that_were_searched(tmp_path: Path, role: Role) -> None:
    genome = published_genome("eagan-stl10")
    genome.save(tmp_path / "x.json")
    words = genome.words_of(role)
    found = Found(id="x", file=str(tmp_path / "x.json"), words=words, parameters=1, macs=1)
    assert _legend(found) == getattr(genome, role).legend != ""


@pytest.mark.parametrize(
    "method",
    ["degas", *(pytest.param(m, marks=pytest.mark.slow) for m in ("autogan", "adversarialnas"))],
)
def test_a_dry_run_plans_a_search_and_makes_nothing(
    gan_nas: Command, finished_searches: dict[str, Searched], method: str, tmp_path: Path
) -> None:
    options = finished_searches[method].options
    options = [*options, "--run", str(tmp_path / "run"), "--max-params", "1.5M", "--dry-run"]
    plan = gan_nas("search", *options, "--json").json
    size = plan["sizes"].get("space") or plan["sizes"]["generators"]
    assert size == load_space(load_method(method).spaces[0]).count()
    assert plan["config"]["max_params"] == 1_500_000
    assert min(plan["steps"], plan["images"], plan["predicted_seconds"]) > 0
    if method == "degas":  # one table for all of them
        shown = gan_nas("search", *options).out
        assert "predicted time" in shown
        assert f"{size:,}" in shown
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", method_names())
def test_help_config_lists_every_setting_with_its_value_in_every_preset(
    gan_nas: Command, method: str
) -> None:
    chosen = load_method(method)
    for preset, values in chosen.presets.items():
        command = ("search", "--method", method, "--preset", preset, "--help-config")
        rows = gan_nas(*command, "--json").json["settings"]
        assert [row["name"] for row in rows] == list(chosen.Config.model_fields)
        assert {row["name"]: row["preset"] for row in rows}.items() >= _json(values).items()
    shown = gan_nas(*command).out
    assert all(name in shown for name in chosen.Config.model_fields)


def _json(values: object) -> dict[str, object]:
    """Return settings as help tells them: lists are kept as words."""
    return dict(to_jsonable_python(values))


def test_derive_keeps_a_limit_and_the_order(gan_nas: Command, searched: Searched) -> None:
    derive = ("derive", searched.run, "--top-k")
    free = gan_nas(*derive, 4, "--json").json["genomes"]
    (ranks, *others) = load_method(searched.method).columns
    values = [row["values"][ranks.name] for row in free]
    assert values == sorted(values, reverse=True)
    # What the search has told of the same genomes is still known.
    for column in others:
        assert [column.name in row["values"] for row in free] == [True, True, False, False]
    most = min(row["parameters"] for row in free)
    limited = gan_nas(*derive, 2, "--max-params", most, "--json").json["genomes"]
    assert limited
    assert all(row["parameters"] <= most for row in limited)
    shown = gan_nas(*derive, 2).out
    assert ranks.words in shown
    refused = gan_nas("derive", searched.run, "--max-params", "100")
    assert refused.code == 2
    assert "the smallest" in refused.err


def test_found_genomes_are_compared_built_trained_and_drawn_from(
    gan_nas: Command, searched: Searched, tmp_path: Path
) -> None:
    first, second = (row.file for row in _result(searched.run).genomes)
    assert gan_nas("compare", first, second, "--resolution", 16).code == 1
    assert gan_nas("build", first, "--resolution", 16).code == 0
    training = sets(TRAINING | {"steps": 1})
    retrain = ("derive", searched.run, "--top-k", 1, "--retrain", *training)
    answer = gan_nas(*retrain, "--json")
    assert answer.code == 0, answer.err
    result = answer.json
    (trial,) = result["retraining"]["trials"]
    assert trial["outcome"] == "completed"
    assert result["retraining"]["winner"] == result["genomes"][0]["id"]
    last = trial["result"]["files"]["last"]
    assert gan_nas("sample", last, "-o", tmp_path / "grid.png").code == 0


def _result(run: Path) -> SearchResult:
    return read_result(run, SearchResult)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("--method autogn", 2, "did you mean autogan?"),
        ("--method autogan --max-macs many", 2, "'many' is not a number such as"),
        ("--method degas --max-params 9", 2, "the smallest have"),
        ("--method autogan --set itrations=3", 2, "did you mean iterations?"),
        ("--method degas --set num_latents=10", 2, "unknown setting num_latents"),
        ("--method degas --set resolution=20", 2, "multiple of 8"),
        ("--method adversarialnas --set resolution=24", 2, "multiple of 16"),
        ("--method adversarialnas --set latent_dim=100", 2, "cannot be split in 3 equal parts"),
        ("--method autogan --precision half", 2, "precision = 'half'"),
        ("--method autogan --device cuda:99", 3, "no device cuda:99"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(
    gan_nas: Command, folder: Path, tmp_path: Path, options: str, code: int, said: str
) -> None:
    run = tmp_path / "run"
    answer = gan_nas("search", "--data", folder, "--run", run, *options.split())
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not run.exists()


def test_derive_knows_the_presets_of_what_the_search_found(
    gan_nas: Command, finished_searches: dict[str, Searched], tmp_path: Path
) -> None:
    """CT-GAN's, before a genome is at hand."""
    run = copytree(finished_searches["degas"].run, tmp_path / "run")
    settings = gan_nas("derive", run, "--preset", "published", "--help-config", "--json").json
    values = {row["name"]: row["preset"] for row in settings["settings"]}
    assert (values["framework"], values["num_scored"]) == ("ctgan", 50_000)
    assert gan_nas("derive", run, "--top-k", 1, "--preset", "published").code == 0


def test_the_best_are_trained_and_not_ranked_where_they_were_scored_differently(
    gan_nas: Command, finished_search: Path
) -> None:
    options = (finished_search, "--top-k", 2, "--retrain", *sets(TRAINING | {"steps": 2}))
    derived = gan_nas("derive", *options, "--json").json
    retraining = derived["retraining"]
    assert retraining["scored_differently"] == {}
    assert {trial["id"] for trial in retraining["trials"]} == {
        load_genome(row["file"]).genome_id for row in derived["genomes"]
    }
    shown = gan_nas("derive", *options).out
    for text in ("6 images only", "6 held out", f"winner: {retraining['winner']}"):
        assert text in shown
    assert "\\n" not in shown  # what is shown as one line must be one
    trained = [trial["result"] for trial in retraining["trials"] if trial["outcome"] == "completed"]
    assert len(trained) == 2
    assert trained[0]["passport"] == trained[1]["passport"]
    path = Path(trained[1]["files"]["last"]).with_name("result.json")
    result = json.loads(path.read_text())
    result["passport"] |= {"resize": "TF1 bilinear", "seed": 9}
    path.write_text(json.dumps(result))
    refused = gan_nas("derive", *options)
    assert (refused.code, refused.out) == (4, "")
    assert "were scored differently (resize " in refused.err
    assert "TF1 bilinear" in refused.err
    assert "allow any passport (--any-passport)" in refused.err
    told = gan_nas("derive", *options, "--any-passport")
    assert told.code == 0
    assert "Scored differently, do not trust the order: resize" in told.out
    told = gan_nas("derive", *options, "--any-passport", "--json")
    assert told.json["retraining"]["scored_differently"].keys() == {"resize"}


def test_derive_needs_a_finished_search(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    assert gan_nas("derive").code == 2
    assert "is not a run directory" in gan_nas("derive", tmp_path).err
    assert "is a run of retrain, not of a search" in gan_nas("derive", trained.parent).err


def test_a_search_ends_with_what_was_measured_of_its_method(
    gan_nas: Command, searched: Searched
) -> None:
    again = gan_nas("search", *searched.options, "--run", searched.run)
    assert again.code == 0
    evidence = load_method(searched.method).evidence
    assert "random search" in evidence
    assert evidence in " ".join(again.err.split())
