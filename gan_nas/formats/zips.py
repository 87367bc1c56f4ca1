"""Zips of strangers, whose directory is looked at before it is read.

A directory may list a million members that lie in one place, or nowhere: ten times the file in
memory. An honest zip has more in its members than about them.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = 4 << 20  # bytes of a directory, some 60,000 members; more in a zip that is twice as large


@contextmanager
def open_zip(source: Path | bytes) -> Iterator[zipfile.ZipFile]:
    """Lend a zip for reading; raises zipfile.BadZipFile where its directory is most of it."""
    raw = io.BytesIO(source) if isinstance(source, bytes) else io.FileIO(source)
    size = raw.seek(0, io.SEEK_END)
    raw.seek(0)
    with _Wary(raw) as file:
        file.most = max(LIMIT, size // 2)
        with zipfile.ZipFile(file) as archive:
            file.most = None
            yield archive


class _Wary(io.BufferedReader):
    """Reads no more at once than `most`: zipfile reads a directory whole."""

    most: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is not None and size is not None and size > self.most:
            raise zipfile.BadZipFile(
                f"it lists its members in {size:,} bytes, at most {self.most:,} are allowed"
            )
        return super().read(size)
