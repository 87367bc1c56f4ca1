"""Scoring in one call: whatever is scored, and however it comes, gives the same numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from gan_nas.data import Images, load_images
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.networks.weights import Generator, load_generator, save_generator
from gan_nas.scoring.generating import generate
from gan_nas.scoring.protocols import PROTOCOLS
from gan_nas.scoring.score import needs_images, score
from gan_nas.scoring.subject import open_subject
from gan_nas.training.untrained import save_untrained

NUM = 120


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    path = tmp_path_factory.mktemp("generator") / "generator.safetensors"
    save_untrained(path, tiny.GENOME, 16, 1)
    return load_generator(path)


@pytest.fixture(scope="module")
def drawn(generator: Generator) -> Tensor:
    return torch.cat(list(generate(generator, NUM, generator.latent_dim, 0, "cpu")))


def scored(what: Any, data: Images | str | None = "digits", **options: Any) -> dict[str, float]:
    options = {"backbone": tiny.backbone(), "num": NUM} | options
    return score(what, data, **options).scores


def test_a_generator_and_its_images_have_the_same_scores_however_they_come(
    generator: Generator, drawn: Tensor, tmp_path: Path
) -> None:
    expected = scored(generator)
    assert scored(generator, tiny.digits(), measures=["fid", "is"]) == expected
    np.savez(tmp_path / "a b.npz", drawn.permute(0, 2, 3, 1).numpy())
    path = tmp_path / "generator.safetensors"
    tensors = generator.network.state_dict()
    save_generator(path, tensors, generator.genome, 16, 1, generator.lineage)
    for what in (drawn, open_subject(drawn), tmp_path / "a b.npz", str(path), path):
        assert scored(what) == pytest.approx(expected)
    assert scored(generator, seed=1) != expected


def test_images_as_they_are_have_no_seed_and_all_of_them_count(drawn: Tensor) -> None:
    scores = score(drawn, "digits", backbone=tiny.backbone())
    assert scores.passport.seed is None
    assert scores.passport.quantise == "none"
    assert scores.passport.num_fake == NUM
    assert scores.name == "images"


def test_the_images_of_a_lineage_are_found_and_told_when_they_changed(
    generator: Generator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, tensors = tmp_path / "generator.safetensors", generator.network.state_dict()
    lineage = tiny.digits().identity([16])
    save_generator(path, tensors, tiny.GENOME, 16, 1, lineage)
    assert scored(path, None) == scored(generator)
    assert "not as it was" not in caplog.text
    save_generator(path, tensors, tiny.GENOME, 16, 1, lineage | {"data_fingerprint": "0"})
    scored(path, None)
    assert "digits is not as it was when this was trained" in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num": 1}, "1 images are too few for is,fid; take at least 2"),
        ({"num": 9, "splits": 5}, "too few for is,fid in 5 splits; take at least 10"),
        ({"protocol": "autogam"}, "did you mean autogan"),
        ({"measures": "fids"}, "did you mean fid"),
        ({"backbone": "none"}, "unknown backbone"),
    ],
)
def test_what_cannot_be_scored_is_explained(
    generator: Generator, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        scored(generator, **options)


def test_images_of_another_kind_are_refused(generator: Generator, drawn: Tensor) -> None:
    colour = load_images("digits")
    colour = Images("colour", *(x.expand(-1, 3, -1, -1) for x in (colour.train, colour.held_out)))
    with pytest.raises(Incompatible, match="images of 1 channels and colour has 3"):
        scored(generator, colour)
    with pytest.raises(InvalidInput, match="never trained on data: name the real ones"):
        scored(generator, None)
    with pytest.raises(InvalidInput, match="these are images: name the real ones"):
        scored(drawn, None)
    with pytest.raises(InvalidInput, match="repeats is for generators"):
        scored(drawn, repeats=2)
    for images in (drawn.float(), drawn[0], drawn[..., 1:]):
        with pytest.raises(InvalidInput, match=r"allowed is uint8 \(N, C, S, S\)"):
            scored(images)


def test_all_images_count_and_fewer_are_spaced_evenly(
    drawn: Tensor, caplog: pytest.LogCaptureFixture
) -> None:
    many = drawn.repeat(90, 1, 1, 1)  # 10,800: more than a generator draws by itself
    assert score(many, "digits", backbone=tiny.backbone()).passport.num_fake == len(many)
    part = many[torch.arange(50) * len(many) // 50]
    assert scored(many, num=50) == pytest.approx(scored(part, num=50))
    assert caplog.text == ""
    scored(drawn, num=200)
    assert "images holds 120 images, not 200" in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num": 19}, "19 images are few for 4 features, the distance comes out too high"),
        (
            {"num": 400, "measures": "fid-infinity", "backbone": "classifier"},
            "there for 64 features: it ends too low; take at least 1,280",
        ),
        ({"protocol": "autogan"}, "the protocol autogan asks for 50,000 images and these are 120"),
    ],
)
def test_what_may_mislead_is_logged(
    generator: Generator, options: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    scored(generator, **options)
    assert said in caplog.text
    caplog.clear()
    scored(generator, num=200, measures="is,fid,fid-infinity")
    assert caplog.text == ""


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_is_claimed_where_it_is_followed(
    generator: Generator, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool's preparation of images is one of Inception."""
    protocol = PROTOCOLS[name].model_copy(update={"num_fake": NUM})
    monkeypatch.setitem(PROTOCOLS, name, protocol)
    options: dict[str, Any] = {"protocol": name, "backbone": tiny.backbone()}
    passport = score(generator, "digits", **options).passport
    assert passport.protocol == (name if protocol.preprocessing == "tf1" else None)
    assert passport.quantise == protocol.quantise
    for changed in ({"num": NUM - 1}, {"splits": protocol.num_splits + 1}):
        assert score(generator, "digits", **options, **changed).passport.protocol is None


@pytest.mark.parametrize("backbone", ["classifier", "residual"])
def test_a_backbone_that_is_trained_on_images_needs_them_beside_a_file(backbone: str) -> None:
    assert needs_images("is,fid", backbone, Path("reference.npz"))
    assert not needs_images("is,fid", "inception", Path("reference.npz"))
