import pytest
import torch

from gan_nas.data.batches import Batches


def numbered(num: int) -> torch.Tensor:
    """Images whose single pixel is their index."""
    return torch.arange(num, dtype=torch.uint8, device="cpu").view(-1, 1, 1, 1)


def positions(batches: Batches, steps: range) -> torch.Tensor:
    joined = torch.cat([batches.at(step) for step in steps])
    return ((joined + 1) * 127.5).round().long().flatten()


@pytest.mark.parametrize(("num", "batch_size"), [(12, 4), (10, 4), (7, 16), (5, 5), (3, 100)])
def test_every_epoch_holds_every_image_once(num: int, batch_size: int) -> None:
    seen = positions(Batches(numbered(num), batch_size, seed=3), range(60 * num // batch_size + 1))
    epochs = [seen[i : i + num] for i in range(0, len(seen) - num, num)]
    assert len(epochs) > 2
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(num))
    assert not torch.equal(epochs[0], epochs[1]) or num < 4


@pytest.mark.parametrize("batch_size", [4, 9, 40])
def test_any_step_can_be_made_anew_in_any_order(batch_size: int) -> None:
    forward = Batches(numbered(11), batch_size, seed=1)
    batches = [forward.at(step) for step in range(30)]
    again = Batches(numbered(11), batch_size, seed=1)
    for step in [29, 0, 7, 8, 7, 28, 1]:
        assert torch.equal(again.at(step), batches[step])


def test_seeds_order_differently() -> None:
    images = numbered(50)
    assert not torch.equal(Batches(images, 50, 0).at(0), Batches(images, 50, 1).at(0))


def test_few_permutations_are_kept() -> None:
    batches = Batches(numbered(10), 4, seed=0)
    for step in range(200):
        batches.at(step)
    assert len(batches._orders) == 2


def test_pixels_become_floats_between_minus_one_and_one() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    batch = Batches(images, 2, seed=0).at(0)
    assert batch.shape == (2, 3, 4, 4)
    assert batch.dtype == torch.float32
    assert sorted(batch[:, 0, 0, 0].tolist()) == [-1, 1]


def test_batches_follow_the_images_and_not_the_default_device() -> None:
    images = numbered(10)
    expected = Batches(images, 4, seed=0).at(5)
    with torch.device("meta"):
        assert torch.equal(Batches(images, 4, seed=0).at(5), expected)
    assert Batches(images.to("meta"), 4, seed=0).at(5).device.type == "meta"


def test_an_ordinary_step_copies_nothing_from_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Batches(numbered(100), 4, seed=0)
    batches.at(0)
    for name in ("to", "cuda"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_: pytest.fail("a copy"))
    for step in range(1, 25):
        batches.at(step)
