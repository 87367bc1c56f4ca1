"""What turns images into the features and logits that scores are made of."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TypeGuard

import torch
from torch import Tensor, nn

from gan_nas.data import resize
from gan_nas.errors import Interrupted, InvalidInput, shorten

BATCH_SIZE = 500  # fixed: the kernels that a GPU picks, and so the last digits, depend on it
CUSTOM_BATCH_SIZE = 32  # for a network of unknown memory
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen network with its name, native size and hash.

    With a `side`, `network` maps float images (N, channels, side, side) in [0, 1] to features
    (N, d) and logits (N, K). Without, it takes uint8 images of any size, resizes them itself, as
    `own_resize` says, and may return features alone; its fingerprint must change with all of that.
    `labelled` is False where the logits do not stand for the data's classes, so that no score can
    be made of them. `accuracy` is the share of held-out images it gets right, if known.
    `canonical` is True only for the Inception network that gave IS and FID their names, with the
    weights of 2015-12-05. `precision` is that of its convolutions.
    """

    name: str
    fingerprint: str
    side: int | None
    channels: int
    labelled: bool
    network: nn.Module
    accuracy: float | None = None
    canonical: bool = False
    own_resize: str = "the network's own"
    precision: str = "float32"
    batch_size: int = BATCH_SIZE

    @property
    def device(self) -> torch.device:
        """Return where the network computes."""
        tensors = chain(self.network.parameters(), self.network.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))

    @property
    def identity(self) -> dict[str, str]:
        """Return what a run's settings say of it: the hash decides, the name is for people."""
        return {"backbone": self.fingerprint, "judge": self.name}

    @property
    def resize(self) -> str:
        """Say how images reach the network's size."""
        return self.own_resize if self.side is None else f"bilinear / block mean to {self.side}"

    @property
    def score_name(self) -> str:
        """Return what a score of the logits may be called; there is none if not `labelled`."""
        return "inception_score" if self.canonical else "classifier_score"

    @property
    def distance_name(self) -> str:
        """Return what the Frechet distance of the features may be called."""
        return "fid" if self.canonical else f"frechet_distance[{self.name}]"

    def embed(
        self, images: Tensor, stop: Callable[[], bool] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return features and logits, float32, of uint8 images (N, C, H, H) of any size.

        Grey is repeated to three channels, colour becomes luma for a grey network. A network
        without logits gives (N, 0). Raises Interrupted between two layers when `stop` says: on a
        CPU a batch can take half a minute.
        """
        with interruptible(self.network, stop):
            parts = [
                self._embed(part) for part in torch.split(images.to(self.device), self.batch_size)
            ]
        features, logits = zip(*parts, strict=True)
        if len(parts) == 1:
            return features[0], logits[0]
        return torch.cat(features), torch.cat(logits)

    def _embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.network.eval()
        # Never half precision nor TF32 here: scores must not depend on how a GAN is trained.
        with torch.inference_mode(), full_precision(images.device):
            if self.side is None:
                return self._outputs(self.network(uint8_channels(images, self.channels)), images)
            x = resize(images, self.side, "box").float().div_(255)
            x = as_channels(x, self.channels).contiguous(memory_format=torch.channels_last)
            features, logits = self.network(x)
        return features, logits

    def _outputs(self, outputs: object, images: Tensor) -> tuple[Tensor, Tensor]:
        """Check what a network of unknown manners returned."""
        features, logits = outputs if _is_pair(outputs) else (outputs, images.new_empty(0))
        if not (_are_rows(features, images) and (logits.numel() == 0 or _are_rows(logits, images))):
            raise InvalidInput(
                f"the backbone {self.name} turned {len(images)} images into {_shapes(outputs)}; "
                "expected are features (N, d), or a tuple of features (N, d) and logits (N, K)"
            )
        if self.labelled and logits.numel() == 0:
            raise InvalidInput(
                f"the backbone {self.name} is labelled and returned no logits; let it return "
                "features and logits, or call it not labelled"
            )
        return features.float(), logits.float().reshape(len(images), -1)


def custom_backbone(
    name: str,
    network: nn.Module,
    *,
    fingerprint: str | None = None,
    channels: int = 3,
    labelled: bool = False,
    resize: str = "the network's own",
    batch_size: int = CUSTOM_BATCH_SIZE,
) -> Backbone:
    """Make a backbone of any module that turns uint8 images into features.

    `network` takes uint8 (N, channels, H, W) of any size on its own device, and returns features
    (N, d), or features and logits (N, K). It is used in evaluation mode, without gradients, and
    should not depend on N. `labelled` says that the logits tell the data's classes apart, so that
    a classifier_score can be made of them. `resize` says in words how the network resizes. The
    `fingerprint` defaults to a hash of its tensors: give one where the same tensors can compute
    something else. Scores never bear the names of Inception's, whatever `name` is.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise InvalidInput(
            f"a backbone cannot be named {shorten(name)}; use letters, digits, _, . and -"
        )
    if channels not in (1, 3):
        raise InvalidInput(f"a backbone takes 1 or 3 channels, not {shorten(channels)}")
    if fingerprint is None:
        tensors = network.state_dict()
        if not tensors:
            raise InvalidInput(
                f"the backbone {name} holds no tensors to hash; give it a fingerprint"
            )
        fingerprint = hash_tensors(tensors)
    return Backbone(
        name=name,
        fingerprint=fingerprint,
        side=None,
        channels=channels,
        labelled=labelled,
        network=network,
        own_resize=resize,
        batch_size=batch_size,
    )


@contextmanager
def interruptible(network: nn.Module, stop: Callable[[], bool] | None) -> Iterator[None]:
    """Let the network's layers raise Interrupted for a while, before any of them computes."""

    def look(*_: object) -> None:
        if stop is not None and stop():
            raise Interrupted("stopped while embedding images; the same command goes on")

    hooks = []
    if stop is not None:
        hooks = [module.register_forward_pre_hook(look) for module in network.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


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


def uint8_channels(images: Tensor, channels: int) -> Tensor:
    """Do the same to uint8 images; luma is rounded."""
    if images.shape[1] > channels:
        return as_channels(images.float(), channels).round_().to(torch.uint8)
    return as_channels(images, channels)


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return 16 hex digits of the sha256 over names, types, shapes and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous().cpu()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # As bytes, since NumPy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _is_pair(outputs: object) -> TypeGuard[tuple[Tensor, Tensor]]:
    return (
        isinstance(outputs, tuple)
        and len(outputs) == 2
        and all(isinstance(tensor, Tensor) for tensor in outputs)
    )


def _are_rows(tensor: object, images: Tensor) -> TypeGuard[Tensor]:
    return (
        isinstance(tensor, Tensor)
        and tensor.ndim == 2
        and len(tensor) == len(images)
        and tensor.is_floating_point()
    )


def _shapes(outputs: object) -> str:
    if isinstance(outputs, Tensor):
        return f"{tuple(outputs.shape)}"
    if isinstance(outputs, tuple | list):
        return f"{type(outputs).__name__} of {', '.join(_shapes(one) for one in outputs)}"
    return type(outputs).__name__
