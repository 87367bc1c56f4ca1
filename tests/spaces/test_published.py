import io
import os
import struct
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from gan_nas.errors import InvalidInput
from gan_nas.spaces.adversarialnas import encode
from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.published import load_genome, published_genome, published_names
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

FOLDER = Path(__file__).parents[2] / "genomes"
NAMES = published_names()
TOP1 = published_genome("autogan-cifar10-top1")

# As the authors save them: a row for each cell, a column for each edge.
FOUND = ((1, 1, 1, 0, 3, 3, 1), (1, 1, 0, 1, 3, 3, 3), (0, 1, 0, 3, 3, 0, 3))
FOUND_WITH_MMD = ((0, 1, 3, 4, 6, 4, 1), (1, 1, 4, 0, 5, 5, 3), (0, 1, 4, 5, 6, 4, 4))
EAGAN = ((1, 1, 1, 0, 2, 3, 1), (1, 1, 0, 1, 3, 0, 5), (0, 1, 0, 3, 0, 0, 3))
EWSGAN = ((0, 1, 4, 5, 3, 4, 1), (0, 2, 2, 5, 2, 1, 0), (2, 1, 5, 5, 4, 0, 4))
CAGAN_1 = ((1, 1, 1, 1, 3, 5, 1), (1, 1, 2, 2, 3, 3, 3), (1, 1, 2, 2, 5, 2, 3))
CAGAN_2 = ((1, 1, 1, 1, 3, 5, 1), (1, 1, 2, 2, 0, 3, 1), (1, 1, 2, 2, 5, 2, 3))
SCGAN = ((1, 1, 1, 3, 2, 2, 1), (1, 1, 3, 1, 3, 1, 1), (1, 1, 1, 0, 1, 2, 4))
SCGAN_1 = ((1, 1, 1, 3, 1, 2, 2), (1, 1, 4, 2, 5, 0, 1), (1, 1, 1, 5, 2, 1, 3))
MATRICES = {
    "adversarialnas-cifar10": FOUND,
    "adversarialnas-stl10": FOUND,
    "mmd-adversarialnas-cifar10": FOUND_WITH_MMD,
    "eagan-cifar10": EAGAN,
    "eagan-stl10": EAGAN,
    "ewsgan-cifar10": EWSGAN,
    "cagan-stl10-top1": CAGAN_1,
    "cagan-stl10-top2": CAGAN_2,
    "scgan-cifar10": SCGAN,
    "scgan1-cifar10": SCGAN_1,
}


