from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Command

from gan_nas.scoring.protocols import Passport, Scores
from gan_nas.spaces.adversarialnas import AdversarialNASGenerator, encode
from gan_nas.spaces.published import published_genome


def test_different_genomes_are_exit_1_with_their_changes(gan_nas: Command) -> None:
    answer = gan_nas("compare", "autogan-cifar10-top1", "autogan-cifar10-top3", "--json")
    assert answer.code == 1
    assert answer.json["same"] is False
    (change,) = answer.json["changes"]
    assert change.keys() == {"where", "kind", "before", "after", "text"}
    assert change["text"] == "generator.cells.0.norm: none -> batch"
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


PASSPORT = Passport(
    backbone="classifier",
    weights="0",
    backbone_side=8,
    resize="bilinear",
    image_side=16,
    quantise="floor",
    num_fake=100,
    num_real=1437,
    num_splits=1,
    reference="digits",
    reference_fingerprint="1",
    seed=0,
    precision="float32",
    torch="2",
    gan_nas="1",
)
FRECHET = "frechet_distance[classifier]"


def scored(
    path: Path, distance: float, error: float | None = None, name: str = "mine", **passport: Any
) -> Path:
    values = {FRECHET: distance, "classifier_score": 5.0, "classifier_score_deviation": 0.5}
    errors = {} if error is None else dict.fromkeys(values, error)
    changed = PASSPORT.model_copy(update={"repeats": 1000} | passport)
    scores = Scores(name=name, scores=values, errors=errors, real=values, passport=changed)
    path.write_text(scores.model_dump_json(), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("distances", "error", "code", "verdict"),
    [
        ((3.0, 5.0), 0.5, 1, True),  # the noise is 1.41
        ((5.0, 3.0), 0.5, 1, True),
        ((3.0, 4.0), 0.5, 0, False),
        ((3.0, 90.0), None, 0, None),
    ],
)
def test_scores_differ_when_the_difference_exceeds_the_noise(
    gan_nas: Command,
    tmp_path: Path,
    distances: tuple[float, float],
    error: float | None,
    code: int,
    verdict: bool | None,
) -> None:
    a, b = (scored(tmp_path / f"{d}.json", d, error, seed=int(d)) for d in distances)
    answer = gan_nas("compare", a, b, "--json")
    assert answer.code == code
    assert answer.json["beyond_noise"][FRECHET] is verdict
    assert answer.json["beyond_noise"]["classifier_score"] is (None if error is None else False)
    assert answer.json["differences"][FRECHET] == pytest.approx(distances[1] - distances[0])
    assert answer.json["passports"] == {}
    assert not any("deviation" in name for name in answer.json["differences"])
    table = gan_nas("compare", a, b)
    assert table.code == code
    assert {True: "yes", False: "no", None: "unknown"}[verdict] in table.out
    assert ("use gan-nas score --repeats" in table.err) == (error is None)
    assert "scored differently" not in table.out
    assert "3.0.json" in table.out  # equal names are told apart by their files
    assert max(map(len, table.out.splitlines())) <= 80
    assert f"{distances[1]:.4g}" in table.out


def test_folders_of_several_trainings_tell_the_noise_of_seeds(
    gan_nas: Command, tmp_path: Path
) -> None:
    for name, distances in (("one genome", (3.0, 4.0, 5.0)), ("other", (4.0, 5.0, 6.0, 5.0))):
        (tmp_path / name).mkdir()
        for number, distance in enumerate(distances):
            scored(tmp_path / name / f"{number}.json", distance, 0.01, seed=0)
    a, b = tmp_path / "one genome", tmp_path / "other"
    answer = gan_nas("compare", a, b, "--json")
    assert answer.code == 0
    assert answer.json["beyond_seeds"][FRECHET] is False
    assert answer.json["beyond_noise"][FRECHET] is True
    assert answer.json["differences"][FRECHET] == pytest.approx(1)
    assert [len(answer.json[side]) for side in "ab"] == [3, 4]
    shown = gan_nas("compare", a, b)
    assert "4 ± 1" in shown.out
    assert "from 3 and 4 of them" in shown.err.replace("\n", " ")
    alone = gan_nas("compare", a / "0.json", b)
    assert alone.code == 1
    assert "training seeds change" in alone.err.replace("\n", " ")
    (tmp_path / "empty").mkdir()
    assert gan_nas("compare", a, tmp_path / "empty").code == 2
    (a / "result.json").write_text('{"passport": 1}')  # as a run has one
    (a / "not text.json").write_bytes(b"\xff")
    assert gan_nas("compare", a, b).code == 0
    scored(a / "3.json", 9.0, 0.01, name="other")
    mixed = gan_nas("compare", a, b)
    assert mixed.code == 2
    assert "put those of one genome's trainings into a folder" in mixed.err


