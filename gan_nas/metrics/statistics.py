"""Reference statistics in files: mean and covariance of real features, with their passport.

Written are npz files (`mu` and `sigma` as in TTUR and pytorch-fid, plus `gan_nas`, a JSON text) and
safetensors (the same tensors, the JSON in the metadata). Files of TTUR and pytorch-fid are read.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gan_nas.errors import Incompatible, InvalidInput, MissingResource, nearest, shorten
from gan_nas.files import write_atomically
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.header import check_header
from gan_nas.formats.npy import read_header
from gan_nas.formats.zips import open_zip
from gan_nas.metrics.backbone import hash_tensors
from gan_nas.metrics.moments import Moments

ABOUT = "gan_nas"  # where the JSON stands
FORMAT = 1
SUFFIXES = (".npz", ".safetensors")
MAX_DIM = 8192  # 512 MB: the widest features in use have 4096
WIDE = 2048  # 32 MB: wider ones are read where they are needed
MAX_ABOUT = 1 << 20
ROUNDING = 1e-6  # of the trace: statistics may have been rounded to float32


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean (d,) and unbiased covariance (d, d), float64 on the CPU, and how they were made.

    `count` is the number of images, None where a file does not tell.
    """

    count: int | None
    mean: Tensor
    covariance: Tensor
    passport: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, moments: Moments, passport: Mapping[str, Any] | None = None) -> "Statistics":
        """Return the statistics of at least two images."""
        mean, covariance = moments.mean.cpu(), moments.covariance.cpu()
        return cls(moments.count, mean, covariance, dict(passport or {}))

    @property
    def moments(self) -> Moments:
        """Return the moments, for merging; raises InvalidInput when the count is unknown."""
        if self.count is None:
            raise InvalidInput(
                "statistics of an unknown number of images cannot be merged with others; "
                "make them anew from the images"
            )
        return Moments(self.count, self.mean, self.covariance * (self.count - 1))

    @property
    def fingerprint(self) -> str:
        """Return 16 hex digits of the sha256 over mean and covariance."""
        return hash_tensors({"mu": self.mean, "sigma": self.covariance})


def save_statistics(path: Path, statistics: Statistics) -> None:
    """Write statistics to an .npz or .safetensors file, atomically; equal ones give equal bytes."""
    suffix = checked_suffix(path)
    tensors = {"mu": statistics.mean, "sigma": statistics.covariance}
    about = {
        "format": FORMAT,
        "count": statistics.count,
        "passport": dict(statistics.passport),
        "tensors": statistics.fingerprint,
    }
    text = json.dumps(about, sort_keys=True)
    if suffix == ".npz":
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        arrays[ABOUT] = np.array(text)
        write_atomically(path, lambda temporary: _write_npz(temporary, arrays))
    else:
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        write_atomically(path, lambda temporary: save_file(whole, temporary, {ABOUT: text}))


def load_statistics(path: Path, num_features: int | None = None) -> Statistics:
    """Read statistics; those of TTUR and pytorch-fid have no count and no passport.

    Shapes are compared before anything is allocated. Raises MissingResource without the file,
    InvalidInput when it is damaged or holds no mean and covariance, and Incompatible when it is
    large and of another number of features than is asked for.
    """
    refuse_foreign(path, Wanted.STATISTICS, Kind.STATISTICS, Kind.SAFETENSORS, Kind.NPZ)
    suffix = checked_suffix(path)
    if not path.is_file():
        raise MissingResource(
            f"the reference statistics {path} do not exist; name an .npz or .safetensors file, or "
            "make one from a data set"
        )
    read = _read_npz if suffix == ".npz" else _read_safetensors
    try:
        mean, covariance, text = read(path, num_features)
    except (InvalidInput, Incompatible):
        raise
    except Exception as error:  # a damaged header makes NumPy and zipfile raise nearly anything
        raise InvalidInput(
            f"{path} is not a readable {suffix} file ({shorten(str(error))}): fetch or make it anew"
        ) from error
    mean, covariance = mean.double(), covariance.double()
    _check_numbers(path, mean, covariance)
    if text is None:
        return Statistics(None, mean, (covariance + covariance.T) / 2)
    count, passport, digest = _parse(path, text)
    statistics = Statistics(count, mean, covariance, passport)
    if statistics.fingerprint != digest:
        raise InvalidInput(f"{path} is damaged: its numbers are not those that were written")
    return statistics


def checked_suffix(path: Path) -> str:
    """Return .npz or .safetensors; raises InvalidInput for a path that ends otherwise."""
    if path.suffix not in SUFFIXES:
        raise InvalidInput(
            f"statistics cannot stand in {path}{nearest(path.suffix, list(SUFFIXES))}; name a "
            "file that ends with .npz or .safetensors"
        )
    return path.suffix


