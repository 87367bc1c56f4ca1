import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gan_nas.errors import InvalidInput, MissingResource
from gan_nas.metrics.frechet import frechet_distance
from gan_nas.metrics.moments import Moments
from gan_nas.metrics.statistics import Statistics, load_statistics, save_statistics

DIM = 6
PASSPORT = {"backbone": "inception", "resize": "tf1", "side": 32, "note": "für Größe", "ema": None}


def moments(num: int = 50, seed: int = 0) -> Moments:
    generator = torch.Generator("cpu").manual_seed(seed)
    return Moments.of(torch.randn(num, DIM, generator=generator) @ torch.diag(torch.arange(1.0, 7)))


STATISTICS = Statistics.of(moments(), PASSPORT)
MU, SIGMA = STATISTICS.mean.numpy(), STATISTICS.covariance.numpy()


@pytest.fixture(params=[".npz", ".safetensors"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"reference{request.param}"


def test_what_is_written_is_read(path: Path) -> None:
    for statistics in (STATISTICS, replace(STATISTICS, count=None, passport={})):
        save_statistics(path, statistics)
        read = load_statistics(path)
        assert read.count == statistics.count
        assert read.passport == statistics.passport
        assert torch.equal(read.mean, statistics.mean)
        assert torch.equal(read.covariance, statistics.covariance)
        assert read.fingerprint == statistics.fingerprint
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_equal_statistics_give_equal_bytes(path: Path) -> None:
    save_statistics(path, STATISTICS)
    first = path.read_bytes()
    save_statistics(path, Statistics.of(moments(), dict(reversed(PASSPORT.items()))))
    assert path.read_bytes() == first


def test_moments_go_there_and_back() -> None:
    back = STATISTICS.moments
    assert back.count == 50
    torch.testing.assert_close(back.scatter, moments().scatter, rtol=1e-14, atol=1e-14)
    both = back.merge(moments(seed=1))
    expected = moments().merge(moments(seed=1))
    assert frechet_distance(both, expected) < 1e-12


def test_statistics_of_an_unknown_count_have_no_moments() -> None:
    with pytest.raises(InvalidInput, match="unknown number of images"):
        _ = replace(STATISTICS, count=None).moments


def test_npz_files_are_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "ours.npz"
    save_statistics(path, STATISTICS)
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file) == ["gan_nas", "mu", "sigma"]
        np.testing.assert_array_equal(file["mu"], MU)
        np.testing.assert_array_equal(file["sigma"], SIGMA)
        assert json.loads(str(file["gan_nas"]))["passport"] == PASSPORT


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f8"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_ttur_and_pytorch_fid_are_read(tmp_path: Path, dtype: Any, save: Any) -> None:
    path = tmp_path / "fid_stats_cifar10_train.npz"
    save(path, mu=MU.astype(dtype), sigma=np.asfortranarray(SIGMA.astype(dtype)), other=[1, 2])
    read = load_statistics(path)
    assert read.count is None
    assert read.passport == {}
    assert read.mean.dtype == read.covariance.dtype == torch.float64
    rounding = 1e-3 if dtype is np.float16 else 1e-6
    np.testing.assert_allclose(read.covariance, SIGMA, atol=rounding * np.abs(SIGMA).max())
    assert torch.equal(read.covariance, read.covariance.T)


@pytest.mark.parametrize("count", [2, 4, 50])
def test_singular_covariances_are_good_statistics(path: Path, count: int) -> None:
    statistics = Statistics.of(moments(count))
    save_statistics(path, statistics)
    assert torch.equal(load_statistics(path).covariance, statistics.covariance)
    nothing = torch.zeros(DIM, DIM, dtype=torch.float64)
    save_statistics(path, replace(statistics, covariance=nothing))
    assert torch.equal(load_statistics(path).covariance, nothing)


def write(path: Path, arrays: dict[str, Any]) -> None:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file({k: torch.tensor(np.asarray(v)) for k, v in arrays.items()}, path)


def skewed() -> np.ndarray[Any, Any]:
    sigma = SIGMA.copy()
    sigma[1, 0] += 0.1
    return sigma


def with_value(array: np.ndarray[Any, Any], value: float) -> np.ndarray[Any, Any]:
    array = array.copy()
    array.flat[1] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"mu": MU}, "holds 'mu', statistics hold mu and sigma"),
        ({"m": MU, "s": SIGMA}, "statistics hold mu and sigma"),
        ({"mu": MU, "sigma": SIGMA[:5]}, r"sigma of shape \(5, 6\)"),
        ({"mu": MU[:5], "sigma": SIGMA}, r"mu of shape \(5,\)"),
        ({"mu": MU[None], "sigma": SIGMA}, r"mu of shape \(1, 6\)"),
        ({"mu": MU[:0], "sigma": SIGMA[:0, :0]}, r"mu of shape \(0,\)"),
        ({"mu": MU, "sigma": MU}, r"sigma of shape \(6,\)"),
        ({"mu": np.arange(6), "sigma": SIGMA}, "mu as .*int64"),
        ({"mu": MU, "sigma": SIGMA > 0}, "sigma as .*bool"),
        ({"mu": with_value(MU, math.nan), "sigma": SIGMA}, "NaN or infinity"),
        ({"mu": MU, "sigma": with_value(SIGMA, math.inf)}, "NaN or infinity"),
        ({"mu": MU, "sigma": skewed()}, "not symmetric"),
        ({"mu": MU, "sigma": -SIGMA}, "negative variances"),
        ({"mu": MU, "sigma": SIGMA - 2 * np.eye(6)}, "negative variances"),
        ({"mu": MU, "sigma": np.ones((6, 6)) - np.eye(6)}, "negative variances"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_mean_and_covariance_is_refused(
    path: Path, arrays: dict[str, Any], complaint: str
) -> None:
    write(path, arrays)
    with pytest.raises(InvalidInput, match=complaint) as error:
        load_statistics(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 300, -1, -100])
