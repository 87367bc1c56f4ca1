"""Some of the features, kept for the measures that compare single images."""

import torch
from torch import Tensor

from gan_nas.errors import InvalidInput

SIZE = 10_000  # 82 MB of Inception's 2048-d features


class Reservoir:
    """Keeps up to `size` of the `num` features that come in parts, float32 on the CPU.

    They are evenly spaced, since data sets may be sorted by class: the i-th is i num / size.
    """

    def __init__(self, num: int, size: int = SIZE) -> None:
        if num < 1 or size < 1:
            raise InvalidInput(f"{size} of {num} features cannot be kept; use at least 1 of each")
        self.num, self.size, self.seen = num, min(num, size), 0
        self._kept: list[Tensor] = []

    def update(self, features: Tensor) -> None:
        """Look at the next features (B, d)."""
        start, self.seen = self.seen, self.seen + len(features)
        if self.seen > self.num:
            raise InvalidInput(
                f"more features came than the {self.num} announced; announce as many as come"
            )
        first, last = (-(-place * self.size // self.num) for place in (start, self.seen))
        rows = torch.arange(first, last, device=features.device) * self.num // self.size - start
        self._kept.append(features[rows].float().cpu())

    @property
    def features(self) -> Tensor:
        """Return what was kept (min(num, size), d), in the order in which it came."""
        if self.seen < self.num:
            raise InvalidInput(
                f"{self.seen} features came, not the {self.num} announced; announce as many as come"
            )
        return torch.cat(self._kept)