def refusal(reference: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_genome(reference)
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_packaged_files_are_those_of_the_folder() -> None:
    assert [path.stem for path in sorted(FOLDER.glob("*.json"))] == NAMES


def data_of(name: str) -> str:
    return next(part for part in name.split("-") if part in ("cifar10", "stl10"))


@pytest.mark.parametrize("name", NAMES)
def test_every_published_genome_loads_under_its_name_with_its_source(name: str) -> None:
    genome = published_genome(name)
    assert genome.name == genome.title == name
    assert genome.source is not None
    assert genome.source.paper
    assert genome.source.where
    assert all(set(row) <= {"inception_score", "fid"} for row in genome.source.reported.values())
    if genome.source.reported:
        assert "inception_score" in genome.source.reported[data_of(name)]
    else:
        assert str(genome.source.note).count("No scores ") == 1


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


def test_the_critic_of_ctgan_is_its_own() -> None:
    """CT-GAN's (Wei et al. 2018)."""
    assert published_genome("ctgan-cifar10").discriminator == CTGANCritic(space="ctgan", width=128)
    assert CTGANCritic(space="ctgan", width=128).dropout == (0.2, 0.5, 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_doubt_about_scores_is_said_and_a_certain_score_is_not_doubted(name: str) -> None:
    source = published_genome(name).source
    assert source is not None
    unverified = {"ewsgan-cifar10", "cagan-stl10-top1", "cagan-stl10-top2", "scgan-cifar10"}
    assert ("unverified" in str(source.note).lower()) == (name in unverified)


def test_the_reported_scores_are_those_of_the_papers() -> None:
    """Inception Score and FID, on the data set of the name."""
    reported = {}
    for name in NAMES:
        source = published_genome(name).source
        assert source is not None
        reported[name] = tuple(source.reported.get(data_of(name), {}).values())
    assert reported == {
        "autogan-cifar10-top1": (8.55, 12.42),
        "autogan-cifar10-top2": (8.42, 13.67),
        "autogan-cifar10-top3": (8.41, 13.87),
        "sngan-cifar10": (8.22, 21.7),
        "ctgan-cifar10": (8.12,),
        "adversarialnas-cifar10": (8.74, 10.87),
        "adversarialnas-stl10": (9.63, 26.98),
        "mmd-adversarialnas-cifar10": (9.62, 5.83),
        "eagan-cifar10": (8.81, 9.91),
        "eagan-stl10": (10.44, 22.18),
        "ewsgan-cifar10": (8.99, 9.09),
        "cagan-stl10-top1": (10.39, 19.34),
        "cagan-stl10-top2": (),
        "scgan-cifar10": (9.68, 5.54),
        "scgan1-cifar10": (),
        "e2gan-cifar10": (8.51, 11.26),
    }


@pytest.mark.parametrize("name", MATRICES)
def test_the_genomes_of_adversarialnas_are_the_published_matrices(name: str) -> None:
    assert encode(published_genome(name).generator) == [list(row) for row in MATRICES[name]]


def test_the_genomes_of_adversarialnas_have_the_sizes_of_their_authors_scripts() -> None:
    sizes = {}
    for name in MATRICES:
        genome = published_genome(name)
        g = genome.generator
        assert genome.discriminator.space == ("eagan" if name == "eagan-stl10" else "sn_resnet")
        sizes[name] = (g.width, g.latent_dim, g.num_latent_parts, genome.discriminator.width)
    assert sizes == {
        "adversarialnas-cifar10": (256, 120, 3, 128),
        "adversarialnas-stl10": (270, 120, 2, 128),
        "mmd-adversarialnas-cifar10": (256, 120, 3, 512),
        "eagan-cifar10": (256, 120, 3, 128),
        "eagan-stl10": (256, 120, 3, 128),
        "ewsgan-cifar10": (256, 120, 3, 128),
        "cagan-stl10-top1": (256, 120, 3, 128),
        "cagan-stl10-top2": (256, 120, 3, 128),
        "scgan-cifar10": (256, 120, 3, 512),
        "scgan1-cifar10": (256, 120, 3, 512),
    }
    with_mmd = published_genome("mmd-adversarialnas-cifar10").discriminator
    assert with_mmd == SNResNetDiscriminator(space="sn_resnet", width=512, outputs=16)


def test_what_eagan_and_those_who_build_on_it_train_against_is_what_eagan_found() -> None:
    blocks = {}
    for name in NAMES:
        critic = published_genome(name).discriminator
        if isinstance(critic, SNResNetDiscriminator):
            blocks[name] = critic.third_block
    plain = ("conv_3x3", "conv_3x3")
    assert {name: block for name, block in blocks.items() if block != plain} == {
        "eagan-cifar10": ("identity", "conv_3x3"),
        "ewsgan-cifar10": ("identity", "conv_3x3"),
        "cagan-stl10-top1": ("conv_5x5", "conv_5x5"),
        "cagan-stl10-top2": ("conv_5x5", "conv_5x5"),
    }


def test_e2gans_genome_is_its_authors_14_integers() -> None:
    code = "0 1 0 1 0 1 2 1 0 0 1 0 1 2"
    assert load_genome(code).genome_id == published_genome("e2gan-cifar10").genome_id


@pytest.mark.parametrize("name", ["mmd-adversarialnas-cifar10", "scgan-cifar10", "scgan1-cifar10"])
def test_what_is_not_due_to_the_architecture_is_said(name: str) -> None:
    source = published_genome(name).source
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
        promising("(" * 3000),
        promising("-" * 5000 + "1"),
        promising("(__import__('os').getcwd(),)"),
    ],
    ids=range(5),
)
def test_a_file_that_is_no_plain_array_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "g.npy"
    path.write_bytes(data)
    assert refusal(str(path)) == f"{path} is no .npy file of plain numbers"


@pytest.mark.parametrize("second", ["10000000000000000", "-7", "9" * 400, "True"])
def test_an_array_that_promises_another_shape_is_refused_unread(
    tmp_path: Path, second: str
) -> None:
    path = tmp_path / "g.npy"
    path.write_bytes(promising(f"(3, {second})"))
    said = refusal(str(path))
    assert said.startswith(f"{path} holds uint8 of shape (3, {second[:20]}")
    assert len(said) < len(str(path)) + 200


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


def test_a_matrix_that_is_no_generator_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.npy"
    matrix = np.array(FOUND, np.int64)
    matrix[1, 2] = -1
    np.save(path, matrix)
    said = "edge 1-3 of cell 1 is -1, allowed are 0 to 6"
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


@pytest.mark.parametrize("length", [2, 4, 13, 500])
def test_a_code_of_another_length_is_refused(length: int, tmp_path: Path) -> None:
    text = ",".join(["0"] * length)
    said = f"no code of AutoGAN: a generator has 14 tokens, these are {length}: conv, norm, up and"
    assert said in refusal(text)
    (tmp_path / "arch.txt").write_text(text)
    assert refusal(str(tmp_path / "arch.txt")).startswith(f"{tmp_path / 'arch.txt'} is {said}")


def test_a_number_of_a_code_that_is_out_of_range_is_named_with_its_meaning() -> None:
    said = refusal(str([*CODE[:5], 9, *CODE[6:]]))
    assert "token 1 of cell 1 is 9, allowed are 0 to 2: it is number 6 of 14 and chooses " in said


def test_a_matrix_with_a_name_that_is_no_text_is_a_genome(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"latest\xff.npy")
    with path.open("wb") as file:
        np.save(file, np.array(FOUND, np.uint8))
    source = load_genome(str(path)).source
    assert source is not None
    assert source.where == r"matrix latest\udcff.npy"
