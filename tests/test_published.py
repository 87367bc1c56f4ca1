from importlib.resources import files
from pathlib import Path

import pytest

from gan_nas.errors import InvalidInput
from gan_nas.genome import read_genome
from gan_nas.published import load_genome, published_genome, published_names
from gan_nas.spaces.autogan import AutoGANCell

FOLDER = Path(__file__).parents[1] / "genomes"
NAMES = published_names()
TOP1 = published_genome("autogan-cifar10-top1")


def refusal(reference: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_genome(reference)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_packaged_files_are_those_of_the_folder() -> None:
    assert [path.stem for path in sorted(FOLDER.glob("*.json"))] == NAMES
    assert {"autogan-cifar10-top1", "autogan-cifar10-top2", "autogan-cifar10-top3"} <= set(NAMES)
    assert {"sngan-cifar10", "ctgan-cifar10"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_published_genome_loads_under_its_name_with_its_source(name: str) -> None:
    genome = published_genome(name)
    assert genome.name == genome.title == name
    assert genome.source is not None
    assert genome.source.paper
    assert genome.source.where
    scores = [score for scores in genome.source.reported.values() for score in scores]
    assert set(scores) <= {"inception_score", "fid"}
    assert "inception_score" in genome.source.reported["cifar10"]


@pytest.mark.parametrize("name", NAMES)
def test_every_published_file_is_laid_out_as_we_write_it(name: str) -> None:
    text = (files("gan_nas.genomes") / f"{name}.json").read_text("utf-8")
    assert text == published_genome(name).to_json()


@pytest.mark.parametrize("name", NAMES)
def test_a_genome_is_loaded_by_name_and_by_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genome = published_genome(name)
    assert load_genome(name) == genome
    assert load_genome(str(FOLDER / f"{name}.json")) == genome
    genome.save(tmp_path / "mine.json")
    monkeypatch.chdir(tmp_path)
    assert load_genome("mine.json") == load_genome("./mine.json") == genome


def test_a_published_name_wins_over_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    published_genome("sngan-cifar10").save(Path("autogan-cifar10-top1"))
    assert load_genome("autogan-cifar10-top1") == TOP1
    assert load_genome("./autogan-cifar10-top1") == published_genome("sngan-cifar10")


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("autogan-cifar10-top", "autogan-cifar10-top"),
        ("AutoGAN-CIFAR10-Top1", "autogan-cifar10-top1"),
        ("sn-gan-cifar10", "sngan-cifar10"),
        ("ctgan-cifar10.json", "ctgan-cifar10"),
    ],
)
def test_a_near_miss_gets_the_nearest_name(reference: str, meant: str) -> None:
    said = refusal(reference)
    assert said.startswith(f"'{reference}' is neither a genome file nor a published genome")
    assert f"did you mean {meant}" in said


@pytest.mark.parametrize(
    "reference", ["zzz", "", "\0", "two\nlines", "a" * 5000, "/nowhere/g.json"]
)
def test_what_is_neither_name_nor_file_gets_the_list(reference: str) -> None:
    said = refusal(reference)
    assert said.startswith(f"{reference!r} is neither a genome file nor a published genome; ")
    assert said.endswith(f"published are {', '.join(NAMES)}")


def test_a_folder_is_no_genome(tmp_path: Path) -> None:
    assert "is neither a genome file" in refusal(str(tmp_path))


def test_a_bad_file_is_refused_for_what_is_wrong_in_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(TOP1.to_json().replace('"width": 256', '"width": 1000000000'))
    assert refusal(str(path)) == (
        f"{path} is not a genome: generator.width = 1000000000: must be at most 2048"
    )
    path.write_bytes(b"\xff")
    assert refusal(str(path)) == f"{path} is not UTF-8 text"


@pytest.mark.parametrize(("name", "width"), [("sngan-cifar10", 256), ("ctgan-cifar10", 128)])
def test_hand_made_controls_have_the_cells_of_their_papers(name: str, width: int) -> None:
    genome = published_genome(name)
    cell = AutoGANCell(conv="pre", norm="batch", up="nearest", shortcut=True, skips=())
    assert genome.generator.cells == (cell,) * 3
    assert (genome.generator.width, genome.generator.latent_dim) == (width, 128)
    assert genome.source is not None
    assert genome.source.note is not None
    assert genome.source.note.startswith("Hand-made control")


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("autogan-")])
def test_the_found_genomes_show_what_the_paper_remarks_on_them(name: str) -> None:
    cells = published_genome(name).generator.cells
    assert {cell.conv for cell in cells} == {"pre"}
    assert "deconv" not in {cell.up for cell in cells}
    assert [cell.skips for cell in cells] == [(), (0,), (0, 1)]  # every possible skip is on


def test_what_was_read_from_a_figure_and_what_from_code_is_said() -> None:
    told = {}
    for place in (1, 2, 3):
        source = published_genome(f"autogan-cifar10-top{place}").source
        assert source is not None
        told[place] = f"{source.where} {source.note}"
    assert "Fig. 3" in told[1]
    assert "derive.sh" in told[1]
    assert all("Read from the code, not from a figure" in told[place] for place in (2, 3))


def test_the_reported_scores_are_those_of_the_papers() -> None:
    reported = {}
    for name in NAMES:
        source = published_genome(name).source
        assert source is not None
        reported[name] = source.reported["cifar10"]
    assert reported["autogan-cifar10-top1"] == {"inception_score": 8.55, "fid": 12.42}
    assert reported["autogan-cifar10-top2"] == {"inception_score": 8.42, "fid": 13.67}
    assert reported["autogan-cifar10-top3"] == {"inception_score": 8.41, "fid": 13.87}
    assert reported["sngan-cifar10"] == {"inception_score": 8.22, "fid": 21.7}
    assert reported["ctgan-cifar10"] == {"inception_score": 8.12}
    assert read_genome(FOLDER / "autogan-cifar10-top1.json").source == TOP1.source