def test_scores_of_different_passports_are_not_compared_unless_told_to(
    gan_nas: Command, tmp_path: Path
) -> None:
    a = scored(tmp_path / "a.json", 3.0, 0.1)
    b = scored(tmp_path / "b.json", 5.0, 0.1, name="yours", num_fake=200, quantise="round")
    refused = gan_nas("compare", a, b)
    assert (refused.code, refused.out) == (4, "")
    assert "(quantise floor and round, num_fake 100 and 200)" in refused.err
    assert refused.err.count("\n") == 1
    told = gan_nas("compare", a, b, "--any-passport")
    assert told.code == 1
    rows = [line for line in told.out.splitlines() if "scored differently" in line]
    assert [row.split()[:3] for row in rows] == [
        ["quantise", "floor", "round"],
        ["num_fake", "100", "200"],
    ]
    answer = gan_nas("compare", a, b, "--any-passport", "--json")
    assert answer.json["passports"] == {"quantise": ["floor", "round"], "num_fake": [100, 200]}


def test_other_backbones_have_no_measure_in_common(gan_nas: Command, tmp_path: Path) -> None:
    a = scored(tmp_path / "a.json", 3.0)
    b = tmp_path / "b.json"
    passport = PASSPORT.model_copy(update={"backbone": "inception"})
    b.write_text(Scores(scores={"fid": 3.0}, real={}, passport=passport).model_dump_json())
    assert gan_nas("compare", a, b).code == 4
    answer = gan_nas("compare", a, b, "--any-passport")
    assert answer.code == 2
    assert "no measure in common" in answer.err


def test_files_of_score_are_compared(
    gan_nas: Command, trained: Path, folder: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{name}.json" for name in ("a", "b", "c", "d")]
    repeated = ("-n", 40, "--repeats", 2)
    for path, options in zip(
        paths, (repeated, repeated, (*repeated, "--seed", 9), ("-n", 30)), strict=True
    ):
        assert gan_nas("score", trained, "--data", folder, *options, "-o", path).code == 0
    same = gan_nas("compare", *paths[:2], "--json")
    assert same.code == 0
    assert set(same.json["beyond_noise"].values()) == {False}
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert gan_nas("compare", paths[0], paths[2]).code in (0, 1)
    fewer = gan_nas("compare", paths[0], paths[3])
    assert fewer.code == 4
    assert "num_fake 40 and 30" in fewer.err


def test_scores_and_a_genome_cannot_be_compared(gan_nas: Command, tmp_path: Path) -> None:
    a = scored(tmp_path / "a.json", 3.0)
    for pair in ((a, "sngan-cifar10"), ("sngan-cifar10", a)):
        answer = gan_nas("compare", *pair)
        assert (answer.code, answer.out) == (2, "")
        assert f"{a} holds scores and sngan-cifar10 does not" in answer.err


@pytest.mark.parametrize("text", ['{"passport": 1}', '{"passport', '["passport"]'])
def test_damaged_scores_are_refused(gan_nas: Command, tmp_path: Path, text: str) -> None:
    a, b = scored(tmp_path / "a.json", 3.0), tmp_path / "b.json"
    b.write_text(text + '"passport"')
    answer = gan_nas("compare", a, b)
    assert (answer.code, answer.out) == (2, "")
    assert f"{b} is not a file of scores" in answer.err
