"""What a run has left is found from any of its paths, wherever it has been moved to."""

import json
from pathlib import Path

import pytest
from old_runs import copy

from gan_nas.errors import InvalidInput
from gan_nas.formats.left import anchored, generator_file, images_of, relative
from gan_nas.networks.weights import load_generator
from gan_nas.spaces.published import load_genome


def test_all_paths_of_a_training_lead_to_its_genome_and_its_best_generator(tmp_path: Path) -> None:
    run = copy("retrain-finished", tmp_path / "moved")
    paths = [run, run / "result.json", run / "best.safetensors"]
    genomes = {load_genome(str(path)).genome_id for path in [*paths, run / "generator.safetensors"]}
    assert genomes == {json.loads((run / "result.json").read_text())["genome_id"]}
    assert {generator_file(path) for path in paths} == {run / "best.safetensors"}
    assert load_generator(run).about == load_generator(run / "best.safetensors").about
    assert {images_of(path) for path in paths} == {(16, 1)}
    (run / "best.safetensors").unlink()
    assert generator_file(run) == run / "generator.safetensors"


@pytest.mark.parametrize("method", ["autogan", "adversarialnas", "degas"])
def test_a_search_leads_to_the_best_it_found_and_has_no_generator(
    tmp_path: Path, method: str
) -> None:
    run = copy(f"{method}-finished", tmp_path / "moved")
    best = json.loads((run / "result.json").read_text())["genomes"][0]["id"]
    for path in (run, run / "result.json", run / "genomes" / f"{best}.json"):
        assert load_genome(str(path)).genome_id == best
    with pytest.raises(InvalidInput, match="no generator of its own: train what it finds"):
        load_generator(run)
    trained = run / "retrained" / best
    copy("retrain-finished", trained)
    with pytest.raises(InvalidInput, match=f"name {trained}$"):
        load_generator(run)


@pytest.mark.parametrize("file", ["runs/first/genomes/x.json", "/gone/genomes/x.json"])
def test_paths_of_older_results_are_found_in_a_run_that_was_moved(
    tmp_path: Path, file: str
) -> None:
    (tmp_path / "genomes").mkdir()
    found = tmp_path / "genomes" / "x.json"
    found.touch()
    assert anchored(tmp_path, file) == found
    assert relative(tmp_path, str(found)) == "genomes/x.json"
    assert anchored(tmp_path, relative(tmp_path, str(found))) == found
    found.unlink()
    assert anchored(tmp_path, "genomes/x.json") == found
    too_long = "x" * 5000
    assert anchored(tmp_path, too_long) == tmp_path / too_long