def _write_npz(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    # Not np.savez: it adds a suffix to temporary names, and the time of day to the bytes.
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


def _read_npz(path: Path, num_features: int | None) -> tuple[Tensor, Tensor, str | None]:
    with open_zip(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        headers = {}
        for name in {"mu", "sigma", ABOUT}.intersection(names):
            with archive.open(f"{name}.npy") as member:
                headers[name] = read_header(member)
        shapes = {name: header.shape for name, header in headers.items()}
        _check_shapes(path, names, shapes, num_features)
        for name in ("mu", "sigma"):
            dtype = headers[name].dtype
            if dtype.kind != "f" or dtype.itemsize > 8:
                raise InvalidInput(
                    f"{path} holds {name} as {shorten(dtype.name)}, allowed are float16, 32 and 64"
                )
        mean, covariance = (_tensor(archive, name) for name in ("mu", "sigma"))
        if ABOUT not in headers:
            return mean, covariance, None
        shape, _, dtype = headers[ABOUT]
        if shape != () or dtype.kind != "U" or dtype.itemsize > 4 * MAX_ABOUT:
            raise InvalidInput(f"{path} holds a passport that is no text: make it anew")
        with archive.open(f"{ABOUT}.npy") as member:
            return mean, covariance, str(npy.read_array(member, allow_pickle=False))


def _tensor(archive: zipfile.ZipFile, name: str) -> Tensor:
    with archive.open(f"{name}.npy") as member:
        array = npy.read_array(member, allow_pickle=False)
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))


def _read_safetensors(path: Path, num_features: int | None) -> tuple[Tensor, Tensor, str | None]:
    try:
        check_header(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            _check_shapes(path, list(shapes), shapes, num_features)
            mean, covariance = file.get_tensor("mu"), file.get_tensor("sigma")
            about = (file.metadata() or {}).get(ABOUT)
    except SafetensorError as error:
        raise InvalidInput(
            f"{path} is not a readable safetensors file ({shorten(str(error))}): fetch or make it "
            "anew"
        ) from error
    for name, tensor in (("mu", mean), ("sigma", covariance)):
        if not tensor.is_floating_point():
            raise InvalidInput(
                f"{path} holds {name} as {tensor.dtype}, allowed are float16, 32 and 64"
            )
    return mean, covariance, about


def _check_shapes(
    path: Path,
    names: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    num_features: int | None,
) -> None:
    if not {"mu", "sigma"} <= shapes.keys():
        raise InvalidInput(
            f"{path} holds {shorten(', '.join(names) or 'nothing')}, statistics hold mu and sigma"
        )
    mean, covariance = shapes["mu"], shapes["sigma"]
    if len(mean) != 1 or covariance != mean * 2 or not 1 <= mean[0] <= MAX_DIM:
        raise InvalidInput(
            f"{path} holds mu of shape {shorten(mean)} and sigma of shape {shorten(covariance)}; "
            f"allowed are (d,) and (d, d) with d from 1 to {MAX_DIM}"
        )
    if mean[0] > WIDE and num_features not in (None, mean[0]):
        raise Incompatible(
            f"{path} has statistics of {mean[0]} features and the backbone has {num_features}; "
            "make statistics anew with this backbone"
        )


def _check_numbers(path: Path, mean: Tensor, covariance: Tensor) -> None:
    if not bool(mean.isfinite().all() & covariance.isfinite().all()):
        raise InvalidInput(f"{path} holds NaN or infinity: make it anew")
    trace = float(covariance.diagonal().abs().sum())
    asymmetry = float((covariance - covariance.T).abs().max())
    if asymmetry > ROUNDING * trace:
        raise InvalidInput(
            f"{path} holds a sigma that is not symmetric (by {asymmetry:.2g}): make it anew"
        )
    # A Cholesky factor exists when no eigenvalue lies below zero by more than what is added.
    lifted = covariance.clone()
    lifted.diagonal().add_(ROUNDING * trace + np.finfo(np.float64).tiny)
    if bool(torch.linalg.cholesky_ex(lifted).info):
        raise InvalidInput(
            f"{path} holds a sigma with negative variances, which is no covariance: make it anew"
        )


def _parse(path: Path, text: str) -> tuple[int | None, Mapping[str, Any], str]:
    """Read count, passport and the hash of the tensors from the JSON text."""
    try:
        about = json.loads(text)
        version, count, passport = about["format"], about["count"], about["passport"]
        digest = about["tensors"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} holds an unreadable passport: make it anew") from error
    if version != FORMAT:
        raise InvalidInput(
            f"{path} has format {shorten(version)}, this version of gan-nas reads {FORMAT}"
        )
    known = type(count) is int and count >= 2
    if not (known or count is None) or not isinstance(passport, dict):
        raise InvalidInput(
            f"{path} holds a passport with count {shorten(count)}, allowed is a whole number from "
            "2: make it anew"
        )
    return count, passport, digest
