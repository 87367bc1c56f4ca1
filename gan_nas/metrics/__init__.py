"""Backbones and measures: one file each, all numerics in float64."""

from collections.abc import Callable
from pathlib import Path

import torch

from gan_nas.data import Images
from gan_nas.data import cache_dir as cache_dir
from gan_nas.errors import InvalidInput, nearest
from gan_nas.metrics.backbone import Backbone


def load_backbone(
    spec: str,
    images: Images,
    cache: Path | None,
    device: torch.device | str,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Backbone:
    """Return the backbone named by `spec`, on `device`.

    "classifier": trained on `images` once, kept in `cache`. "classifier:PATH": a CIFAR ResNet.
    """
    kind, _, path = spec.partition(":")
    if kind != "classifier" or spec == "classifier:":
        raise InvalidInput(
            f"unknown backbone {spec!r}{nearest(kind, ['classifier'])}; allowed are classifier "
            "(trained on the data) and classifier:PATH (a CIFAR ResNet in safetensors)"
        )
    if path:
        from gan_nas.metrics.cifar_resnet import load_cifar_resnet

        return load_cifar_resnet(Path(path).expanduser(), device)
    from gan_nas.metrics.classifier import in_domain_classifier

    return in_domain_classifier(images, cache, device, stop, progress)
