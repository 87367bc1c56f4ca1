"""Data sets as uint8 tensors: one file each, and folders, zips and npz of images."""

import os
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from gan_nas.data.images import Images as Images
from gan_nas.data.preparation import Preparation as Preparation
from gan_nas.data.resizing import resize as resize
from gan_nas.errors import InvalidInput, nearest
from gan_nas.progress import Progress, silent

DATA_SETS = ("digits", "cifar10", "stl10")


def load_images(
    name: str,
    root: Path | None = None,
    *,
    side: int | None = None,
    preparation: Preparation | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = silent,
) -> Images:
    """Load a data set by name, or the images of a folder, zip or npz by path.

    `root` is where data sets lie in torchvision's layout; None means `data_root()`. `side` is what
    images of a path are brought to, once, from the files; None leaves them at their own, up to 512
    px. A named set always comes at its own: see `Images.at`.
    """
    asked = preparation or Preparation()
    if name in DATA_SETS:
        if asked.changes_files:
            raise InvalidInput(
                f"crop, background and odd files are for images of one's own, and {name} is a "
                "data set of one kind: leave them out"
            )
        loaded: Images = import_module(f"gan_nas.data.{name}").load(root or data_root())
        if asked.resize is None:
            return loaded
        return replace(loaded, resize_by=asked.resize, preparation=asked)
    path = Path(name).expanduser()
    if name.encode("utf-8", "replace").decode() != name:
        raise InvalidInput(f"the path {name!r} is not UTF-8, as what runs write must be: rename it")
    if not path.exists():
        raise InvalidInput(
            f"{name!r} is neither a data set ({', '.join(DATA_SETS)}) nor an existing folder, zip "
            f"or npz of images{nearest(name, list(DATA_SETS))}"
        )
    from gan_nas.data import image_folder

    return image_folder.load(path, side, asked, cache_dir(), stop=stop, progress=progress)


def cache_dir() -> Path:
    """Return the folder of what can be made again: GAN_NAS_CACHE, or ~/.cache/gan-nas."""
    return _folder("GAN_NAS_CACHE", Path("~/.cache/gan-nas"))


def data_root() -> Path:
    """Return the folder of downloaded data sets: GAN_NAS_DATA_ROOT, or `data` in the cache."""
    return _folder("GAN_NAS_DATA_ROOT", cache_dir() / "data")


def _folder(variable: str, default: Path) -> Path:
    try:
        return Path(os.environ.get(variable) or default).expanduser()
    except RuntimeError:  # nobody knows of a home: nothing is kept, which is warned of when it is
        return Path(os.devnull) / "gan-nas"
