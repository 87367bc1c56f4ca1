from pathlib import Path

from commands import Command

from gan_nas.published import published_genome


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


def test_compare_needs_two_genomes(gan_nas: Command) -> None:
    assert gan_nas("compare", "sngan-cifar10").code == 2
    assert gan_nas("compare", "sngan-cifar10", "nothing").code == 2
