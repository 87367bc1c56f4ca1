import hashlib
import importlib
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_nas.data import Images, load_images
from gan_nas.errors import MissingResource


def load(name: str, root: Path | None = None) -> Images:
    """Load a set while another default device is set, which must not matter."""
    with torch.device("meta"):
        images = load_images(name, root)
    check(images)
    return images


def check(images: Images) -> None:
    for pixels, labels in (
        (images.train, images.train_labels),
        (images.held_out, images.held_out_labels),
    ):
        assert (pixels.dtype, pixels.device.type) == (torch.uint8, "cpu")
        assert pixels.is_contiguous()
        assert pixels.shape[1:] == (images.channels, images.side, images.side)
        assert (pixels.min(), pixels.max()) == (0, 255)
        if images.num_classes is None:
            assert labels is None
        else:
            assert labels is not None
            assert labels.dtype == torch.int64
            assert torch.equal(labels.unique(), torch.arange(images.num_classes))
            assert len(labels) == len(pixels)


def test_digits_are_those_of_scikit_learn() -> None:
    images = load("digits")
    assert images.train.shape == (1437, 1, 8, 8)
    assert images.resize_by == "box"
    assert images.held_out.shape == (360, 1, 8, 8)
    assert load_images("digits").fingerprint == images.fingerprint == "90584bba6a6d6ae8"
    datasets = pytest.importorskip("sklearn.datasets")
    pixels, labels = datasets.load_digits(return_X_y=True)

    def sorted_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows = np.column_stack([x.reshape(len(x), -1), y])
        return rows[np.lexsort(rows.T)]

    ours = torch.cat([images.train, images.held_out]).numpy()
    assert images.train_labels is not None
    assert images.held_out_labels is not None
    our_labels = torch.cat([images.train_labels, images.held_out_labels]).numpy()
    theirs = sorted_rows(np.rint(pixels * 255 / 16), labels)
    np.testing.assert_array_equal(sorted_rows(ours, our_labels), theirs)


def test_digits_name_their_source() -> None:
    path = Path(importlib.import_module("gan_nas.data").__file__ or "").parent / "digits.npz"
    with np.load(path, allow_pickle=False) as packed:
        assert "Alpaydin" in str(packed["attribution"])
        assert "UCI" in str(packed["attribution"])


def test_cifar10_is_read_in_torchvisions_layout(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = load("cifar10", shared / "data" / "cifar10")
    assert images.train.shape == (50_000, 3, 32, 32)
    assert images.resize_by == "bilinear"
    assert images.held_out.shape == (10_000, 3, 32, 32)
    assert images.train_labels is not None
    assert images.train_labels.bincount().tolist() == [5000] * 10
    # Means as published for training pixels: .4914 .4822 .4465.
    means = images.train.float().mean((0, 2, 3)) / 255
    torch.testing.assert_close(means, torch.tensor([0.4914, 0.4822, 0.4465]), atol=1e-4, rtol=0)
    assert capsys.readouterr().out == ""


def write_stl10(root: Path) -> dict[str, str]:
    """Write a tiny STL-10: uint8 (N, 3, width, height), labels from 1; return md5 by name."""
    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    random = np.random.RandomState(0)

    def pixels(num: int) -> np.ndarray:
        return random.randint(0, 256, (num, 3, 96, 96)).astype(np.uint8)

    files = {"train_X.bin": pixels(10), "unlabeled_X.bin": pixels(20), "test_X.bin": pixels(6)}
    files["train_y.bin"] = np.arange(1, 11, dtype=np.uint8)
    files["test_y.bin"] = np.arange(1, 7, dtype=np.uint8)
    for name, array in files.items():
        (folder / name).write_bytes(array.tobytes())
    return {name: hashlib.md5(a.tobytes()).hexdigest() for name, a in files.items()}  # noqa: S324


def trust(md5_of: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision expect the synthetic files' md5; its check itself stays."""
    from torchvision.datasets import STL10

    for part in ("train_list", "test_list"):
        listed = [[name, md5_of[name]] for name, _ in getattr(STL10, part)]
        monkeypatch.setattr(STL10, part, listed)


def test_stl10_trains_on_train_and_unlabelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(write_stl10(tmp_path), monkeypatch)
    images = load("stl10", tmp_path)
    assert images.train.shape == (30, 3, 96, 96)
    assert images.resize_by == "bilinear"  # as in AutoGAN's loader
    assert images.held_out.shape == (6, 3, 96, 96)
    raw = np.fromfile(tmp_path / "stl10_binary" / "train_X.bin", dtype=np.uint8)
    # The files hold columns first.
    first = torch.from_numpy(raw[: 3 * 96 * 96].reshape(3, 96, 96)).transpose(1, 2)
    assert torch.equal(images.train[0], first)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "folder"), [("cifar10", "cifar-10-batches-py"), ("stl10", "stl10_binary")]
)
def test_absent_files_without_a_network_are_named_in_one_sentence(
    name: str, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MissingResource, match=f"{name} is absent") as refusal:
        load_images(name, tmp_path)
    for part in (str(tmp_path / folder), "GAN_NAS_DATA_ROOT", ".tar.gz", "no network here"):
        assert part in str(refusal.value)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damaged_files_are_told_from_absent_ones(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(write_stl10(tmp_path), monkeypatch)
    path = tmp_path / "stl10_binary" / "unlabeled_X.bin"
    content = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "cut":
            path.write_bytes(content[:-1000])
        case "flipped":
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(MissingResource, match="stl10 is damaged or incomplete"):
        load_images("stl10", tmp_path)
