import io
import os
import struct
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from gan_nas.errors import InvalidInput
from gan_nas.spaces.adversarialnas import encode
from gan_nas.spaces.autogan import AutoGANCell
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.genome import read_genome
from gan_nas.spaces.published import load_genome, published_genome, published_names
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

FOLDER = Path(__file__).parents[2] / "genomes"
NAMES = published_names()
TOP1 = published_genome("autogan-cifar10-top1")

# As the authors save them: a row for each cell, a column for each edge.
FOUND = ((1, 1, 1, 0, 3, 3, 1), (1, 1, 0, 1, 3, 3, 3), (0, 1, 0, 3, 3, 0, 3))
FOUND_WITH_MMD = ((0, 1, 3, 4, 6, 4, 1), (1, 1, 4, 0, 5, 5, 3), (0, 1, 4, 5, 6, 4, 4))
MATRICES = {
    "adversarialnas-cifar10": FOUND,
    "adversarialnas-stl10": FOUND,
    "mmd-adversarialnas-cifar10": FOUND_WITH_MMD,
}


def refusal(reference: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_genome(reference)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_packaged_files_are_those_of_the_folder() -> None:
    assert [path.stem for path in sorted(FOLDER.glob("*.json"))] == NAMES
    assert {"autogan-cifar10-top1", "autogan-cifar10-top2", "autogan-cifar10-top3"} <= set(NAMES)
    assert {"sngan-cifar10", "ctgan-cifar10"} <= set(NAMES)
    assert set(MATRICES) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_published_genome_loads_under_its_name_with_its_source(name: str) -> None:
    genome = published_genome(name)
    assert genome.name == genome.title == name
    assert genome.source is not None
    assert genome.source.paper
    assert genome.source.where
    scores = [score for scores in genome.source.reported.values() for score in scores]
    assert set(scores) <= {"inception_score", "fid"}
    data = next(part for part in name.split("-") if part in ("cifar10", "stl10"))
    assert "inception_score" in genome.source.reported[data]


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
    assert refusal(str(tmp_path)).startswith(f"{tmp_path} is an empty folder: a genome is ")


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


def test_only_the_control_of_ctgan_has_a_critic_of_its_own() -> None:
    """CT-GAN's (Wei et al. 2018); all others train against SN-GAN's, at their papers' width."""
    assert published_genome("ctgan-cifar10").discriminator == CTGANCritic(space="ctgan", width=128)
    assert CTGANCritic(space="ctgan", width=128).dropout == (0.2, 0.5, 0.5)
    spaces = {name: published_genome(name).discriminator.space for name in NAMES}
    assert spaces.pop("ctgan-cifar10") == "ctgan"
    assert set(spaces.values()) == {"sn_resnet"}


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
        reported[name] = source.reported.get("cifar10")
    assert reported["autogan-cifar10-top1"] == {"inception_score": 8.55, "fid": 12.42}
    assert reported["autogan-cifar10-top2"] == {"inception_score": 8.42, "fid": 13.67}
    assert reported["autogan-cifar10-top3"] == {"inception_score": 8.41, "fid": 13.87}
    assert reported["sngan-cifar10"] == {"inception_score": 8.22, "fid": 21.7}
    assert reported["ctgan-cifar10"] == {"inception_score": 8.12}
    assert reported["adversarialnas-cifar10"] == {"inception_score": 8.74, "fid": 10.87}
    assert reported["mmd-adversarialnas-cifar10"] == {"inception_score": 9.62, "fid": 5.83}
    stl10 = published_genome("adversarialnas-stl10").source
    assert stl10 is not None
    assert stl10.reported == {"stl10": {"inception_score": 9.63, "fid": 26.98}}
    assert read_genome(FOLDER / "autogan-cifar10-top1.json").source == TOP1.source


@pytest.mark.parametrize("name", MATRICES)
def test_the_genomes_of_adversarialnas_are_the_published_matrices(name: str) -> None:
    assert encode(published_genome(name).generator) == [list(row) for row in MATRICES[name]]


def test_the_genomes_of_adversarialnas_have_the_sizes_of_their_authors_scripts() -> None:
    sizes = {}
    for name in MATRICES:
        genome = published_genome(name)
        g = genome.generator
        assert genome.discriminator.space == "sn_resnet"
        sizes[name] = (g.width, g.latent_dim, g.num_latent_parts, genome.discriminator.width)
    assert sizes == {
        "adversarialnas-cifar10": (256, 120, 3, 128),
        "adversarialnas-stl10": (270, 120, 2, 128),
        "mmd-adversarialnas-cifar10": (256, 120, 3, 512),
    }


def test_what_is_not_due_to_the_architecture_is_said() -> None:
    source = published_genome("mmd-adversarialnas-cifar10").source
    assert source is not None
    assert source.note is not None
    for changed in ("loss", "discriminator", "batch"):
        assert changed in source.note


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", ">i4", "uint64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_published_matrix_file_is_a_genome(tmp_path: Path, dtype: str, order: str) -> None:
    path = tmp_path / "latest_G.npy"
    np.save(path, np.array(FOUND, dtype, order=order))
    genome = load_genome(str(path))
    published = published_genome("adversarialnas-cifar10")
    assert genome.genome_id == published.genome_id
    assert genome.discriminator == SNResNetDiscriminator(space="sn_resnet", width=128)
    assert genome.name is None
    assert genome.source is not None
    assert genome.source.where == "matrix latest_G.npy"


def saved(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)  # type: ignore[arg-type]
    return stream.getvalue()


def promising(shape: str) -> bytes:
    """Return a file of which only the header is there."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize(
    "data",
    [
        saved(np.array(FOUND, np.uint8))[:-1],
        saved(np.array(FOUND, np.uint8))[:30],
        promising("(3, 10000000000000000)"),
        promising("(3, -7)"),
        promising("(3, " + "9" * 400 + ")"),
        promising("(3, True)"),
        promising("(" * 3000),
        promising("-" * 5000 + "1"),
        promising("(__import__('os').getcwd(),)"),
    ],
    ids=range(9),
)
def test_a_file_that_is_no_plain_array_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.npy"
    path.write_bytes(data)
    assert refusal(str(path)) == f"{path} is no .npy file of plain numbers"


@pytest.mark.parametrize(
    ("array", "held"),
    [
        (np.zeros((4, 7), np.uint8), "uint8 of shape (4, 7)"),
        (np.zeros((7, 3), np.uint8), "uint8 of shape (7, 3)"),
        (np.zeros((1, 3, 7), np.uint8), "uint8 of shape (1, 3, 7)"),
        (np.zeros(21, np.int64), "int64 of shape (21,)"),
        (np.array(3), "int64 of shape ()"),
        (np.ones((3, 7)), "float64 of shape (3, 7)"),
        (np.ones((3, 7), bool), "bool of shape (3, 7)"),
        (np.full((3, 7), "a"), "str32 of shape (3, 7)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_of_another_kind_is_refused(
    tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], held: str
) -> None:
    path = tmp_path / "g.npy"
    np.save(path, array)
    assert refusal(str(path)) == (
        f"{path} holds {held}, a published matrix holds whole numbers of shape (3, 7)"
    )


@pytest.mark.parametrize(
    ("cell", "place", "number", "said"),
    [
        (0, 0, 3, "edge 0-1 of cell 0 is 3, allowed are 0 to 2"),
        (2, 6, 7, "edge 3-4 of cell 2 is 7, allowed are 0 to 6"),
        (1, 2, -1, "edge 1-3 of cell 1 is -1, allowed are 0 to 6"),
        (0, 2, 0, "row 0 leaves a node of its cell without any input"),
    ],
)
def test_a_matrix_that_is_no_generator_is_refused(
    tmp_path: Path, cell: int, place: int, number: int, said: str
) -> None:
    path = tmp_path / "g.npy"
    matrix = np.array(FOUND, np.int64)
    matrix[cell, place] = number
    np.save(path, matrix)
    assert refusal(str(path)) == f"{path} is no generator: {said}"


CODE = (1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 3)  # AutoGAN's best for CIFAR-10, as published


@pytest.mark.parametrize(
    "text",
    [
        ",".join(map(str, CODE)),
        " ".join(map(str, CODE)),
        str(list(CODE)),
        str(CODE),
        f" [{' '.join(map(str, CODE))}]\n",
        str([[CODE[:4]], CODE[4:9], CODE[9:]]),
    ],
)
def test_the_code_of_autogan_is_a_genome(text: str, tmp_path: Path) -> None:
    genome = load_genome(text)
    assert genome.genome_id == TOP1.genome_id
    assert genome.source is not None
    assert genome.source.where == "code 1,0,1,1,1,0,0,1,1,1,0,1,0,3"
    path = tmp_path / "arch.json"
    path.write_text(text)
    assert load_genome(str(path)) == genome


@pytest.mark.parametrize("length", [2, 4, 9, 13, 15, 21, 500])
def test_a_code_of_another_length_is_refused(length: int, tmp_path: Path) -> None:
    text = ",".join(["0"] * length)
    said = f"no code of AutoGAN: a generator has 14 tokens, these are {length}: conv, norm, up and"
    assert said in refusal(text)
    (tmp_path / "arch.txt").write_text(text)
    assert refusal(str(tmp_path / "arch.txt")).startswith(f"{tmp_path / 'arch.txt'} is {said}")


@pytest.mark.parametrize("position", range(14))
def test_a_number_of_a_code_that_is_out_of_range_is_named_with_its_meaning(position: int) -> None:
    tokens = list(CODE)
    for number in (9, -1):
        tokens[position] = number
        said = refusal(str(tokens))
        assert f" is {number}, allowed are 0 to " in said
        assert f"it is number {position + 1} of 14 and chooses " in said


def test_a_matrix_with_a_name_that_is_no_text_is_a_genome(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"latest\xff.npy")
    with path.open("wb") as file:
        np.save(file, np.array(FOUND, np.uint8))
    source = load_genome(str(path)).source
    assert source is not None
    assert source.where == r"matrix latest\udcff.npy"
