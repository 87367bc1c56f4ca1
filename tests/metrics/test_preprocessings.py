"""How other tools prepare images for Inception, against Pillow and PyTorch themselves."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.inception import PREPROCESSINGS, SIDE, inception_from_state
from gan_nas.metrics.inception_timing import fidelity_extractor, seeded_state
from gan_nas.metrics.pillow import resize_pillow
from gan_nas.scoring.protocols import PROTOCOLS, Preprocessing


def colours(num: int, side: int) -> Tensor:
    random = torch.Generator(device="cpu").manual_seed(side)
    shape = (num, 3, side, side)
    return torch.randint(256, shape, generator=random, dtype=torch.uint8, device="cpu")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return seeded_state()


@pytest.fixture(scope="module")
def peer(state: dict[str, Tensor]) -> nn.Module:
    return fidelity_extractor(state)


@pytest.fixture(scope="module")
def backbones(state: dict[str, Tensor]) -> dict[Preprocessing, Backbone]:
    return {name: inception_from_state(state, preprocessing=name) for name in PREPROCESSINGS}


def pytorch_resize(images: Tensor) -> Tensor:
    return F.interpolate(images.float() / 255, (SIDE, SIDE), mode="bilinear", align_corners=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cleanfid", lambda x: (resize_pillow(x, SIDE, "bicubic").clip(0, 255) - 128) / 128),
        ("pytorch-fid", lambda x: 2 * pytorch_resize(x) - 1),
        ("studiogan", lambda x: (resize_pillow(x, SIDE, "bilinear") / 255 - 0.5) / 0.5),
    ],
)
@pytest.mark.parametrize("side", [8, 48, 299, 300])
def test_images_are_prepared_as_the_tool_of_that_name_does(
    name: Preprocessing, expected: Callable[[Tensor], Tensor], side: int
) -> None:
    """That our Pillow's filters are Pillow's to the bit is told by its own tests."""
    images = colours(2, side)
    assert torch.equal(PREPROCESSINGS[name].prepare(images), expected(images))


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_white_and_black_are_the_ends_of_the_range(name: Preprocessing) -> None:
    for level in (0, 255):
        images = torch.full((1, 3, 32, 32), level, dtype=torch.uint8, device="cpu")
        expected = level / 127.5 - 1 if name in ("pytorch-fid", "studiogan") else level / 128 - 1
        prepared = PREPROCESSINGS[name].prepare(images)
        assert torch.allclose(prepared, torch.full_like(prepared, expected), atol=1e-6)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_features_and_logits_are_the_networks_of_these_inputs(
    state: dict[str, Tensor],
    peer: nn.Module,
    backbones: dict[Preprocessing, Backbone],
    name: Preprocessing,
) -> None:
    """Behind the preprocessing stands torch-fidelity's network."""
    images = colours(1, 32)
    features, logits = backbones[name].embed(images)
    prepared = PREPROCESSINGS[name].prepare(images)
    maps: list[Tensor] = []
    hook = peer.AvgPool.register_forward_hook(lambda *a: maps.append(a[2]))  # type: ignore[union-attr]
    first = peer.Conv2d_1a_3x3.register_forward_pre_hook(lambda *_: (prepared,))  # type: ignore[union-attr]
    peer(images)
    hook.remove()
    first.remove()
    expected = maps[0].flatten(1)
    assert float((features - expected).abs().max() / expected.abs().max()) < 1e-5
    weight, bias = state["fc.weight"], state["fc.bias"]
    score = expected @ weight.T + (bias if name == "studiogan" else 0)
    assert float((logits - score).abs().max() / score.abs().max()) < 1e-5


def test_every_preprocessing_gives_other_features_under_another_passport(
    backbones: dict[Preprocessing, Backbone],
) -> None:
    images = colours(1, 400)  # antialiasing tells Pillow's bilinear from PyTorch's
    features = [backbone.embed(images)[0] for backbone in backbones.values()]
    for i, mine in enumerate(features):
        for theirs in features[:i]:
            assert float((mine - theirs).abs().max() / mine.abs().max()) > 1e-4
    assert len({backbone.resize for backbone in backbones.values()}) == len(backbones)
    assert {protocol.preprocessing for protocol in PROTOCOLS.values()} == backbones.keys()
