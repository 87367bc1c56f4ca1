"""What a path is when it is not what was asked for: told by its content, not by its name.

Nothing is unpickled, unpacked or decoded: the first bytes, a zip's list of members and the header
of safetensors tell enough. What is missing or damaged is left to whoever reads it.
"""

import re
import stat
import zipfile
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json

from gan_nas.errors import InvalidInput, shorten
from gan_nas.formats.zips import open_zip

HEAD = 4096  # bytes that are looked at
TEXT_LIMIT = HEADER_LIMIT = 1 << 20


class Kind(StrEnum):
    """What can be told apart."""

    UNKNOWN = "unknown"  # missing, damaged, or nothing that is known here
    SPECIAL = "special"  # a pipe or a device
    EMPTY = "empty"
    ADDRESS = "address"
    FOLDER = "folder"
    RUN = "run"
    GENOME = "genome"
    GENERATOR = "generator"
    RESULT = "result"
    SCORES = "scores"
    STATISTICS = "statistics"
    JSON = "json"
    INTEGERS = "integers"
    GENOTYPE = "genotype"
    PICKLE = "pickle"
    SAFETENSORS = "safetensors"
    MODEL = "model"  # of another framework
    NPY = "npy"
    NPZ = "npz"
    ZIP = "zip"
    ARCHIVE = "archive"
    IMAGE = "image"
    DOCUMENT = "document"


class Wanted(StrEnum):
    """What is asked for, in words."""

    GENOME = (
        "a genome is a JSON file, a published name, AutoGAN's 14 integers, AdversarialNAS' "
        "matrix.npy, or what a run has left"
    )
    GENERATOR = "a generator.safetensors of gan-nas, or its run, is needed"
    SCORED = (
        "a generator.safetensors of gan-nas, its run, or a folder, zip or npz of images is needed"
    )
    CLASSIFIER = "a safetensors file of a CIFAR ResNet is needed"
    INCEPTION = "the Inception of 2015-12-05 in torch-fidelity's .pth is needed"
    STATISTICS = "an .npz or .safetensors file with mu and sigma is needed"
    RUN = "the directory of a run is needed"
    CHECKPOINT = "a .pth file of AutoGAN's or AdversarialNAS' authors is needed"


class Thing(NamedTuple):
    """What a path is: its kind, and words that follow `is`."""

    kind: Kind
    words: str


NEVER_READ = "which is never read since it can run code"
MAGIC = (
    (b"\x89PNG\r\n", Kind.IMAGE, "a PNG image"),
    (b"\xff\xd8\xff", Kind.IMAGE, "a JPEG image"),
    (b"GIF8", Kind.IMAGE, "a GIF image"),
    (b"II*\0", Kind.IMAGE, "a TIFF image"),
    (b"MM\0*", Kind.IMAGE, "a TIFF image"),
    (b"%PDF", Kind.DOCUMENT, "a PDF"),
    (b"\x7fELF", Kind.DOCUMENT, "a program"),
    (b"\x89HDF\r\n", Kind.MODEL, "an HDF5 file, as Keras writes it"),
    (b"\x1f\x8b", Kind.ARCHIVE, "a gzip archive"),
    (b"BZh", Kind.ARCHIVE, "a bzip2 archive"),
    (b"\xfd7zXZ\0", Kind.ARCHIVE, "an xz archive"),
    (b"\x28\xb5\x2f\xfd", Kind.ARCHIVE, "a Zstandard archive"),
    (b"7z\xbc\xaf", Kind.ARCHIVE, "a 7z archive"),
    (b"Rar!", Kind.ARCHIVE, "a RAR archive"),
)
SUFFIXES = {
    ".onnx": Thing(Kind.MODEL, "an ONNX model"),
    ".pb": Thing(Kind.MODEL, "a TensorFlow graph"),
    ".index": Thing(Kind.MODEL, "a TensorFlow checkpoint"),
}
# Protocols 2 to 5 begin with a number, 0 and 1 with a mark, list, dictionary or name in ASCII.
PICKLE = re.compile(rb"\x80[\x02-\x05]|[(\]}]|c[\w.]+\n[\w.]+\n")
GENOTYPE = re.compile(r"\bGenotype\w*\s*\(|\bnormal(_concat)?\s*=\s*\[")
INTEGERS = re.compile(r"[\s\[(]*-?\d{1,18}(?:[\s,;\])]+[\[(]*-?\d{1,18})+[\s,;\])]*")
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+\S")

