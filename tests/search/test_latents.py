"""First latents: in the unit ball, along the true principal components, the same every time."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_nas.data import resize
from gan_nas.search.degas import latents
from gan_nas.search.degas.latents import initial_latents, principal_components, project
from gan_nas.streams import stream


def images(num: int, channels: int = 3, side: int = 8, seed: int = 0) -> Tensor:
    """Draw images whose neighbouring pixels are alike, so that some components matter more."""
    shape = num, channels, side, side
    noise = torch.randn(shape, generator=stream(seed, "noise"), device="cpu", dtype=torch.float64)
    smooth = noise.cumsum(2).cumsum(3) / side + 0.3 * noise
    return (150 + 40 * smooth).clamp(0, 255).to(torch.uint8)


def singular_values(pixels: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numpy's decomposition of the centred pixels (n, D), scaled to [-1, 1]."""
    x = pixels.flatten(1).double().numpy() / 127.5 - 1
    return np.linalg.svd(x - x.mean(0), full_matrices=False)


@pytest.mark.parametrize("start", ["pca", "gauss"])
@pytest.mark.parametrize("latent_dim", [1, 7, 128, 300])
def test_latents_lie_in_the_unit_ball(start: latents.LatentStart, latent_dim: int) -> None:
    z = initial_latents(images(50), latent_dim, start, 0, "cpu")
    assert z.shape == (50, latent_dim)
    assert z.dtype == torch.float32
    assert torch.isfinite(z).all()
    assert z.norm(dim=1).max() <= 1 + 1e-6
    assert z.norm(dim=1).max() > 0.9


def test_projecting_moves_only_what_is_outside() -> None:
    z = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [-1.0, 0.0]], device="cpu")
    expected = [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [-1.0, 0.0]]
    torch.testing.assert_close(project(z), torch.tensor(expected, device="cpu"))
    torch.testing.assert_close(project(project(z)), project(z))


@pytest.mark.parametrize(("num", "count"), [(400, 20), (400, 192), (60, 30)])
def test_components_explain_as_much_as_those_of_a_singular_value_decomposition(
    num: int, count: int
) -> None:
    pixels = images(num)
    _, values, vectors = singular_values(pixels)
    mean, components = principal_components(pixels, count)
    assert components.shape == (192, count)
    x = pixels.flatten(1).double()
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(
        components.T @ components, torch.eye(count, dtype=torch.float64, device="cpu")
    )
    coordinates = (x - mean) @ components / 127.5
    explained = coordinates.square().sum(0).numpy()
    np.testing.assert_allclose(explained, values[:count] ** 2, rtol=1e-9)
    np.testing.assert_allclose(np.abs(vectors[:count] @ components.numpy()).diagonal(), 1)


def test_latents_are_coordinates_of_the_pixels_brought_into_the_ball() -> None:
    pixels = images(200)
    left, values, _ = singular_values(pixels)
    scores = left[:, :10] * values[:10]
    scores /= np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1)
    z = initial_latents(pixels, 10, "pca", 0, "cpu").numpy()
    signs = np.sign((z * scores).sum(0))
    np.testing.assert_allclose(z * signs, scores, atol=1e-6)


def test_signs_are_fixed() -> None:
    _, components = principal_components(images(100), 40)
    peaks = components.gather(0, components.abs().argmax(0, keepdim=True))
    assert (peaks > 0).all()


def test_chunks_do_not_matter_to_the_last_bit() -> None:
    pixels = images(500)
    mean, components = principal_components(pixels, 30)
    for chunk_size in (1, 7, 64, 499, 1024):
        again = principal_components(pixels, 30, chunk_size)
        assert torch.equal(again[0], mean)
        assert torch.equal(again[1], components)


def test_the_sums_of_a_chunk_are_exact_in_float32() -> None:
    """All black: the largest products, 128 squared, as many of them as a chunk may hold."""
    pixels = torch.zeros(3 * latents.CHUNK, 1, 2, 2, dtype=torch.uint8, device="cpu")
    pixels[::3, 0, 0, 0] = 1
    mean, components = principal_components(pixels, 4)
    assert mean.tolist() == pytest.approx([1 / 3, 0, 0, 0])
    assert components.tolist() == [[1], [0], [0], [0]]


def test_the_order_of_the_images_changes_nothing_but_the_order_of_the_latents() -> None:
    pixels = images(300)
    order = torch.randperm(300, generator=stream(0, "order"), device="cpu")
    z = initial_latents(pixels, 16, "pca", 0, "cpu")
    torch.testing.assert_close(initial_latents(pixels[order], 16, "pca", 0, "cpu"), z[order])


@pytest.mark.parametrize(
    ("pixels", "rank"),
    [
        pytest.param(images(5), 4, id="fewer images than latent entries"),
        pytest.param(images(1), 0, id="one image"),
        pytest.param(images(1).expand(20, -1, -1, -1), 0, id="equal images"),
        pytest.param(images(100, 1, 4), 16, id="fewer pixels than latent entries"),
        pytest.param(images(30, 1, 8).expand(-1, 3, -1, -1), 29, id="equal channels"),
    ],
)
def test_components_that_are_not_there_are_zero(pixels: Tensor, rank: int) -> None:
    _, components = principal_components(pixels, 32)
    assert components.shape[1] == rank
    z = initial_latents(pixels, 32, "pca", 0, "cpu")
    assert z[:, rank:].abs().sum() == 0
    if rank:
        assert (z[:, :rank].abs().sum(0) > 0).all()


def test_large_images_start_from_a_smaller_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = images(40, 1, 16)
    small = initial_latents(resize(pixels, 8, "box"), 12, "pca", 0, "cpu")
    monkeypatch.setattr(latents, "MAX_SIDE", 8)
    assert torch.equal(initial_latents(pixels, 12, "pca", 0, "cpu"), small)


def test_gaussian_latents_follow_the_seed_and_components_do_not() -> None:
    pixels = images(64)
    gauss = [initial_latents(pixels, 128, "gauss", seed, "cpu") for seed in (0, 0, 1)]
    assert torch.equal(gauss[0], gauss[1])
    assert not torch.equal(gauss[0], gauss[2])
    assert gauss[0].mean().abs() < 0.01
    torch.testing.assert_close(gauss[0].norm(dim=1), torch.ones(64, device="cpu"))
    pca = [initial_latents(pixels, 128, "pca", seed, "cpu") for seed in (0, 1)]
    assert torch.equal(pca[0], pca[1])


@pytest.mark.parametrize("start", ["pca", "gauss"])
def test_another_default_device_does_not_matter(start: latents.LatentStart) -> None:
    pixels = images(20)
    with torch.device("meta"):
        inside = initial_latents(pixels, 8, start, 3, torch.device("cpu"))
    assert torch.equal(inside, initial_latents(pixels, 8, start, 3, "cpu"))
    assert initial_latents(pixels, 8, start, 3, "meta").is_meta


@pytest.mark.slow
def test_fifty_thousand_images_take_little_memory() -> None:
    """Constant over the number of images: 16 bytes times 3,072 squared are 150 MB."""
    code = """
import resource, torch
from gan_nas.search.degas.latents import initial_latents
torch.set_num_threads(1)
x = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8, device="cpu")
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = used()
initial_latents(x, 128, "pca", 0, "cpu")
print((used() - before) // 1024)
"""
    run = [sys.executable, "-P", "-c", code]
    output = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert int(output) < 500
