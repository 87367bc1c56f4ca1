"""The sides of images that networks can have."""

from gan_nas.errors import InvalidInput

MAX_RESOLUTION = 512


def bottom_width(resolution: int, num_cells: int) -> int:
    """Return the side of the stem's output; raises InvalidInput when it is not whole."""
    if not 0 < resolution <= MAX_RESOLUTION or resolution % 2**num_cells:
        raise InvalidInput(
            f"resolution {resolution} does not suit {num_cells} cells: it must be a multiple of "
            f"{2**num_cells}, at most {MAX_RESOLUTION}"
        )
    return resolution >> num_cells
