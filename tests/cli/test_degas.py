"""DEGAS from search to a trained generator, as typed."""

import json
import re
from pathlib import Path

import pytest
from commands import Command, sets
from tiny import DEGAS, TRAINING

from gan_nas.cli import run
from gan_nas.configs import resolve
from gan_nas.errors import InvalidInput
from gan_nas.runs.results import SearchResult
from gan_nas.search.degas.config import PRESETS, Config
from gan_nas.spaces.published import load_genome

SETTINGS = DEGAS | {"iterations": 2}
RECONSTRUCTION = {"resolution": 16, "iterations": 3, "batch_size": 8, "derive_every": 2}


@pytest.fixture(scope="module")
def options(folder: Path) -> list[str]:
    return ["--method", "degas", "--data", str(folder), *sets(SETTINGS)]


@pytest.fixture(scope="module")
def searched(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "search"
    assert run(["search", *options, "--run", str(directory)]) == 0
    return directory


def test_search_prints_log_odds_and_what_they_rest_on(
    gan_nas: Command, searched: Path, options: list[str]
) -> None:
    again = gan_nas("search", *options, "--run", searched)  # finished: prints it
    assert again.code == 0
    assert "log-odds, loss" in again.out
    assert "stages" in again.out
    assert "all operations mixed" in again.out
    words = " ".join(again.err.split())
    assert "Nothing was trained alone yet" in words
    assert "Mean entropy of an edge, in nats: alpha" in words
    assert f"gan-nas derive {searched} --retrain" in again.err
    for name in ("edges.png", "curves.png", "samples/0000002.png"):
        assert (searched / name).exists()


def test_search_reports_json(gan_nas: Command, searched: Path, options: list[str]) -> None:
    result = gan_nas("search", *options, "--run", searched, "--json").json
    assert set(result) == set(SearchResult.model_fields)
    assert result["method"] == "degas"
    assert (set(result["facts"]), set(result["supernet"])) == ({"entropy", "histogram"}, {"loss"})
    assert (result["real"], result["compared"], result["passport"]) == ({}, None, None)
    assert len(result["genomes"]) == 2
    assert json.loads((searched / "result.json").read_text()) == result


def test_a_dry_run_says_what_would_be_done(
    gan_nas: Command, options: list[str], tmp_path: Path
) -> None:
    answer = gan_nas("search", *options, "--run", tmp_path / "run", "--dry-run")
    assert answer.code == 0
    assert "1,166,400" in answer.out
    plan = gan_nas("search", *options, "--run", tmp_path / "run", "--dry-run", "--json").json
    assert (plan["steps"], plan["images"]) == (2, 16)
    assert plan["predicted_seconds"] > 0
    assert plan["config"]["alpha_data"] == "resample"
    assert not (tmp_path / "run").exists()


def test_help_config_lists_every_preset(gan_nas: Command) -> None:
    for preset, iterations in (("demo", 1_500), ("paper-cifar10", 39_050), ("paper-stl10", 82_000)):
        command = ("search", "--method", "degas", "--preset", preset, "--help-config", "--json")
        rows = gan_nas(*command).json["settings"]
        (row,) = [row for row in rows if row["name"] == "iterations"]
        assert row["preset"] == iterations
    assert "latent_start" in gan_nas("search", "--method", "degas", "--help-config").out
    assert "latent_start" in gan_nas("reconstruct", "--help-config").out


def test_derive_keeps_a_limit_the_order_and_known_losses(gan_nas: Command, searched: Path) -> None:
    free = gan_nas("derive", searched, "--top-k", 4, "--json").json["genomes"]
    ranks = [row["values"]["log_odds"] for row in free]
    assert ranks == sorted(ranks, reverse=True)
    assert [("loss" in row["values"]) for row in free] == [True, True, False, False]
    assert "log-odds" in gan_nas("derive", searched, "--top-k", 3).out
    most = min(row["parameters"] for row in free)
    limited = gan_nas("derive", searched, "--top-k", 2, "--max-params", most, "--json").json
    assert all(row["parameters"] <= most for row in limited["genomes"])
    refused = gan_nas("derive", searched, "--max-params", "100")
    assert refused.code == 2
    assert "the smallest have" in refused.err


def test_derive_knows_the_presets_of_what_the_search_found(
    gan_nas: Command, searched: Path
) -> None:
    """CT-GAN's, before a genome is at hand."""
    settings = gan_nas("derive", searched, "--preset", "published", "--help-config", "--json").json
    values = {row["name"]: row["preset"] for row in settings["settings"]}
    assert (values["framework"], values["num_scored"]) == ("ctgan", 50_000)
    options = ("--top-k", 1, "--preset", "published", "--json")
    assert gan_nas("derive", searched, *options).code == 0


def test_derived_genomes_are_retrained_and_one_wins(
    gan_nas: Command, searched: Path, folder: Path
) -> None:
    training = sets(TRAINING | {"steps": 1})
    result = gan_nas("derive", searched, "--top-k", 2, "--retrain", *training, "--json").json
    retraining = result["retraining"]
    assert [trial["outcome"] for trial in retraining["trials"]] == ["completed"] * 2
    assert retraining["winner"] in {row["id"] for row in result["genomes"]}


def test_found_genomes_are_compared_built_and_reconstructed(
    gan_nas: Command, searched: Path, folder: Path, tmp_path: Path
) -> None:
    first, second = (
        row["file"] for row in gan_nas("derive", searched, "--top-k", 2, "--json").json["genomes"]
    )
    assert load_genome(first).generator.space == "degas"
    assert load_genome(first).discriminator.space == "ctgan"
    assert gan_nas("compare", first, second, "--resolution", 16).code == 1
    assert gan_nas("build", first, "--resolution", 16).code == 0
    options = ("--data", folder, "--run", tmp_path / "run", *sets(RECONSTRUCTION))
    result = gan_nas("reconstruct", first, *options, "--json").json
    assert result["genome_id"] == load_genome(first).genome_id


def test_reconstruct_tells_the_loss_and_does_it_once(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    options = ("--width", 4, "--data", folder, "--run", tmp_path / "run", *sets(RECONSTRUCTION))
    first = gan_nas("reconstruct", "ctgan-cifar10", *options)
    assert first.code == 0
    assert first.out.startswith("loss: ")
    assert f"run:  {tmp_path / 'run'}" in first.out.replace("\n", " ")
    assert "3 iterations" in first.err
    assert re.search(r"^reconstruction  \d/3 iterations", first.err, re.MULTILINE)
    assert "search" not in first.err.lower()
    log = (tmp_path / "run" / "log.jsonl").read_bytes()
    result = gan_nas("reconstruct", "ctgan-cifar10", *options, "--json").json
    assert set(result) == {"method", "genome_id", "name", "loss", "iterations", "seconds"}
    assert f"loss: {result['loss']:.4f}" in first.out
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == log
    other = gan_nas("reconstruct", "ctgan-cifar10", *options, "--seed", 3)
    assert other.code == 4
    assert "config.seed: 0 -> 3" in " ".join(other.err.split())


def test_reconstruct_takes_twice_the_side_of_digits_by_default(
    gan_nas: Command, tmp_path: Path
) -> None:
    options = ("--preset", "paper", "--width", 2, "--run", tmp_path / "run")
    few = sets({"iterations": 1, "num_images": 20, "num_scored": 8})
    assert gan_nas("reconstruct", "ctgan-cifar10", *options, *few).code == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["image_side"] == 16


def test_bench_names_the_steps_of_the_search_for_what_they_are(gan_nas: Command) -> None:
    options = ("--method", "degas", "--resolution", 16, "--repeats", 1, "--width", 4)
    measured = gan_nas("bench", *options, "--json").json
    search, training = measured["rows"]
    assert measured["method"] == "degas"
    assert search["what"] == "search at 16 px"
    assert list(search)[1:4] == ["alpha_ms", "weights_ms", "amortised_ms"]
    assert search["amortised_ms"] == pytest.approx(search["alpha_ms"] + search["weights_ms"])
    assert "discriminator_ms" in training
    told = gan_nas("bench", *options)
    assert told.code == 0
    words = " ".join(told.out.split())
    assert "alpha" in words
    assert "a step on alpha, and one on weights and latents" in words


def test_bench_times_the_papers_preset_for_larger_images(
    gan_nas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def report(method: str, search: object, genome: object, training: object, **_: object) -> None:
        asked.update(method=method, search=search, training=training)
        raise InvalidInput("seen enough")

    monkeypatch.setattr("gan_nas.bench.steps.report", report)
    answer = gan_nas("bench", "--method", "degas", "--preset", "paper-stl10")
    assert answer.code == 2
    assert "seen enough" in answer.err
    assert asked["search"] == resolve(Config, PRESETS["paper-stl10"])
    assert gan_nas("bench", "--method", "degas", "--preset", "paper-stl").code == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch_size": 1}, "must be at least 2"),
        ({"latent_space": "cube"}, "latent_space"),
        ({"resolution": 20}, "multiple of 8"),
        ({"max_params": 10}, "the smallest have"),
        ({"num_latents": 10}, "unknown setting num_latents"),
    ],
    ids=str,
)
def test_what_cannot_be_searched_is_one_sentence(
    gan_nas: Command, folder: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    options = ["--method", "degas", "--data", folder, "--run", tmp_path / "run"]
    answer = gan_nas("search", *options, *sets(SETTINGS | changes))
    assert answer.code == 2
    assert said in " ".join(answer.err.split())
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_reconstructed_is_one_sentence(
    gan_nas: Command, folder: Path, tmp_path: Path
) -> None:
    for arguments, said in (
        ((), "needs a GENOME"),
        (("nobody",), "nobody"),
        (("ctgan-cifar10", "--preset", "dmeo"), "did you mean demo"),
        (("ctgan-cifar10", "--data", str(folder), *sets({"resolution": 20})), "multiple of 8"),
    ):
        answer = gan_nas("reconstruct", *arguments, "--run", str(tmp_path / "run"))
        assert answer.code in (2, 3)
        assert said in " ".join(answer.err.split())
        assert "Traceback" not in answer.err
    assert not (tmp_path / "run").exists()
