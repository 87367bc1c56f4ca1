import math

import pytest
import torch

from gan_nas.errors import InvalidInput
from gan_nas.scoring.latents import (
    interpolated,
    latents_of_seed,
    latents_of_seeds,
    parse_seeds,
    truncated,
)


@pytest.mark.parametrize("latent_dim", [1, 7, 120, 128])
def test_a_seeds_latents_are_the_first_of_the_seed_whatever_others_there_are(
    latent_dim: int,
) -> None:
    seeds = [5, 2**63 - 1, *range(100, 310), 0]
    each = torch.cat(list(latents_of_seeds(seeds, latent_dim)))
    assert each.shape == (len(seeds), latent_dim)
    for i in (0, 1, 101, 150, len(seeds) - 1):
        first = torch.cat(list(latents_of_seed(seeds[i], 150, latent_dim)))[0]
        assert torch.equal(each[i], first)
    backwards = torch.cat(list(latents_of_seeds(seeds[::-1], latent_dim)))
    assert torch.equal(backwards.flip(0), each)


@pytest.mark.parametrize("latent_dim", [1, 2, 128])
def test_interpolation_goes_from_seed_to_seed(latent_dim: int) -> None:
    seeds = [3, 7, 1]
    ends = torch.cat(list(latents_of_seeds(seeds, latent_dim)))
    rows = list(interpolated(seeds, 9, latent_dim))
    assert [row.shape for row in rows] == [(9, latent_dim)] * 2
    for i, row in enumerate(rows):
        torch.testing.assert_close(row[[0, -1]], ends[i : i + 2])
    if latent_dim == 128:
        lengths = rows[0].norm(dim=1)
        between = torch.linspace(lengths[0], lengths[-1], 9)
        assert (lengths - between).abs().max() < 0.05 * math.sqrt(latent_dim)  # not through 0


@pytest.mark.parametrize("limit", [0.01, 0.5, 2, 10])
def test_truncated_latents_have_the_truncated_distribution(limit: float) -> None:
    z = torch.cat(list(latents_of_seed(0, 1000, 100)))
    within = truncated(z, limit)
    assert within.abs().max() <= limit
    assert torch.equal(within.argsort(1), z.argsort(1))
    cdf, edge = torch.special.ndtr(within), torch.special.ndtr(torch.tensor([-limit, limit]))
    uniform = ((cdf - edge[0]) / (edge[1] - edge[0])).flatten().sort().values
    expected = (torch.arange(uniform.numel()) + 0.5) / uniform.numel()
    assert (uniform - expected).abs().max() < 0.005
    assert torch.equal(truncated(z[5:6], limit), within[5:6])


def test_a_wide_limit_leaves_latents_alone() -> None:
    z = torch.cat(list(latents_of_seed(0, 100, 100)))
    torch.testing.assert_close(truncated(z, 10), z, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", [0]),
        ("0-3", [0, 1, 2, 3]),
        ("3,7, 11 - 13", [3, 7, 11, 12, 13]),
        ("7,3", [7, 3]),
        ("5-5", [5]),
        ("9223372036854775807", [2**63 - 1]),
    ],
)
def test_seeds_are_read_in_their_order(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "1,", "a", "-1", "1-", "3-1", "1.5", "1 2", "1,1", "0-5,3", "0-1000000"),
        *("9" * 30, "9223372036854775808", "0-9223372036854775807"),
    ],
)
def test_other_texts_are_no_seeds(text: str) -> None:
    with pytest.raises(InvalidInput, match="seed"):
        parse_seeds(text)
