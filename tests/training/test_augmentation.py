"""What the discriminator is shown: where pixels go, that gradients follow, and by which stream."""

import pytest
import torch
from torch import Tensor

from gan_nas.streams import stream
from gan_nas.training.augmentation import Draws, augmented, diffaugment, draw, flipped


def images(num: int = 4, channels: int = 3, side: int = 16, name: str = "images") -> Tensor:
    size = (num, channels, side, side)
    random = stream(0, name)
    return torch.rand(size, generator=random, device="cpu", dtype=torch.float64) * 2 - 1


def nothing(num: int = 4) -> Draws:
    """Return draws that change nothing: the square lies outside."""
    ones = torch.ones(num, dtype=torch.float64, device="cpu")
    places = torch.zeros(num, 2, dtype=torch.int64, device="cpu")
    return Draws(0 * ones, ones, ones, places, places - 1_000)


def shift(rows: int, columns: int, num: int = 4) -> Draws:
    moved = torch.tensor([[rows, columns]], device="cpu").expand(num, 2)
    return nothing(num)._replace(shift=moved)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 9, 16])
@pytest.mark.parametrize("augment", [diffaugment, flipped])
def test_shapes_and_types_stay(augment: object, side: int, channels: int) -> None:
    assert callable(augment)
    given = images(5, channels, side).float()
    found = augment(given, stream(0, "noise"))
    assert found.shape == given.shape
    assert found.dtype == torch.float32
    assert found.isfinite().all()


def test_draws_that_ask_for_nothing_change_nothing() -> None:
    torch.testing.assert_close(augmented(images(), nothing()), images(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, 0), (0, -2), (-1, 2), (-2, -2)])
def test_what_moves_in_is_zero_and_the_rest_is_where_it_should_be(rows: int, columns: int) -> None:
    given, side = images() + 3, 16  # nowhere zero
    found = augmented(given, shift(rows, columns))
    expected = torch.zeros_like(given)
    for y in range(max(rows, 0), side + min(rows, 0)):
        for x in range(max(columns, 0), side + min(columns, 0)):
            expected[:, :, y, x] = given[:, :, y - rows, x - columns]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("centre", "rows"), [(8, range(4, 12)), (0, range(4)), (16, range(12, 16)), (15, range(11, 16))]
)
def test_a_square_of_half_the_side_is_cut_out(centre: int, rows: range) -> None:
    where = torch.tensor([[centre, 5]], device="cpu").expand(4, 2)
    found = augmented(images() + 3, nothing()._replace(centre=where))
    is_cut = found == 0
    assert is_cut.any(dim=3)[0, 0].nonzero().flatten().tolist() == list(rows)
    assert is_cut.any(dim=2)[0, 0].nonzero().flatten().tolist() == list(range(1, 9))
    assert int(is_cut.sum()) == 4 * 3 * len(rows) * 8


def test_colours_by_hand() -> None:
    given = images()
    half = torch.full((4,), 0.5, dtype=torch.float64, device="cpu")
    brighter = augmented(given, nothing()._replace(brightness=half))
    torch.testing.assert_close(brighter, given + 0.5)  # beyond 1, too: nothing is clamped
    grey = augmented(given, nothing()._replace(saturation=0 * half))
    torch.testing.assert_close(grey, given.mean(1, keepdim=True).expand_as(given))
    flat = augmented(given, nothing()._replace(contrast=half))
    mean = given.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(flat, (given + mean) / 2)


@pytest.mark.parametrize("side", [8, 9, 32, 48])
def test_draws_are_within_their_ranges_and_reach_their_ends(side: int) -> None:
    draws = draw(torch.empty(20_000, 1, side, side, device="cpu"), stream(0, "draws"))
    for values, low, high in zip(draws[:3], (-0.5, 0, 0.5), (0.5, 2, 1.5), strict=True):
        assert low <= float(values.min()) < low + 0.01
        assert high - 0.01 < float(values.max()) <= high
    most = int(side / 8 + 0.5)
    assert set(draws.shift.unique().tolist()) == set(range(-most, most + 1))
    is_even = int(side / 2 + 0.5) % 2 == 0
    assert set(draws.centre.unique().tolist()) == set(range(side + is_even))


def test_images_are_augmented_apart() -> None:
    """Each by its own draws, and none sees another one."""
    given = images(1).expand(8, -1, -1, -1)
    found = diffaugment(given, stream(0, "noise"))
    assert len({tuple(image.flatten().tolist()) for image in found}) == 8
    draws = draw(given, stream(0, "noise"))
    for number in range(8):
        alone = augmented(given[:1], Draws(*(part[number : number + 1] for part in draws)))
        torch.testing.assert_close(alone[0], found[number])


def test_the_gradient_flows_to_the_images() -> None:
    given = images(2, 2, 8).requires_grad_()
    draws = draw(given, stream(0, "draws"))
    assert torch.autograd.gradcheck(lambda x: augmented(x, draws), (given,))
    assert torch.autograd.gradgradcheck(lambda x: augmented(x, draws), (given,))
    (slope,) = torch.autograd.grad(diffaugment(given, stream(1, "noise")).sum(), given)
    assert slope.flatten(1).any(dim=1).all()


@pytest.mark.parametrize("augment", [diffaugment, flipped])
def test_the_stream_decides_and_nothing_else_does(augment: object) -> None:
    assert callable(augment)
    given = images().float()
    first, same, other = (augment(given, stream(seed, "noise")) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    with torch.device("meta"):  # a tensor made without its device breaks
        assert torch.equal(augment(given, stream(0, "noise")), first)


def test_the_memory_format_makes_no_difference_and_stays() -> None:
    given = images().float()
    nhwc = given.to(memory_format=torch.channels_last)
    found = diffaugment(nhwc, stream(0, "noise"))
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, diffaugment(given, stream(0, "noise")))


def test_half_of_the_images_are_mirrored() -> None:
    given = images(400, 1, 4)
    found = flipped(given, stream(0, "flips"))
    is_same = (found == given).flatten(1).all(dim=1)
    is_mirrored = (found == given.flip(3)).flatten(1).all(dim=1)
    assert (is_same ^ is_mirrored).all()
    assert 150 < int(is_mirrored.sum()) < 250
