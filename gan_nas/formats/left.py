"""What a run has left: its generator, its genome and the size of its images, from any of its paths.

A path may be the run's directory, its result.json, a generator file or a genome's file in it. Paths
in a result are relative to the run; older results name them from where the command was typed.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from gan_nas.errors import InvalidInput
from gan_nas.files import read_text, unseal
from gan_nas.formats.foreign import Kind, identify

CONFIG, RESULT = "config.json", "result.json"
GENERATORS = ("best.safetensors", "generator.safetensors")  # the better one first
WEIGHTS = "model.safetensors"  # of an exported folder
LIMIT = 1 << 26  # bytes of a JSON file


class Shape(NamedTuple):
    """The size of images: a side in pixels, and channels."""

    side: int
    channels: int


class Written(NamedTuple):
    """A genome's JSON, and what it was found in."""

    text: str
    where: str


def is_run(path: Path) -> bool:
    """Tell whether a path is the directory of a run, finished or not."""
    return path.is_dir() and identify(path).kind == Kind.RUN


def generator_file(path: Path) -> Path:
    """Return the generator file that a run's directory or a training's result stands for.

    It is that of the lowest distance. Any other path is returned as it is. Raises InvalidInput for
    a run without one.
    """
    if is_run(path):
        found = [path / name for name in GENERATORS if (path / name).is_file()]
        if found:
            return found[0]
        is_search = "genome" not in read_object(path / CONFIG)
        inside = sorted(path.glob(f"retrained/*/{GENERATORS[0]}"))
        advice = "train what it finds first" if is_search else "train it to its first score"
        advice = f"name {inside[0].parent}" if inside else advice
        if len(inside) > 1:
            advice = f"name one of its {len(inside)} trainings, such as {inside[0].parent}"
        raise InvalidInput(f"the run in {path} has no generator of its own: {advice}")
    if identify(path).kind != Kind.RESULT:
        return path
    files = read_object(path).get("files")
    best = files.get("best") if isinstance(files, dict) else None
    if not isinstance(best, str):
        raise InvalidInput(f"{path} names no generator: a training's result does")
    return anchored(path.parent, best)


def genome_in(path: Path, kind: Kind) -> Written:
    """Return the genome that a path of this kind leads to: a run, a result, a generator file.

    A search leads to the best that it found. Raises InvalidInput for a run without any.
    """
    if kind == Kind.GENERATOR:
        return Written(json.dumps(_metadata(path).get("genome")), f"the genome in {path}")
    run = path if kind == Kind.RUN else path.parent
    genome = read_object(run / CONFIG).get("genome") if is_run(run) else None
    if isinstance(genome, dict):
        return Written(json.dumps(genome), f"the genome in {run / CONFIG}")
    result = run / RESULT if kind == Kind.RUN else path
    if not result.is_file():
        raise InvalidInput(
            f"the run in {run} has found no genome yet: run it to its end, or name a genome"
        )
    genomes = read_object(result).get("genomes")
    best = genomes[0] if isinstance(genomes, list) and genomes else None
    file = best.get("file") if isinstance(best, dict) else None
    if not isinstance(file, str):
        raise InvalidInput(f"{result} names no genome: results of searches and trainings do")
    found = anchored(run, file)
    return Written(read_text(found), str(found))


def images_of(path: Path) -> Shape | None:
    """Return the size of the images that a path's run or generator was made for, if it tells."""
    kind = identify(path).kind
    if kind == Kind.GENERATOR:
        return _shape(_metadata(path), "resolution")
    if kind not in (Kind.GENOME, Kind.RESULT, Kind.RUN):
        return None
    run = next((one for one in (path, path.parent, path.parent.parent) if is_run(one)), None)
    if run is None:
        return None
    for name in GENERATORS:
        if (run / name).is_file():
            return _shape(_metadata(run / name), "resolution")
    return _shape(read_object(run / CONFIG), "image_side")


def anchored(run: Path, file: str) -> Path:
    """Return where a file is that a run's result names.

    Older results name it absolutely, or from where the command was typed: it is then the longest
    end of its path that exists in the run, so that runs may have been moved.
    """
    parts = Path(file).parts
    ends = [run.joinpath(*parts[first:]) for first in range(len(parts)) if parts[first] != "/"]
    return next(filter(_exists, ends), run / file)


def relative(run: Path, file: str) -> str:
    """Return a path inside a run as its result names it; any other one as it is."""
    path = Path(file)
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else file


def _exists(path: Path) -> bool:
    """Tell whether there is such a file: of a name that no file can have there is none."""
    try:
        return path.exists()
    except OSError:
        return False


def _shape(content: dict[str, Any], side: str) -> Shape | None:
    found = content.get(side), content.get("image_channels")
    match found:
        case (int() as pixels, int() as channels):
            return Shape(pixels, channels)
    return None


def _metadata(path: Path) -> dict[str, Any]:
    """Return what a generator file says of itself."""
    from safetensors import SafetensorError, safe_open

    from gan_nas.formats.header import check_header

    if path.is_dir():
        path = path / WEIGHTS
    try:
        check_header(path)
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get("gan_nas", "")
    except (SafetensorError, OSError) as error:
        raise InvalidInput(f"{path} is damaged, perhaps cut short: {error}") from error
    content = unseal(text)
    if content is None:
        raise InvalidInput(f"{path} is damaged: its metadata do not have the hash they state")
    return content


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object; raises InvalidInput with the reason."""
    try:
        content = json.loads(read_text(path, LIMIT, follow=False))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} does not hold a JSON object")
    return content
