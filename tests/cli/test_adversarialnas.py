"""AdversarialNAS from search to comparison, as typed."""

from pathlib import Path

import numpy as np
import pytest
from commands import Command, sets
from tiny import ADVERSARIAL, TRAINING

from gan_nas.cli import run
from gan_nas.spaces.published import load_genome

SETTINGS = ADVERSARIAL | {"iterations": 2, "derived_discriminator": "searched"}


@pytest.fixture(scope="module")
def options(folder: Path) -> list[str]:
    return ["--method", "adversarialnas", "--data", str(folder), *sets(SETTINGS)]


@pytest.fixture(scope="module")
def searched(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "search"
    assert run(["search", *options, "--run", str(directory)]) == 0
    return directory


def test_search_prints_log_probabilities_and_what_they_rest_on(
    gan_nas: Command, searched: Path, options: list[str]
) -> None:
    again = gan_nas("search", *options, "--run", searched)  # finished: prints it
    assert again.code == 0
    assert "log-probability" in again.out
    assert "supernet" in again.out
    assert "Nothing was trained alone yet" in " ".join(again.err.split())
    assert f"gan-nas derive {searched} --retrain" in again.err
    assert (searched / "edges.png").exists()


def test_derive_keeps_a_limit_and_the_order(gan_nas: Command, searched: Path) -> None:
    free = gan_nas("derive", searched, "--top-k", 4, "--json").json["genomes"]
    ranks = [row["values"]["log_probability"] for row in free]
    assert ranks == sorted(ranks, reverse=True)
    most = min(row["parameters"] for row in free)
    limited = gan_nas("derive", searched, "--top-k", 2, "--max-params", most, "--json").json
    assert len(limited["genomes"]) == 2
    assert all(row["parameters"] <= most for row in limited["genomes"])
    refused = gan_nas("derive", searched, "--max-params", "100")
    assert refused.code == 2
    assert "the smallest have" in refused.err


def test_found_genomes_are_compared_edge_by_edge_and_trained(
    gan_nas: Command, searched: Path, folder: Path, tmp_path: Path
) -> None:
    first, second = (
        row["file"] for row in gan_nas("derive", searched, "--top-k", 2, "--json").json["genomes"]
    )
    assert load_genome(first).discriminator.space == "adversarialnas"
    compared = gan_nas("compare", first, second, "--resolution", 16)
    assert compared.code == 1
    assert "~ changed" in compared.out
    training = sets(TRAINING | {"steps": 1})
    options = ("--data", folder, "--run", tmp_path / "run", *training)
    result = gan_nas("retrain", first, *options, "--json").json
    assert result["steps"] == 1
    assert gan_nas("sample", result["files"]["last"], "-o", tmp_path / "s.png").code == 0


def test_presets_are_those_of_the_genomes_space(gan_nas: Command, tmp_path: Path) -> None:
    def planned(name: str, preset: str) -> dict[str, object]:
        options = ("--preset", preset, "--width", 4, "--resolution", 16, "--dry-run", "--json")
        config: dict[str, object] = gan_nas("retrain", name, *options).json["config"]
        return config

    paper, published, repo = (
        planned("adversarialnas-cifar10", preset) for preset in ("paper", "published", "repo")
    )
    assert (paper["generator_batch_size"], paper["batch_size"]) == (40, 20)
    assert (published["generator_batch_size"], published["batch_size"]) == (80, 40)
    assert published == repo
    assert planned("autogan-cifar10-top1", "paper")["batch_size"] == 64
    assert planned("autogan-cifar10-top1", "published")["passes"] == "apart"
    assert planned("ctgan-cifar10", "published")["num_scored"] == 50_000
    assert gan_nas("retrain", "autogan-cifar10-top1", "--preset", "paper-stl10").code == 2
    assert not list(tmp_path.iterdir())


def test_bench_times_the_search_of_a_genomes_space(gan_nas: Command) -> None:
    options = ("--resolution", 16, "--repeats", 1, "--width", 4, "--json")
    measured = gan_nas("bench", "adversarialnas-cifar10", *options).json
    assert measured["method"] == "adversarialnas"
    assert measured["rows"][0]["what"] == "search at 16 px"
    named = gan_nas("bench", "--method", "adversarialnas", *options).json
    assert named["rows"][1]["what"] == measured["rows"][1]["what"]


def test_a_published_matrix_is_taken_for_a_genome(gan_nas: Command, tmp_path: Path) -> None:
    matrix = [[1, 1, 1, 0, 3, 3, 1], [1, 1, 0, 1, 3, 3, 3], [0, 1, 0, 3, 3, 0, 3]]
    np.save(tmp_path / "latest_G.npy", np.array(matrix, np.uint8))
    answer = gan_nas("compare", tmp_path / "latest_G.npy", "adversarialnas-cifar10", "--width", 4)
    assert answer.code == 0
    assert "The same architecture" in answer.out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latent_dim": 100}, "cannot be split in 3 equal parts"),
        ({"discriminator": "super"}, "derived_discriminator=searched needs"),
        ({"hard": True, "mixture": "softmax"}, "needs mixture=gumbel"),
        ({"resolution": 24}, "multiple of 16"),
    ],
)
def test_what_cannot_be_searched_is_one_sentence(
    gan_nas: Command, folder: Path, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    options = ["--method", "adversarialnas", "--data", folder, "--run", tmp_path / "run"]
    answer = gan_nas("search", *options, *sets(SETTINGS | changes))
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
