"""What turns images into the features and logits that scores are made of."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_nas.data import resize

BATCH_SIZE = 500  # fixed: the kernels that a GPU picks, and so the last digits, depend on it
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen network with its name, native size and hash.

    `network` maps float images (N, channels, side, side) in [0, 1] to features (N, d) and logits
    (N, K). `labelled` is False where the logits do not stand for the data's classes, so that no
    score can be made of them. `accuracy` is the share of held-out images it gets right, if known.
    """

    name: str
    fingerprint: str
    side: int
    channels: int
    labelled: bool
    network: nn.Module
    accuracy: float | None = None

    @property
    def device(self) -> torch.device:
        """Return where the network computes."""
        return next(self.network.parameters()).device

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits, float32, of uint8 images (N, C, H, H) of any size.

        Images are resized by `resize`; grey is repeated to three channels, colour becomes luma
        for a grey network.
        """
        parts = [self._embed(part) for part in torch.split(images.to(self.device), BATCH_SIZE)]
        features, logits = zip(*parts, strict=True)
        if len(parts) == 1:
            return features[0], logits[0]
        return torch.cat(features), torch.cat(logits)

    def _embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = resize(images, self.side).float().div_(255)
        self.network.eval()
        # Never half precision nor TF32 here: scores must not depend on how a GAN is trained.
        with torch.inference_mode(), full_precision(x.device):
            x = as_channels(x, self.channels).contiguous(memory_format=torch.channels_last)
            features, logits = self.network(x)
        return features, logits


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute in float32 with deterministic convolutions, whatever is set around."""
    autocast = torch.autocast(device.type, enabled=False)
    with autocast, torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def as_channels(x: Tensor, channels: int) -> Tensor:
    """Turn float images into `channels` channels: grey is repeated, colour becomes luma."""
    match x.shape[1], channels:
        case 1, 3:
            return x.expand(-1, 3, -1, -1)
        case 3, 1:
            weights = torch.tensor(LUMA, device=x.device).view(1, 3, 1, 1)
            return (x * weights).sum(1, keepdim=True)
    assert x.shape[1] == channels
    return x


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return 16 hex digits of the sha256 over names, types, shapes and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous().cpu()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()[:16]
