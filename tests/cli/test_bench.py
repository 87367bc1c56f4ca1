from pathlib import Path
from typing import Any

import pytest
from commands import Command
from torch import Tensor

from gan_nas.search import load_method


def test_bench_times_every_level(gan_nas: Command) -> None:
    options = ("--resolution", 16, "--width", 4, "--repeats", 1)
    measured = gan_nas("bench", "sngan-cifar10", *options, "--json").json
    assert len(measured["rows"]) == 4
    assert all(row["discriminator_ms"] > 0 for row in measured["rows"])
    assert measured["samples_per_second"] > 0


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


@pytest.mark.slow
def test_bench_times_a_preset_that_only_the_search_has(gan_nas: Command) -> None:
    options = ("--preset", "paper-stl10", "--resolution", 8, "--repeats", 1, "--json")
    measured = gan_nas("bench", "--method", "degas", *options).json
    assert measured["rows"][0]["steps"] == load_method("degas").presets["paper-stl10"]["iterations"]


def test_bench_times_the_search_of_a_genomes_space(gan_nas: Command) -> None:
    options = ("--resolution", 16, "--repeats", 1, "--width", 4, "--json")
    measured = gan_nas("bench", "adversarialnas-cifar10", *options).json
    assert measured["method"] == "adversarialnas"
    assert measured["rows"][0]["what"] == "search at 16 px"


def test_bench_times_a_framework(gan_nas: Command) -> None:
    options = ("--width", 4, "--resolution", 16, "--channels", 1, "--repeats", 1, "--json")
    measured = gan_nas("bench", "sngan-cifar10", *options, "--framework", "r3gan").json
    assert measured["rows"][-1]["what"].startswith("retrain")
    assert measured["rows"][-1]["steps"] == 750
    assert gan_nas("bench", "--framework", "r4gan").code == 2


@pytest.mark.slow
def test_bench_trains_a_genome_at_the_presets_own_widths(gan_nas: Command) -> None:
    options = ("--preset", "paper", "--resolution", 8, "--repeats", 1)
    measured = gan_nas("bench", "autogan-cifar10-top1", *options, "--json").json
    # The paper's widths are the published genome's, 256 and 128, so that it keeps its name.
    assert measured["rows"][-1]["what"] == "retrain autogan-cifar10-top1"


def test_bench_score_times_features_and_distances(gan_nas: Command, tmp_path: Path) -> None:
    options = ("--dim", 16, "--images", 1, "--side", 8, "--repeats", 1)
    answer = gan_nas("bench", "score", *options, "--precision", "float32", "--json")
    assert answer.code == 0
    (timing,) = answer.json["inception"]
    assert (timing["weights"], timing["images"], timing["side"]) == ("random", 1, 8)
    assert timing["features_error"] < 1e-4 > timing["logits_error"]
    assert timing["ratio"] > 0
    rows = answer.json["frechet"]["rows"]
    assert [row["what"] for row in rows][2:4] == ["torch-fidelity", "scipy.linalg.sqrtm"]
    assert [row["pair"] for row in rows][::4] == ["condition", "relu", "few"]
    assert [row["ratio"] for row in rows][::4] == [1, 1, 1]
    assert all(row["relative_error"] < 1e-6 for row in rows)
    absent = gan_nas("bench", "score", "--weights", tmp_path / "absent.pth")
    assert (absent.code, absent.out) == (3, "")
    unknown = gan_nas("bench", "score", "--pairs", "condition,rleu")
    assert (unknown.code, unknown.out) == (2, "")
    assert "unknown covariances 'rleu', did you mean relu" in unknown.err
    unknown = gan_nas("bench", "score", "--precision", "half")
    assert (unknown.code, unknown.out) == (2, "")
    assert "see gan-nas bench score --help" in gan_nas("bench", "score", "--dmi", 3).err


def test_bench_score_prints_what_it_was_measured_with(
    gan_nas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gan_nas.metrics import inception_timing

    def timed(images: Tensor, precision: str, **options: Any) -> dict[str, Any]:
        assert images.shape == (4, 3, 32, 32)
        assert options["state"] is None
        timing = {"precision": precision, "weights": "random", "device": "cpu", "threads": 1}
        timing |= {"seconds": 0.1, "torch_fidelity_seconds": 0.2, "ratio": 2.0}
        return timing | {"features_error": 1e-5, "logits_error": 2e-5}

    monkeypatch.setattr(inception_timing, "time_inception", timed)
    answer = gan_nas("bench", "score", "--dim", 16, "--images", 4, "--repeats", 1)
    assert answer.code == 0
    for text in ("Inception, float32", "Inception, bf16", "2.00 x", "2.0e-05", "filled with noise"):
        assert text in answer.out
    for kind in ("of condition 1e6", "of ReLU features", "of few samples"):
        assert f"Frechet distance, 16-d, {kind}" in answer.out
    one = gan_nas("bench", "score", "--dim", 16, "--images", 4, "--pairs", "relu", "--json")
    assert {row["pair"] for row in one.json["frechet"]["rows"]} == {"relu"}
