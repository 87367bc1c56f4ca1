"""CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 colour pixels."""

from pathlib import Path

import numpy as np
import torch

from gan_nas.data import Images
from gan_nas.data.download import through_torchvision


def load(root: Path) -> Images:
    """Return the training images and, held out, the test images."""
    from torchvision.datasets import CIFAR10

    # The one exception to "no pickle": torchvision unpickles the batches, after it has checked
    # their md5 against the published ones.
    train, held_out = through_torchvision(
        "cifar10",
        root / CIFAR10.base_folder,
        CIFAR10.url,
        lambda download: [CIFAR10(root, train, download=download) for train in (True, False)],
    )
    return Images(
        name="cifar10",
        train=_pixels(train.data),
        held_out=_pixels(held_out.data),
        train_labels=torch.tensor(train.targets, device="cpu"),
        held_out_labels=torch.tensor(held_out.targets, device="cpu"),
        num_classes=10,
    )


def _pixels(data: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(data).permute(0, 3, 1, 2).contiguous()  # (N, H, W, C) -> (N, C, H, W)
