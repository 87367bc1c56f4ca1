import numpy as np
import pytest
import torch

from gan_nas.errors import InvalidInput
from gan_nas.metrics.moments import Moments


def features(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(num, dim, generator=generator, device="cpu") @ torch.diag(
        torch.linspace(0.1, 3, dim)
    )


@pytest.mark.parametrize(("num", "dim"), [(2, 1), (3, 5), (100, 8), (1000, 64)])
def test_moments_are_numpys(num: int, dim: int) -> None:
    x = features(num, dim)
    moments = Moments.of(x)
    np.testing.assert_allclose(moments.mean, x.numpy().astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(
        moments.covariance, np.cov(x.double().T.numpy()).reshape(dim, dim), atol=1e-12
    )


@pytest.mark.parametrize("offset", [0, 1e3, 1e5])
@pytest.mark.parametrize("sizes", [(1, 299), (150, 150), (299, 1), (7,) * 42 + (6,), (1,) * 300])
def test_moments_of_parts_are_those_of_the_whole(offset: float, sizes: tuple[int, ...]) -> None:
    x = features(300, 8).double() + offset
    whole = Moments.of(x)
    parts = torch.split(x, list(sizes))
    streamed = Moments.of(parts[0])
    for part in parts[1:]:
        streamed = streamed.update(part)
    merged = Moments.of(parts[-1])
    for part in reversed(parts[:-1]):
        merged = Moments.of(part).merge(merged)
    scale = whole.covariance.abs().max()
    for other in (streamed, merged):
        assert other.count == 300
        torch.testing.assert_close(other.mean, whole.mean, rtol=1e-12, atol=1e-12)
        error = (other.covariance - whole.covariance).abs().max()
        # Centring at an offset/deviation of 1e5 costs digits of the input, not of the merge.
        assert error <= 1e-12 * max(1.0, offset) * scale


def test_updating_makes_new_moments() -> None:
    first = Moments.of(features(5, 3))
    mean, scatter = first.mean.clone(), first.scatter.clone()
    first.update(features(5, 3, seed=1))
    assert torch.equal(first.mean, mean)
    assert torch.equal(first.scatter, scatter)
    assert first.count == 5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_moments_are_float64_on_the_features_device(dtype: torch.dtype) -> None:
    with torch.device("meta"):
        real = Moments.of(features(9, 4).to(dtype)).update(features(3, 4).to(dtype)).cpu()
        assert (real.mean.dtype, real.mean.device.type) == (torch.float64, "cpu")
    assert Moments.of(features(9, 4).to("meta")).covariance.device.type == "meta"


def test_one_image_has_no_covariance() -> None:
    with pytest.raises(InvalidInput, match="at least 2 images"):
        _ = Moments.of(features(1, 4)).covariance
