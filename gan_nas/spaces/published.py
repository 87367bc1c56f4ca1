"""The published genomes that come with the package, and one way to name any genome."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from gan_nas.errors import InvalidInput, nearest, shorten
from gan_nas.files import read_text
from gan_nas.formats.foreign import Kind, Wanted, parse_integers, refuse_foreign
from gan_nas.formats.left import genome_in
from gan_nas.spaces import adversarialnas, autogan
from gan_nas.spaces.genome import Genome, Source, parse_genome, read_genome, source_text

WIDTH, DISCRIMINATOR_WIDTH = 256, 128  # both authors' for CIFAR-10; codes have none
MATRIX_SHAPE = (3, 7)

LEFT = (Kind.RUN, Kind.RESULT, Kind.GENERATOR)  # what a run has left
EXAMPLE = "autogan-cifar10-top1"  # where any will do


def published_names() -> list[str]:
    """List the names of the packaged genomes."""
    entries = files("gan_nas.genomes").iterdir()
    return sorted(e.name.removesuffix(".json") for e in entries if e.name.endswith(".json"))


def published_genome(name: str) -> Genome:
    """Read one packaged genome."""
    return parse_genome((files("gan_nas.genomes") / f"{name}.json").read_text("utf-8"), name)


def load_genome(reference: str) -> Genome:
    """Read a genome by published name, file path or AutoGAN's code; else raises InvalidInput.

    A file is a genome's JSON, a matrix as AdversarialNAS' authors publish their generators,
    AutoGAN's code, or what a run has left: a generator file, a result, the run's directory. A
    training leads to the genome that it trained, a search to the best that it found.
    """
    names = published_names()
    if reference in names:
        return published_genome(reference)
    path = Path(reference)
    if reference and _exists(path):
        written = (Kind.GENOME, Kind.NPY, Kind.INTEGERS)
        kind = refuse_foreign(path, Wanted.GENOME, *written, *LEFT)
        if kind in LEFT:
            return parse_genome(*genome_in(path, kind))
        if kind == Kind.NPY or (kind == Kind.UNKNOWN and path.suffix == ".npy"):
            return read_matrix(path)
        if kind == Kind.INTEGERS:
            return decode_code(parse_integers(read_text(path).lstrip("\ufeff")) or [], str(path))
        return read_genome(path)
    if (code := parse_integers(reference)) is not None:
        return decode_code(code)
    if reference:
        refuse_foreign(reference, Wanted.GENOME)
    raise InvalidInput(
        f"{reference!r} is neither a genome file nor a published genome"
        f"{nearest(reference.lower(), names) or '; published are ' + ', '.join(names)}"
    )


def decode_code(code: Sequence[int], where: str = "the list") -> Genome:
    """Turn AutoGAN's code, 14 integers as its authors print them, into a genome.

    A code has no sizes: the genome gets those with which the authors train on CIFAR-10.
    """
    try:
        generator = autogan.decode(code, WIDTH)
    except InvalidInput as error:
        raise InvalidInput(f"{where} is no code of AutoGAN: {error}") from error
    source = Source(where=f"code {','.join(map(str, code))}")
    return Genome(
        generator=generator,
        discriminator=autogan.SPACE.discriminator(DISCRIMINATOR_WIDTH),
        source=source,
    )


def read_matrix(path: Path) -> Genome:
    """Read a matrix of operation numbers, 3 cells x 7 edges, from a NumPy file.

    A matrix has no sizes: the genome gets those with which the authors train on CIFAR-10. Raises
    InvalidInput for anything else, pickled objects included.
    """
    from numpy.lib.format import read_array

    from gan_nas.formats.npy import read_header

    try:
        with path.open("rb") as file:
            header = read_header(file)
            is_matrix = header.dtype.kind in "iu" and header.shape == MATRIX_SHAPE
            file.seek(0)
            matrix = read_array(file, allow_pickle=False) if is_matrix else None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} is no .npy file of plain numbers") from error
    if matrix is None:
        raise InvalidInput(
            f"{path} holds {header.dtype.name[:20]} of shape {shorten(header.shape)}, a "
            f"published matrix holds whole numbers of shape {MATRIX_SHAPE}"
        )
    try:
        generator = adversarialnas.decode_generator(matrix.tolist(), WIDTH)
    except InvalidInput as error:
        raise InvalidInput(f"{path} is no generator: {error}") from error
    discriminator = adversarialnas.SPACE.discriminator(DISCRIMINATOR_WIDTH)
    source = Source(where=source_text(f"matrix {path.name}"))
    return Genome(generator=generator, discriminator=discriminator, source=source)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long for a path, or has a null byte
        return False
