import pytest
import torch

from gan_nas.errors import InvalidInput
from gan_nas.metrics.reservoir import Reservoir


@pytest.mark.parametrize(
    ("num", "size"), [(1, 1), (10, 10), (10, 3), (1000, 7), (5, 100), (99, 98)]
)
@pytest.mark.parametrize("batch", [1, 4, 1000])
def test_what_is_kept_is_evenly_spaced_however_it_comes(num: int, size: int, batch: int) -> None:
    features = torch.arange(num, dtype=torch.float64)[:, None].expand(-1, 3)
    reservoir = Reservoir(num, size)
    for part in torch.split(features, batch):
        reservoir.update(part)
    kept = min(num, size)
    assert reservoir.features.dtype == torch.float32
    assert reservoir.features.shape == (kept, 3)
    assert reservoir.features[:, 0].tolist() == [i * num // kept for i in range(kept)]


def test_what_is_kept_is_a_copy() -> None:
    features = torch.zeros(4, 2)
    reservoir = Reservoir(4)
    reservoir.update(features)
    features += 1
    assert reservoir.features.sum() == 0


def test_more_or_fewer_features_than_announced_are_refused() -> None:
    reservoir = Reservoir(4)
    reservoir.update(torch.zeros(3, 2))
    with pytest.raises(InvalidInput, match="3 features came, not the 4"):
        _ = reservoir.features
    with pytest.raises(InvalidInput, match="more features came than the 4"):
        reservoir.update(torch.zeros(2, 2))


@pytest.mark.parametrize(("num", "size"), [(0, 1), (1, 0), (-1, 5)])
def test_nothing_cannot_be_kept(num: int, size: int) -> None:
    with pytest.raises(InvalidInput, match="at least 1 of each"):
        Reservoir(num, size)


def test_the_default_device_is_ignored() -> None:
    features = torch.arange(6.0)[:, None]
    with torch.device("meta"):
        reservoir = Reservoir(6, 2)
        reservoir.update(features)
    assert reservoir.features.flatten().tolist() == [0, 3]
