"""Headers of safetensors, whose length is looked at before they are parsed."""

from pathlib import Path

from safetensors import SafetensorError

HEADER_LIMIT = 1 << 20  # bytes: the tensors of a network are listed in a tenth of it


def check_header(source: Path | bytes, limit: int = HEADER_LIMIT) -> None:
    """Raise SafetensorError for a header that is longer than honest ones are."""
    if isinstance(source, bytes):
        head = source[:8]
    else:
        with source.open("rb") as file:
            head = file.read(8)
    length = int.from_bytes(head, "little")
    if length > limit:
        raise SafetensorError(f"a header of {length:,} bytes, at most {limit:,} are allowed")
