"""Folders for the Hugging Face Hub: what is in them, and that everything reads them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import GENOME

import gan_nas as gn
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.exports.about import Told, describe, generator_path, told_beside
from gan_nas.exports.hub import check_licence, save_hub
from gan_nas.formats.foreign import Kind, identify
from gan_nas.networks.weights import load_generator_file, read_metadata
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.stored import read_result
from gan_nas.training.finetuning import read_given
from gan_nas.training.untrained import save_untrained


@pytest.fixture
def finished(trained: Path) -> tuple[Path, TrainingResult]:
    return trained.parent, read_result(trained.parent, TrainingResult)


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "hub"
    return export(generator_path(trained.parent), folder, "cc-by-4.0")


@pytest.fixture
def exported(made: Path, tmp_path: Path) -> Path:
    """An exported folder that a test may write to."""
    return shutil.copytree(made, tmp_path / "hub")


def export(path: Path, folder: Path, licence: str | None = None) -> Path:
    generator = gn.load_generator(path)
    told = told_beside(path, generator.about)
    about = describe(generator, told.measured, licence or told.licence)
    save_hub(generator, path, folder, about)
    return folder


def front_matter(card: str) -> dict[str, Any]:
    """Read a card's metadata, of which each line is a key and JSON."""
    _, metadata, _ = card.split("---\n", 2)
    lines = (line.split(": ", 1) for line in metadata.splitlines())
    return {key: json.loads(value) for key, value in lines}


def test_the_folder_loads_as_the_file_does(
    exported: Path, finished: tuple[Path, TrainingResult]
) -> None:
    best = finished[0] / "best.safetensors"
    names = {"config.json", "model.safetensors", "README.md", "samples.png"}
    assert {path.name for path in exported.iterdir()} == names
    assert (exported / "model.safetensors").read_bytes() == best.read_bytes()
    assert identify(exported).kind == Kind.GENERATOR
    assert read_metadata(exported) == read_metadata(best)
    generator, wanted = gn.load_generator(exported), gn.load_generator(best)
    z = torch.randn(3, generator.latent_dim)
    with torch.no_grad():
        assert torch.equal(generator(z), wanted(z))
    given = read_given(exported)
    assert (given.genome, given.discriminator) == (generator.genome, None)


def test_the_card_tells_scores_passport_and_licence(
    exported: Path, finished: tuple[Path, TrainingResult]
) -> None:
    result = finished[1]
    config = json.loads((exported / "config.json").read_text())
    assert config["genome_id"] == result.genome_id
    scores = {k: v for k, v in result.best.items() if k not in ("step", "images")}
    assert config["measured"]["scores"] == scores
    assert config["measured"]["passport"] == result.passport.model_dump(mode="json")
    card = (exported / "README.md").read_text()
    about = front_matter(card)
    assert (about["license"], about["datasets"]) == (
        "cc-by-4.0",
        [Path(result.passport.reference).name],
    )
    (entry,) = about["model-index"]
    (row,) = entry["results"]
    assert {metric["type"]: metric["value"] for metric in row["metrics"]} == scores
    assert row["dataset"]["name"] == about["datasets"][0]  # and not a path of this machine
    for value in (result.passport.weights, result.genome_id, config["sha256"], "samples.png"):
        assert value in card


@pytest.mark.slow
def test_an_export_of_an_export_is_the_same(exported: Path, tmp_path: Path) -> None:
    again = export(exported, tmp_path / "again")
    for path in exported.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_what_is_not_known_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_untrained(path, GENOME, 16, 2, 0)
    assert told_beside(path, read_metadata(path)) == Told()
    folder = export(path, tmp_path / "hub")
    assert not (folder / "samples.png").exists()  # of two channels
    about = front_matter((folder / "README.md").read_text())
    assert about["license"] == "unknown"
    assert "model-index" not in about
    assert "datasets" not in about


def test_scores_of_another_moment_are_not_taken(
    finished: tuple[Path, TrainingResult], tmp_path: Path
) -> None:
    run, result = finished
    last = read_metadata(run / "generator.safetensors")
    assert last.lineage["steps"] == result.last["step"]
    told = told_beside(run / "generator.safetensors", last)
    assert told.measured is not None
    other = last.model_copy(update={"lineage": {**last.lineage, "steps": 1}})
    assert told_beside(run / "generator.safetensors", other) == Told()
    (tmp_path / "generator.safetensors").write_bytes((run / "generator.safetensors").read_bytes())
    assert told_beside(tmp_path / "generator.safetensors", last) == Told()
    generator = gn.load_generator(run / "generator.safetensors")
    passport = told.measured.passport.model_copy(update={"image_side": 32})
    with pytest.raises(Incompatible, match="of 32 px, the generator makes 16 px"):
        describe(generator, told.measured.model_copy(update={"passport": passport}))


def test_a_config_of_another_generator_is_refused(exported: Path, tmp_path: Path) -> None:
    config = exported / "config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps(content | {"architectures": ["mine"]}))  # as people add keys
    load_generator_file(exported)
    content["genome"]["generator"]["width"] += 1
    config.write_text(json.dumps(content))
    with pytest.raises(Incompatible, match="tells of another generator"):
        gn.load_generator(exported)
    config.write_text("[" * 100_000)
    with pytest.raises(InvalidInput, match=r"config\.json is damaged"):
        gn.load_generator(exported)


def test_a_folder_of_another_library_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert identify(tmp_path).kind == Kind.FOLDER


@pytest.mark.parametrize("licence", ["mit", "apache-2.0", "cc-by-4.0", "other", None])
def test_licences_of_the_hub_pass(licence: str | None) -> None:
    check_licence(licence)


@pytest.mark.parametrize("licence", ["", "MIT", "my licence", "mit\nx: 1", "-", "a" * 61])
def test_other_licences_are_refused(licence: str) -> None:
    with pytest.raises(InvalidInput, match="no licence"):
        check_licence(licence)


@pytest.mark.slow
def test_texts_of_strangers_stay_texts(tmp_path: Path) -> None:
    path = tmp_path / "generator.safetensors"
    save_untrained(path, GENOME, 16, 1, 0)
    generator = gn.load_generator(path)
    nasty = "a](b)\n---\n# <script>\n```\n"
    lineage = {"data": nasty, "method": nasty, "note": [nasty]}
    about = describe(generator).model_copy(update={"lineage": lineage})
    save_hub(generator, path, tmp_path / "hub", about)
    card = (tmp_path / "hub" / "README.md").read_text()
    lines = card.splitlines()
    assert front_matter(card)["license"] == "unknown"
    assert lines.count("---") == 2
    assert not any(line.startswith(("# <", "<")) for line in lines)
    assert sum(line.startswith("```") for line in lines) % 2 == 0