def test_cut_files_are_refused(path: Path, cut: int) -> None:
    save_statistics(path, STATISTICS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidInput, match=path.name):
        load_statistics(path)


def test_a_flipped_byte_is_refused_or_changes_nothing(path: Path) -> None:
    save_statistics(path, STATISTICS)
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            read = load_statistics(path)
        except InvalidInput:
            refused += 1
        else:
            assert torch.equal(read.mean, STATISTICS.mean)
            assert torch.equal(read.covariance, STATISTICS.covariance)
    assert refused > len(whole) // 14


def about(**changes: Any) -> str:
    fields = {"format": 1, "count": 50, "passport": {}, "tensors": STATISTICS.fingerprint}
    return json.dumps(fields | changes)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "unreadable passport"),
        ("[]", "unreadable passport"),
        ("[" * 100_000, "unreadable passport"),
        ('{"format": 1}', "unreadable passport"),
        (about(format=2), "format 2"),
        (about(count=1), "count 1"),
        (about(count=True), "count True"),
        (about(count="many"), "count 'many'"),
        (about(passport=[]), "passport"),
        (about(tensors="0" * 16), "not those that were written"),
        (about(tensors=None), "not those that were written"),
    ],
    ids=range(11),
)
def test_a_bad_passport_is_refused(path: Path, text: str, complaint: str) -> None:
    if path.suffix == ".npz":
        np.savez(path, mu=MU, sigma=SIGMA, gan_nas=text)
    else:
        tensors = {"mu": STATISTICS.mean, "sigma": STATISTICS.covariance}
        save_file(tensors, path, {"gan_nas": text})
    with pytest.raises(InvalidInput, match=complaint):
        load_statistics(path)


def test_a_passport_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, mu=MU, sigma=SIGMA, gan_nas=np.zeros(3))
    with pytest.raises(InvalidInput, match="passport that is no text"):
        load_statistics(path)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, mu=np.array([{}], dtype=object), sigma=np.array([[{}]], dtype=object))
    with pytest.raises(InvalidInput, match="mu as 'object'"):
        load_statistics(path)


def write_headers(path: Path, dim: int, content: bytes = b"") -> None:
    """Write an npz whose arrays claim to have `dim` dimensions."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, shape in (("mu", (dim,)), ("sigma", (dim, dim))):
            with archive.open(f"{name}.npy", "w") as member:
                header = {"descr": "<f8", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                member.write(content)


@pytest.mark.parametrize("dim", [8193, 10**6, 10**18])
def test_a_header_that_promises_a_huge_array_costs_no_memory(tmp_path: Path, dim: int) -> None:
    write_headers(tmp_path / "x.npz", dim)
    with pytest.raises(InvalidInput, match="d from 1 to 8192"):
        load_statistics(tmp_path / "x.npz")


def test_an_array_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    write_headers(tmp_path / "x.npz", 6, b"\0" * 40)
    with pytest.raises(InvalidInput, match=r"not a readable \.npz file"):
        load_statistics(tmp_path / "x.npz")


def test_missing_files_and_unknown_suffixes_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingResource, match=r"none\.npz do not exist"):
        load_statistics(tmp_path / "none.npz")
    for act in (load_statistics, lambda path: save_statistics(path, STATISTICS)):
        with pytest.raises(InvalidInput, match=r"ends with \.npz or \.safetensors"):
            act(tmp_path / "x.pkl")


def test_the_default_device_is_ignored(path: Path) -> None:
    with torch.device("meta"):
        save_statistics(path, STATISTICS)
        assert torch.equal(load_statistics(path).covariance, STATISTICS.covariance)
