"""How other tools prepare images for Inception, against Pillow and PyTorch themselves."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gan_nas.data import Images
from gan_nas.errors import Incompatible
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.inception import PREPROCESSINGS, SIDE, inception_from_state
from gan_nas.metrics.inception_timing import fidelity_extractor, seeded_state
from gan_nas.scoring.protocols import PROTOCOLS, Preprocessing
from gan_nas.scoring.reference import check_reference, make_statistics

SIDES = [8, 28, 32, 48, 128, 299, 300]


def colours(num: int, side: int) -> Tensor:
    random = torch.Generator(device="cpu").manual_seed(side)
    shape = (num, 3, side, side)
    return torch.randint(256, shape, generator=random, dtype=torch.uint8, device="cpu")


def by_pillow(images: Tensor, kind: Image.Resampling) -> Tensor:
    channels = [
        np.asarray(Image.fromarray(x.float().numpy()).resize((SIDE, SIDE), kind))
        for x in images.flatten(0, 1)
    ]
    return torch.from_numpy(np.stack(channels)).view(-1, 3, SIDE, SIDE)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return seeded_state()


@pytest.fixture(scope="module")
def backbones(state: dict[str, Tensor]) -> dict[Preprocessing, Backbone]:
    return {name: inception_from_state(state, preprocessing=name) for name in PREPROCESSINGS}


@pytest.mark.parametrize("side", SIDES)
def test_cleanfid_takes_pillows_bicubic_in_float_cut_to_the_range(side: int) -> None:
    images = colours(2, side)
    expected = (by_pillow(images, Image.Resampling.BICUBIC).clip(0, 255) - 128) / 128
    assert torch.equal(PREPROCESSINGS["cleanfid"].prepare(images), expected)
    if side not in (1, SIDE):
        overshoot = by_pillow(images, Image.Resampling.BICUBIC)
        assert float(overshoot.min()) < 0 < 255 < float(overshoot.max())


@pytest.mark.parametrize("side", SIDES)
def test_pytorch_fid_takes_half_pixel_bilinear_of_the_unit_range(side: int) -> None:
    images = colours(2, side)
    unit = images.float() / 255
    expected = 2 * F.interpolate(unit, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1
    assert torch.equal(PREPROCESSINGS["pytorch-fid"].prepare(images), expected)


@pytest.mark.parametrize("side", SIDES)
def test_studiogan_takes_pillows_bilinear_in_float(side: int) -> None:
    images = colours(2, side)
    expected = (by_pillow(images, Image.Resampling.BILINEAR) / 255 - 0.5) / 0.5
    assert torch.equal(PREPROCESSINGS["studiogan"].prepare(images), expected)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_white_and_black_are_the_ends_of_the_range(name: Preprocessing) -> None:
    for level in (0, 255):
        images = torch.full((1, 3, 32, 32), level, dtype=torch.uint8, device="cpu")
        expected = level / 127.5 - 1 if name in ("pytorch-fid", "studiogan") else level / 128 - 1
        prepared = PREPROCESSINGS[name].prepare(images)
        assert torch.allclose(prepared, torch.full_like(prepared, expected), atol=1e-6)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_features_and_logits_are_the_networks_of_these_inputs(
    state: dict[str, Tensor], backbones: dict[Preprocessing, Backbone], name: Preprocessing
) -> None:
    """Behind the preprocessing stands torch-fidelity's network."""
    images = colours(2, 32)
    features, logits = backbones[name].embed(images)
    prepared = PREPROCESSINGS[name].prepare(images)
    network = fidelity_extractor(state)
    maps: list[Tensor] = []
    hook = network.AvgPool.register_forward_hook(lambda *a: maps.append(a[2]))  # type: ignore[union-attr, operator]
    first = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda *_: (prepared,))  # type: ignore[union-attr, operator]
    network(images)
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


def test_statistics_fit_the_preprocessing_they_were_made_with(
    backbones: dict[Preprocessing, Backbone],
) -> None:
    images = Images("noise", colours(3, 32), colours(2, 28).new_zeros(2, 3, 32, 32))
    statistics = make_statistics(backbones["cleanfid"], images)
    assert check_reference(statistics, backbones["cleanfid"], 32) == []
    for name in backbones.keys() - {"cleanfid"}:
        with pytest.raises(Incompatible, match="resizing 'Pillow bicubic in float to 299"):
            check_reference(statistics, backbones[name], 32)