TAKE_OVER = (
    "of the weights of others gan-nas import takes over AutoGAN's and AdversarialNAS' checkpoints; "
    "of another network write the architecture as a genome and train that, or score a folder of "
    "the images it makes"
)
OF_WEIGHTS = {
    Wanted.GENOME: "write its architecture as a genome's JSON or as AutoGAN's 14 integers",
    Wanted.GENERATOR: TAKE_OVER,
    Wanted.SCORED: TAKE_OVER,
    Wanted.CLASSIFIER: "read it with torch.load(FILE, weights_only=True) and write its state dict "
    "with safetensors.torch.save_file",
    Wanted.STATISTICS: "write its mean and covariance as mu and sigma with numpy.savez",
}


def refuse_foreign(path: Path | str, wanted: Wanted, *allowed: Kind) -> Kind:
    """Return the kind of a path; raises InvalidInput when it is clearly none of the allowed."""
    thing = identify(path)
    if thing.kind not in (Kind.UNKNOWN, *allowed):
        advice = _advice(thing.kind, wanted)
        raise InvalidInput(f"{_shortened(path)} is {thing.words}: {advice}")
    return thing.kind


def identify(path: Path | str) -> Thing:
    """Say what is at a path, or what a text is that is none."""
    text, path = str(path), Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _of_folder(path)
        if not stat.S_ISREG(mode):  # reading it could take forever
            return Thing(Kind.SPECIAL, "a pipe or a device")
        with path.open("rb") as file:
            head = file.read(HEAD)
        return _of_content(path, head) or Thing(Kind.UNKNOWN, "of no kind that is known here")
    except (OSError, ValueError):  # no such path, or one that cannot be read or be a path
        if ADDRESS.match(text):
            return Thing(Kind.ADDRESS, "an address")
        return _of_text(text) or Thing(Kind.UNKNOWN, "no file")


def parse_integers(text: str) -> list[int] | None:
    """Read two or more integers between commas, spaces or brackets; None for other texts."""
    return [int(n) for n in re.findall(r"-?\d+", text)] if INTEGERS.fullmatch(text) else None


def _shortened(path: Path | str) -> str:
    """Return a path, or a long text that came in place of one in its beginning."""
    text = str(path)
    return text if len(text) <= 200 or Path(path).is_absolute() else f"{text[:57]}..."


def _advice(kind: Kind, wanted: Wanted) -> str:
    match kind:
        case Kind.PICKLE | Kind.MODEL if wanted in OF_WEIGHTS:
            return OF_WEIGHTS[wanted]
        case Kind.SAFETENSORS | Kind.STATISTICS if wanted in (Wanted.GENERATOR, Wanted.SCORED):
            return wanted
        case Kind.SAFETENSORS if wanted == Wanted.GENOME:
            return OF_WEIGHTS[wanted]
        case Kind.GENOTYPE if wanted == Wanted.GENOME:
            return f"write the architecture as a genome's JSON; {wanted}"
        case Kind.GENOME | Kind.INTEGERS if wanted in (Wanted.GENERATOR, Wanted.SCORED):
            return f"an architecture without weights, train it first; {wanted}"
        case Kind.ARCHIVE:
            return f"unpack it; {wanted}"
        case Kind.ADDRESS:
            return f"fetch it and name the file; {wanted}"
        case Kind.SPECIAL:
            return f"write it to a file; {wanted}"
    return wanted


def _of_folder(path: Path) -> Thing:
    config = path / "config.json"
    if config.is_file() and ((path / ".lock").exists() or '"run_id"' in (_text(config) or "")):
        return Thing(Kind.RUN, "the directory of a run")
    weights = path / "model.safetensors"  # of a folder for the Hugging Face Hub
    if (path / "config.json").is_file() and weights.is_file():
        inside = identify(weights)
        if inside.kind == Kind.GENERATOR:
            return Thing(Kind.GENERATOR, "an exported generator's folder")
    return Thing(Kind.FOLDER, "a folder" if any(path.iterdir()) else "an empty folder")


