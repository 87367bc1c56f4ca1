"""The 1,797 handwritten digits of 8x8 grey pixels that come with the package.

E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, CC BY 4.0. digits.npz was made once from scikit-learn's
`load_digits`: values 0..16, times 255/16, rounded.
"""

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch

from gan_nas.data import Images

NUM_HELD_OUT = 360


def load(root: Path) -> Images:
    """Return 1,437 training and 360 held-out digits; `root` is not used."""
    del root
    with (
        as_file(files("gan_nas.data") / "digits.npz") as path,
        np.load(path, allow_pickle=False) as packed,
    ):
        images = torch.from_numpy(packed["images"])
        labels = torch.from_numpy(packed["labels"]).long()
    # RandomState's numbers are frozen for all versions of numpy: the split is for ever the same.
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(images)))
    train, held_out = order[NUM_HELD_OUT:], order[:NUM_HELD_OUT]
    return Images(
        name="digits",
        train=images[train],
        held_out=images[held_out],
        train_labels=labels[train],
        held_out_labels=labels[held_out],
        num_classes=10,
        resize_by="box",  # keeps thin strokes
    )
