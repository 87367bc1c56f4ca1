"""The leaderboard: plausible, complete, and at one with the packaged genomes."""

import json
from collections import Counter
from pathlib import Path

import pytest

from gan_nas.spaces.leaderboard import Leaderboard, Reported, Row, read_leaderboard
from gan_nas.spaces.published import published_genome, published_names

BOARD = read_leaderboard()
ROWS = {row.name: row for row in BOARD.rows}
REPORTED = {
    name: source.reported
    for name in published_names()
    if (source := published_genome(name).source) and source.reported
}
# Every system in the tables of AutoGAN, AdversarialNAS, DEGAS, EAGAN and those who came later.
SEARCHED = """
AGAN; AutoGAN; AutoGAN, top 2; AutoGAN, top 3; Random (AutoGAN); Random, unshared (AutoGAN);
DEGAS; DEGAS, searched on STL-10; AdversarialNAS; SingalNAS, AutoGAN-D; SingalNAS, SNGAN-D;
SingalNAS, Super-D; Random (AdversarialNAS); E2GAN; AlphaGAN(s); AlphaGAN; DGGAN; EGAN;
EAS-GAN; EAGAN-G; EAGAN-GD1; EAGAN-GD2; EAGAN-GD3; EWSGAN; CAGAN-NAS; EAMGAN; AKD-EGAN; SCGAN;
MMD-AdversarialNAS, large; MMD-AdversarialNAS, 6 seeds; MMD-AdversarialNAS, small;
MMD-AdversarialNAS, compr.; MMD-PMish-NAS
"""
HAND_MADE = """
DCGAN; Improved GAN; LR-GAN; DFM; D2GAN; WGAN-GP, ResNet; Splitting GAN; CT-GAN; SN-GAN;
CAGAN (Ni et al.); MGAN; Dist-GAN; Progressive GAN; ProbGAN; Improving MMD-GAN; BigGAN; StyleGAN2;
R3GAN; TransGAN
"""


def names(text: str) -> set[str]:
    return {name.strip() for name in text.replace("\n", " ").split(";")}


def numbers(reported: Reported) -> dict[str, float]:
    scores = {"inception_score": reported.inception_score, "fid": reported.fid}
    return {name: value for name, value in scores.items() if value is not None}


def test_every_system_of_the_papers_tables_has_one_row() -> None:
    assert Counter(row.name for row in BOARD.rows).most_common(1)[0][1] == 1
    assert {row.name for row in BOARD.rows if row.kind != "hand-made"} == names(SEARCHED)
    assert {row.name for row in BOARD.rows if row.kind == "hand-made"} == names(HAND_MADE)


@pytest.mark.parametrize("row", BOARD.rows, ids=lambda row: row.name)
def test_numbers_are_plausible(row: Row) -> None:
    for reported in (row.cifar10, row.stl10):
        scores = numbers(reported)
        assert 6 < scores.get("inception_score", 7) < 13
        assert 1 < scores.get("fid", 2) < 100
        assert 0 < (reported.inception_score_deviation or 0.1) < 0.5
        assert 0 < (reported.fid_deviation or 0.1) < 2
        assert reported.inception_score or not reported.inception_score_deviation
        assert reported.fid or not reported.fid_deviation
    assert 2014 <= row.year <= 2026
    assert 0.1 < (row.gpu_days or 1) <= 1200
    assert 0.5 < (row.parameters or 1) < 100
    assert (row.kind == "hand-made") == (not row.searched)
    assert row.gpu_days is None or row.searched
    assert row.licence is None or row.code or row.name == "MMD-PMish-NAS"


def test_the_file_is_ascii() -> None:
    assert BOARD.model_dump_json().isascii()


@pytest.mark.parametrize("name", published_names())
def test_every_packaged_genome_has_a_row_that_agrees_with_what_it_says(name: str) -> None:
    rows = [row for row in BOARD.rows if name in row.genomes]
    assert len(rows) == 1
    for data, scores in REPORTED.get(name, {}).items():
        assert scores.items() <= numbers(getattr(rows[0], data)).items()
    genome = published_genome(name)
    assert genome.source is not None
    assert str(rows[0].year) in str(genome.source.paper)
    assert not rows[0].verified or "unverified" not in str(genome.source.note).lower()


@pytest.mark.parametrize("row", BOARD.rows, ids=lambda row: row.name)
def test_rows_name_only_genomes_that_are_packaged(row: Row) -> None:
    assert set(row.genomes) <= set(published_names())


def test_rows_are_ranked_by_fid_on_cifar10_and_those_with_labels_come_last() -> None:
    order = [(row.labels, row.cifar10.fid or 1e9) for row in BOARD.rows]
    assert order == sorted(order)
    assert {row.name for row in BOARD.rows if row.labels} == {"BigGAN", "R3GAN"}
    assert BOARD.rows[0].name == "SCGAN"


def test_what_is_known_from_abstracts_alone_is_marked() -> None:
    marked = {row.name for row in BOARD.rows if not row.verified}
    assert marked == {"EWSGAN", "CAGAN-NAS", "EAMGAN", "AKD-EGAN", "SCGAN", "R3GAN"}


def test_numbers_that_papers_copied_wrongly_are_the_right_ones() -> None:
    """AdversarialNAS gives SN-GAN AutoGAN's score on STL-10, DEGAS misses zeros of deviations."""
    assert ROWS["SN-GAN"].stl10.inception_score == 9.10
    assert ROWS["SN-GAN"].cifar10.inception_score_deviation == 0.05
    assert ROWS["AGAN"].cifar10.inception_score_deviation == 0.09
    assert ROWS["Improving MMD-GAN"].stl10.inception_score == 9.34


def test_what_was_measured_here_is_of_packaged_genomes_and_no_fid_without_inception() -> None:
    for measured in BOARD.measured:
        assert measured.genome in published_names()
        is_inception = measured.backbone.lower().startswith("inception")
        assert is_inception == bool(measured.scores.keys() & {"fid", "inception_score"})
        page, _, heading = measured.source.partition(", ")
        assert f"\n## {heading}\n" in (Path(__file__).parents[2] / page).read_text("utf-8")
    found = [m for row in BOARD.rows for m in BOARD.measured_of(row)]
    assert sorted(found, key=str) == sorted(BOARD.measured, key=str)


def test_a_protocol_that_is_not_explained_is_refused() -> None:
    content = BOARD.model_dump(mode="json")
    del content["protocols"]["5k"]
    with pytest.raises(ValueError, match="not explained: 5k"):
        Leaderboard.model_validate_json(json.dumps(content))