def _of_content(path: Path, head: bytes) -> Thing | None:
    """Tell by the first bytes; None for what is unknown or damaged."""
    if not head:
        return Thing(Kind.EMPTY, "an empty file")
    for magic, kind, words in MAGIC:
        if head.startswith(magic):
            return Thing(kind, words)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Thing(Kind.IMAGE, "a WebP image")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _of_zip(path)
    if head[257:262] == b"ustar":
        return Thing(Kind.ARCHIVE, "a tar archive")
    if head.startswith(b"\x93NUMPY"):
        return _of_npy(path)
    if head[8:9] == b"{":
        return _of_safetensors(path)
    text = _text(path)
    thing = None if text is None else _of_json(text) or _of_text(text)
    if thing is None and PICKLE.match(head) and _ends_with_stop(path):
        return Thing(Kind.PICKLE, f"a pickle, {NEVER_READ}")
    return thing or SUFFIXES.get(path.suffix.lower())


def _ends_with_stop(path: Path) -> bool:
    """Tell whether a file ends as every pickle does; PyTorch's old format goes on after it."""
    with path.open("rb") as file:
        if file.read(1) == b"\x80":
            return True
        file.seek(-1, 2)
        return file.read(1) == b"."


def _text(path: Path) -> str | None:
    if path.stat().st_size > TEXT_LIMIT:
        return None
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _of_text(text: str) -> Thing | None:
    """Tell what a text is that is no JSON object."""
    numbers = parse_integers(text)
    if numbers is not None:
        return Thing(Kind.INTEGERS, f"a list of {len(numbers)} integers")
    if GENOTYPE.search(text):
        return Thing(Kind.GENOTYPE, "a genotype of cells as DARTS writes it")
    return None


def _of_json(text: str) -> Thing | None:
    content = _parsed(text)
    if not isinstance(content, dict) or not content:
        return None
    keys = content.keys()
    if keys & {"generator", "discriminator"}:
        return Thing(Kind.GENOME, "a genome")
    if keys >= {"genomes", "seconds"} or keys >= {"files", "best", "last"}:
        return Thing(Kind.RESULT, "the result of a run")
    if keys >= {"scores", "passport"}:
        return Thing(Kind.SCORES, "a file of scores")
    if "run_id" in keys:
        return Thing(Kind.JSON, "the settings of a run")
    if "nbformat" in keys:
        return Thing(Kind.JSON, "a notebook")
    return Thing(Kind.JSON, f"a JSON object with {shorten(', '.join(keys))}")


def _parsed(text: str | bytes) -> object:
    """Parse JSON; None for what is none."""
    try:
        return from_json(text)
    except ValueError:
        return None


def _of_zip(path: Path) -> Thing | None:
    try:
        with open_zip(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None
    last = {name.rpartition("/")[2] for name in names}
    if "data.pkl" in last:
        what = "a TorchScript module" if "constants.pkl" in last else "a pickle of torch.save"
        return Thing(Kind.PICKLE, f"{what}, {NEVER_READ}")
    if names and all(name.endswith(".npy") for name in names):
        arrays = ", ".join(name.removesuffix(".npy") for name in names)
        return Thing(Kind.NPZ, f"an npz that holds {shorten(arrays)}")
    return Thing(Kind.ZIP, "a zip")


def _of_npy(path: Path) -> Thing | None:
    from gan_nas.formats import npy  # NumPy is slow to import, and most paths are no arrays

    try:
        with path.open("rb") as file:
            shape, _, dtype = npy.read_header(file)
    except (OSError, ValueError):  # damaged
        return None
    if dtype.hasobject:
        return Thing(Kind.PICKLE, f"an .npy of pickled objects, {NEVER_READ}")
    return Thing(Kind.NPY, f"an .npy of {shorten(dtype.name)} of shape {shorten(shape)}")


def _of_safetensors(path: Path) -> Thing | None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = _parsed(file.read(length)) if length <= HEADER_LIMIT else None
    if not isinstance(header, Mapping):
        return None
    metadata = header.get("__metadata__")
    if {"mu", "sigma"} <= header.keys():
        return Thing(Kind.STATISTICS, "a file of statistics")
    if isinstance(metadata, Mapping) and "gan_nas" in metadata:
        return Thing(Kind.GENERATOR, "a generator file of gan-nas")
    return Thing(Kind.SAFETENSORS, "a safetensors file without a genome in it")
