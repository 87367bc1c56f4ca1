"""Pictures within a report: drawn anew, or read from a run as pixels and nothing else."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from PIL import Image, features

from gan_nas.errors import InvalidInput
from gan_nas.files import read_bytes
from gan_nas.reports.html import data_uri, element
from gan_nas.runs.figures import figure_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = 1 << 25  # bytes of a picture's file
MOST_PIXELS = 1 << 24
NUM_SHOWN = 8  # grids of a run, evenly spaced in time

logger = logging.getLogger(__name__)


def drawn(figure: "Figure", says: str) -> ET.Element:
    """Return a figure with what it says, sharp at any size."""
    image = element("img", src=data_uri(figure_bytes(figure, "svg"), "image/svg+xml"), alt=says)
    return element("figure", image, element("figcaption", says), class_="chart", tabindex="0")


def copied(path: Path, says: str) -> ET.Element:
    """Return a picture of a run, its pixels written anew; one that cannot be read says so."""
    try:
        content, kind = _pixels(path)
    except InvalidInput as error:
        return element("p", f"{says}: {error}.", class_="note")
    image = element("img", src=data_uri(content, kind), alt=says)
    return element("figure", image, element("figcaption", says))


def some_of(paths: Sequence[Path]) -> list[Path]:
    """Return a few of many, evenly spaced, the first and the last among them."""
    if len(paths) <= NUM_SHOWN:
        return list(paths)
    return [paths[i * (len(paths) - 1) // (NUM_SHOWN - 1)] for i in range(NUM_SHOWN)]


def _pixels(path: Path) -> tuple[bytes, str]:
    """Return a PNG's pixels as WebP, or PNG again, whichever is smaller, and the kind."""
    data = read_bytes(path, LIMIT, follow=False)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise InvalidInput(f"{path} has {picture.width}x{picture.height} pixels, too many")
            pixels = picture.convert("L" if picture.mode in ("L", "1") else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{path} is no picture that can be read") from error
    kinds: list[tuple[str, dict[str, int]]] = [("PNG", {"optimize": True})]
    if features.check("webp"):
        kinds.append(("WEBP", {"quality": 80}))
    made = []
    for kind, options in kinds:
        file = io.BytesIO()
        pixels.save(file, kind, **options)
        made.append((file.getvalue(), f"image/{kind.lower()}"))
    return min(made, key=lambda one: len(one[0]))
