"""The published genomes that come with the package, and one way to name any genome."""

from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from gan_nas.errors import InvalidInput, nearest
from gan_nas.genome import Genome, parse_genome, read_genome


def published_names() -> list[str]:
    """List the names of the packaged genomes."""
    entries = files("gan_nas.genomes").iterdir()
    return sorted(e.name.removesuffix(".json") for e in entries if e.name.endswith(".json"))


def published_genome(name: str) -> Genome:
    """Read one packaged genome."""
    return parse_genome((files("gan_nas.genomes") / f"{name}.json").read_text("utf-8"), name)


def load_genome(reference: str) -> Genome:
    """Read a genome by published name or file path; raises InvalidInput when it is neither."""
    names = published_names()
    if reference in names:
        return published_genome(reference)
    path = Path(reference)
    with suppress(OSError):  # a name that is too long for a path
        if path.is_file():
            return read_genome(path)
    raise InvalidInput(
        f"{reference!r} is neither a genome file nor a published genome"
        f"{nearest(reference.lower(), names) or '; published are ' + ', '.join(names)}"
    )
