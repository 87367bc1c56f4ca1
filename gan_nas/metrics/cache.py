"""Numbers of real images that cost a pass over a data set, kept between runs."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_nas.errors import MissingResource
from gan_nas.files import warn_not_kept, write_atomically
from gan_nas.metrics.backbone import hash_tensors

Tensors = dict[str, Tensor]

# By kind of numbers. Raised whenever the code that makes them changes: older files are then made
# anew, though nothing in their keys tells that they are old.
FORMATS = {"moments": 2, "packets": 1, "real": 2}


def cached(cache: Path | None, kind: str, key: str, compute: Callable[[], Tensors]) -> Tensors:
    """Return what `compute` returns, from the folder `cache` if it was computed before.

    `kind` is one of FORMATS. `key` must name everything the result depends on but the code. A
    damaged file is made anew.
    """
    if cache is None:
        return compute()
    key = f"{kind} {FORMATS[kind]}: {key}"
    path = cache / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.safetensors"
    tensors = _read(path, key)
    if tensors is None:
        tensors = {name: tensor.contiguous().cpu() for name, tensor in compute().items()}
        about = {"gan_nas": json.dumps(_about(key, tensors))}
        try:
            write_atomically(path, lambda temporary: save_file(tensors, temporary, about))
        except MissingResource as error:
            warn_not_kept(cache, error)
    return tensors


def _read(path: Path, key: str) -> Tensors | None:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            about = json.loads(file.metadata()["gan_nas"])
            # As they were computed: the file has them in another order.
            tensors = {name: file.get_tensor(name) for name in about["names"]}
        intact = about == _about(key, tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None  # whatever is wrong with a cache, the remedy is to make it anew
    return tensors if intact else None


def _about(key: str, tensors: Tensors) -> dict[str, object]:
    return {"key": key, "names": list(tensors), "tensors": hash_tensors(tensors)}
