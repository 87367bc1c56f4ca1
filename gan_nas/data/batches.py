"""Training batches by index from seeded permutations: any step's batch can be made anew."""

import torch
from torch import Tensor

from gan_nas.streams import stream


class Batches:
    """The endless sequence of epochs over uint8 `images` (N, C, H, W), cut into batches.

    Batch `step` covers the positions [step * B, (step + 1) * B); epoch e is ordered by a
    permutation of the stream (seed, `purpose`, e). A batch may straddle epochs, and B may be
    larger than N. Batches are on `device`, by default that of the images: where these stay on the
    host, a batch is gathered there, in pinned memory, and copied while the device works.
    """

    def __init__(
        self,
        images: Tensor,
        batch_size: int,
        seed: int,
        purpose: str = "data order",
        *,
        device: torch.device | None = None,
    ) -> None:
        assert images.dtype == torch.uint8
        assert len(images) > 0
        assert batch_size > 0
        self.images, self.device = images, device or images.device
        self.batch_size = batch_size
        self.seed, self.purpose = seed, purpose
        self._orders: dict[int, Tensor] = {}
        # A batch touches at most this many epochs; two at least, for batches on a border.
        self._num_cached = max(2, (batch_size - 1) // len(images) + 2)

    def at(self, step: int) -> Tensor:
        """Return batch `step`, float32 (B, C, H, W) in [-1, 1], on `device`."""
        return self.of(self._rows(step))

    def of(self, indices: Tensor) -> Tensor:
        """Return the images of these numbers (B,), as `at` does."""
        return take(self.images, indices, self.device).float().div_(127.5).sub_(1.0)

    def levels(self, step: int) -> Tensor:
        """Return batch `step` as it is stored, uint8 (B, C, H, W), on `device`."""
        return take(self.images, self._rows(step), self.device)

    def indices(self, step: int) -> Tensor:
        """Return the numbers of the images of batch `step`, int64 (B,), on `device`."""
        rows = self._rows(step)
        return rows if rows.device == self.device else rows.to(self.device)

    def _rows(self, step: int) -> Tensor:
        """Return the same on the images' device."""
        start, stop = step * self.batch_size, (step + 1) * self.batch_size
        size = len(self.images)
        epochs = range(start // size, (stop - 1) // size + 1)
        parts = [
            self._order(epoch)[max(start - epoch * size, 0) : stop - epoch * size]
            for epoch in epochs
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _order(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            # Drawn on the CPU: the same order on every device.
            generator = stream(self.seed, self.purpose, epoch)
            order = torch.randperm(len(self.images), generator=generator, device="cpu")
            self._orders[epoch] = order.to(self.images.device)
            while len(self._orders) > self._num_cached:
                del self._orders[next(iter(self._orders))]
        return self._orders[epoch]


def take(images: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    """Return rows (B,) of images (N, C, H, W) on `device`, from wherever the images are."""
    if rows.device != images.device:
        rows = rows.to(images.device)
    chosen = images.index_select(0, rows)
    if chosen.device == device:
        return chosen
    if device.type == "cuda" and chosen.device.type == "cpu":
        return chosen.pin_memory().to(device, non_blocking=True)
    return chosen.to(device)
