from pathlib import Path

import numpy as np
from commands import Command

from gan_nas.published import published_genome
from gan_nas.sampling import sample_genomes
from gan_nas.spaces.adversarialnas import AdversarialNASGenerator, encode
from gan_nas.spaces.degas import from_operations, operations


def test_different_genomes_are_exit_1_with_their_changes(gan_nas: Command) -> None:
    answer = gan_nas("compare", "autogan-cifar10-top1", "autogan-cifar10-top3", "--json")
    assert answer.code == 1
    assert answer.json["same"] is False
    assert answer.json["changes"] == [
        {
            "where": "generator.cells.0.norm",
            "kind": "changed",
            "before": "none",
            "after": "batch",
            "text": "generator.cells.0.norm: none -> batch",
        }
    ]
    a, b = answer.json["a"], answer.json["b"]
    assert b["generator"]["parameters"] - a["generator"]["parameters"] == 1024
    assert a["reported"]["cifar10"]["fid"] == 12.42


def test_the_same_architecture_is_exit_0_whatever_its_name(
    gan_nas: Command, tmp_path: Path
) -> None:
    genome = published_genome("sngan-cifar10").model_copy(update={"name": None, "source": None})
    genome.save(tmp_path / "g.json")
    answer = gan_nas("compare", "sngan-cifar10", tmp_path / "g.json")
    assert answer.code == 0
    assert "The same architecture." in answer.out


def test_compare_shows_costs_and_known_scores_side_by_side(gan_nas: Command) -> None:
    answer = gan_nas("compare", "autogan-cifar10-top1", "sngan-cifar10")
    assert answer.code == 1
    for text in ("generator.cells.1.skips: removed 0", "-128,512 (-2.9%)", "own protocol"):
        assert text in answer.out


def test_changed_edges_are_told_one_by_one(gan_nas: Command) -> None:
    answer = gan_nas("compare", "adversarialnas-cifar10", "mmd-adversarialnas-cifar10", "--json")
    assert answer.code == 1
    texts = [change["text"] for change in answer.json["changes"]]
    assert len(texts) == 15
    assert texts[:3] == [
        "generator.cells.0.0-1: bilinear -> nearest",
        "generator.cells.0.1-3: identity -> conv_3x3",
        "generator.cells.0.2-3: added conv_5x5",
    ]
    assert "generator.cells.1.2-3: removed identity" in texts
    assert texts[-1] == "discriminator.width: 128 -> 512"
    assert answer.json["a"]["generator"]["parameters"] == 8_846_851
    assert answer.json["b"]["generator"]["parameters"] == 20_185_859
    assert answer.err == ""


def test_residuals_are_told_one_by_one(gan_nas: Command, tmp_path: Path) -> None:
    drawn, *_ = sample_genomes("degas", 1, 0, width=8, discriminator_width=8)
    for name, residuals in (("a", (None, "deconv_4x4")), ("b", ("nearest_conv_1x1", None))):
        changed = dict(zip(("1.residual", "2.residual"), residuals, strict=True))
        generator = from_operations(operations(drawn.generator) | changed, 8)
        drawn.model_copy(update={"generator": generator}).save(tmp_path / f"{name}.json")
    answer = gan_nas("compare", tmp_path / "a.json", tmp_path / "b.json", "--json")
    assert answer.code == 1
    assert [change["text"] for change in answer.json["changes"]] == [
        "generator.stages.1.residual: added nearest_conv_1x1",
        "generator.stages.2.residual: removed deconv_4x4",
    ]
    assert [change["before"] for change in answer.json["changes"]] == [None, "deconv_4x4"]


def test_a_matrix_file_is_compared_like_any_genome(gan_nas: Command, tmp_path: Path) -> None:
    generator = published_genome("adversarialnas-cifar10").generator
    assert isinstance(generator, AdversarialNASGenerator)
    np.save(tmp_path / "latest_G.npy", np.array(encode(generator), np.uint8))
    answer = gan_nas("compare", "adversarialnas-cifar10", tmp_path / "latest_G.npy")
    assert answer.code == 0
    assert "The same architecture." in answer.out
    np.save(tmp_path / "bad.npy", np.zeros((3, 7), np.uint8))
    answer = gan_nas("compare", "adversarialnas-cifar10", tmp_path / "bad.npy")
    assert answer.code == 2
    assert "row 0 leaves a node of its cell without any input" in answer.err


def test_compare_needs_two_genomes(gan_nas: Command) -> None:
    assert gan_nas("compare", "sngan-cifar10").code == 2
    assert gan_nas("compare", "sngan-cifar10", "nothing").code == 2
