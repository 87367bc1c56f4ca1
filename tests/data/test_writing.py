from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_nas.data.image_stream import open_images
from gan_nas.data.writing import save_images, save_npz
from gan_nas.errors import Interrupted, InvalidInput


def batches(channels: int) -> list[Tensor]:
    return [torch.randint(0, 256, (n, channels, 8, 8), dtype=torch.uint8) for n in (5, 5, 1)]


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again(channels: int, tmp_path: Path) -> None:
    images = batches(channels)
    save_images(images, tmp_path / "folder", [f"{i:02}" for i in range(11)])
    save_npz(images, tmp_path / "x.npz", 11)
    for path in (tmp_path / "folder", tmp_path / "x.npz"):
        assert torch.equal(torch.cat(list(open_images(path).batches())), torch.cat(images))
    assert len(list(tmp_path.iterdir())) == 2


def test_work_that_stops_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> Iterator[Tensor]:
        yield batches(1)[0]
        raise Interrupted("stopped")

    (tmp_path / "empty").mkdir()
    for write in (
        lambda: save_images(stopped(), tmp_path / "new", ["a"] * 11),
        lambda: save_images(stopped(), tmp_path / "empty", ["a"] * 11),
        lambda: save_npz(stopped(), tmp_path / "x.npz", 11),
    ):
        with pytest.raises(Interrupted):
            write()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    save_images(batches(1), tmp_path / "empty", [f"{i}" for i in range(11)])
    assert len(list((tmp_path / "empty").iterdir())) == 11
    with pytest.raises(InvalidInput, match="holds other files"):
        save_images(batches(1), tmp_path / "empty", [f"{i}" for i in range(1, 12)])
