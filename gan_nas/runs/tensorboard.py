"""A run's scalars and samples for TensorBoard, beside its log, which says the same and more."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from gan_nas.errors import MissingResource
from gan_nas.runs.folders import TENSORBOARD

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

TIMES = ("step", "images", "seconds")  # of a line; the first is what scalars are drawn over


class Board:
    """Writes events; where a run goes on from an earlier step, what was written after it is hidden.

    A number of a line is a scalar `event/name`, a grid of images (N, C, H, W) the image `samples`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def line(self, line: Mapping[str, Any]) -> None:
        """Write the numbers of a line of the log."""
        for name, value in line.items():
            if name not in TIMES and isinstance(value, int | float):
                self._at(line["step"]).add_scalar(f"{line['event']}/{name}", value, line["step"])

    def grid(self, images: Tensor, step: int) -> None:
        """Write uint8 images (N, C, H, W) of a step."""
        self._at(step).add_images("samples", images.cpu().numpy(), step)

    def close(self) -> None:
        """Write what is left to the disk."""
        if self._writer is not None:
            self._writer.close()

    def _at(self, step: int) -> "SummaryWriter":
        if self._writer is None:
            from tensorboardX import SummaryWriter

            # Files are named by the second: without the step a quick restart would write over one.
            self._writer = SummaryWriter(
                str(self.folder), purge_step=step, filename_suffix=f".{step}"
            )
        return self._writer


def check_installed() -> None:
    """Raise MissingResource without the package tensorboardX."""
    if find_spec("tensorboardX") is None:
        raise MissingResource(
            "events for TensorBoard need the package tensorboardX, which is not installed: "
            "pip install 'gan-nas[tensorboard]'"
        )


@contextmanager
def board(run: Path, *, wanted: bool) -> Iterator[Board | None]:
    """Lend what writes a run's events, none where none are wanted.

    Raises MissingResource without the package tensorboardX.
    """
    if not wanted:
        yield None
        return
    check_installed()
    writer = Board(run / TENSORBOARD)
    try:
        yield writer
    finally:
        writer.close()
