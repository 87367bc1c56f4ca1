"""STL-10 (Coates, Ng & Lee 2011): 96x96 colour, trained on without labels.

Trains on "train+unlabeled", 105,000 images, as AutoGAN does; most have no label, so none is used.
"""

from pathlib import Path

import numpy as np
import torch

from gan_nas.data import Images
from gan_nas.data.download import through_torchvision


def load(root: Path) -> Images:
    """Return the training and unlabelled images and, held out, the test images."""
    from torchvision.datasets import STL10

    train, held_out = through_torchvision(
        "stl10",
        root / STL10.base_folder,
        STL10.url,
        lambda download: [
            STL10(root, split, download=download) for split in ("train+unlabeled", "test")
        ],
    )
    return Images(name="stl10", train=_pixels(train.data), held_out=_pixels(held_out.data))


def _pixels(data: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(data))
