"""Inception without its weights: the same architecture, filled with noise that stays in range."""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_nas.data import Images, load_images
from gan_nas.errors import InvalidInput, MissingResource
from gan_nas.metrics import inception
from gan_nas.metrics.backbone import Backbone, hash_tensors
from gan_nas.metrics.frechet import frechet_distance
from gan_nas.metrics.inception import (
    HASH,
    URL,
    FoldedConv,
    Inception,
    architecture,
    cached_weights,
    inception_from_state,
    load_inception,
    resize_tf1,
)
from gan_nas.metrics.inception_score import InceptionScore
from gan_nas.metrics.inception_timing import fidelity_extractor, seeded_state, time_inception
from gan_nas.metrics.loading import load_backbone
from gan_nas.metrics.moments import Moments

NAME = f"weights-inception-2015-12-05-{HASH}.pth"


def pictures(num: int, channels: int, height: int, width: int | None = None) -> Tensor:
    """Blobs of all sizes, unlike noise: neighbours resemble each other."""
    generator = torch.Generator("cpu").manual_seed(height)
    image = torch.zeros(num, channels, height, width or height, device="cpu")
    for cells in (2, 5, 13):
        coarse = torch.randn(num, channels, cells, cells, generator=generator, device="cpu")
        image += F.interpolate(coarse, image.shape[2:], mode="bicubic")
    return (image * 60 + 128).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return seeded_state()


@pytest.fixture(scope="module")
def backbone(file: Path) -> Backbone:
    """Weights from a file, on the CPU whatever the default device."""
    with torch.device("meta"):
        return load_backbone(f"inception:{file}", None, None, "cpu")


@pytest.fixture(scope="module")
def peer(state: dict[str, Tensor]) -> nn.Module:
    return fidelity_extractor(state)


@pytest.fixture(scope="module")
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose file carries its own hash."""
    path = tmp_path_factory.mktemp("weights") / "noise.pth"
    torch.save(state, path)
    return path.rename(path.with_name(f"noise-{sha256(path)[:8]}.pth"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch.hub cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    return tmp_path / "hub" / "hub" / "checkpoints"


# The architecture, metrics.md 1.1.


def test_the_architecture_is_that_of_2015_and_not_torchvisions() -> None:
    network = architecture()
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_850_960
    assert isinstance(network.fc, nn.Linear)
    assert network.fc.out_features == 1008


def block_with_bare_pool(name: str) -> nn.Module:
    """The block of torch-fidelity's network, with convolutions that let their input through."""
    block = architecture().get_submodule(name)
    for child, _ in list(block.named_children()):
        setattr(block, child, nn.Identity())
    return block


@pytest.mark.parametrize(
    "name", [f"Mixed_{block}" for block in ("5b", "5c", "5d", "6b", "6c", "6d", "6e", "7b", "7c")]
)
def test_average_pools_do_not_count_the_padding_and_the_last_pool_is_a_maximum(
    name: str,
) -> None:
    x = pictures(1, 3, 8).float()
    pooled = block_with_bare_pool(name)(x)[:, -3:]
    if name == "Mixed_7c":
        expected = F.max_pool2d(x, 3, 1, 1)
    else:
        ones = torch.ones_like(x)
        expected = F.avg_pool2d(x, 3, 1, 1) / F.avg_pool2d(ones, 3, 1, 1)
    torch.testing.assert_close(pooled, expected)


def test_no_batch_norm_is_left_and_the_logits_have_no_bias(backbone: Backbone) -> None:
    network = backbone.network
    assert isinstance(network, Inception)
    kinds = [type(module) for module in network.modules()]
    assert kinds.count(FoldedConv) == 94
    assert nn.BatchNorm2d not in kinds
    assert network.head.bias is None


# The same values as torch-fidelity's.


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (32, 32), (299, 299), (100, 299), (640, 17)])
def test_the_resize_is_torch_fidelitys_to_the_bit(channels: int, size: tuple[int, int]) -> None:
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x as interpolate,
    )

    images = pictures(2, channels, *size)
    expected = interpolate(images.float(), (299, 299), align_corners=False)
    resized = resize_tf1(images, 299)
    assert torch.equal(resized, expected)
    assert resized.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("channels", "side"), [(3, 32), (1, 299)])
def test_features_and_logits_are_torch_fidelitys(
    channels: int, side: int, backbone: Backbone, peer: nn.Module
) -> None:
    images = pictures(3, channels, side)
    features, logits = backbone.embed(images)
    expected = peer(images.expand(-1, 3, -1, -1))
    for ours, theirs in zip((features, logits), expected, strict=True):
        assert ours.dtype == torch.float32
        largest = theirs.abs().max()
        assert 0.1 < largest < 100  # in range, so that the comparison means something
        assert float((ours - theirs).abs().max() / largest) < 1e-5
    assert (features.shape, logits.shape) == ((3, 2048), (3, 1008))


def test_bfloat16_differs_by_less_than_two_percent(
    state: dict[str, Tensor], backbone: Backbone
) -> None:
    """On these weights: with the real ones the error has to be measured again."""
    images = pictures(2, 3, 32)
    fast = inception_from_state(state, precision="bf16")
    for ours, exact in zip(fast.embed(images), backbone.embed(images), strict=True):
        assert ours.dtype == torch.float32
        assert 0 < float((ours - exact).abs().max() / exact.abs().max()) < 0.02
    assert fast.precision == "bf16"
    assert fast.fingerprint == f"{hash_tensors(state)}-bf16"  # else caches would mix them


def test_the_same_images_give_the_same_bits_whatever_is_around(backbone: Backbone) -> None:
    images = pictures(2, 3, 32)
    expected = backbone.embed(images)
    with torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
        again = backbone.embed(images)
    assert all(torch.equal(a, b) for a, b in zip(again, expected, strict=True))


@pytest.mark.slow
def test_scoring_takes_less_than_two_gigabytes_over_the_network(backbone: Backbone) -> None:
    from threading import Event, Thread

    def resident() -> int:
        text = Path("/proc/self/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0])

    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    before, seen, done = resident(), [0], Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(resident())

    watcher = Thread(target=watch)
    watcher.start()
    backbone.embed(pictures(64, 3, 32))
    done.set()
    watcher.join()
    assert max(seen) - before < 1 << 20  # of KiB


@pytest.mark.slow
def test_the_timing_tells_ratio_and_errors(state: dict[str, Tensor]) -> None:
    report = time_inception(pictures(4, 3, 32), state=state, repeats=1)
    assert report["features_error"] < 1e-5
    assert report["logits_error"] < 1e-5
    assert report["ratio"] > 1
    assert time_inception(pictures(2, 3, 32), "bf16", repeats=1)["weights"] == "random"


# Names: only the weights of 2015-12-05 give an IS and a FID.


def test_other_weights_never_print_is_or_fid(
    backbone: Backbone, file: Path, state: dict[str, Tensor]
) -> None:
    for made in (backbone, inception_from_state(state)):
        assert not made.canonical
        assert made.score_name == "classifier_score"
        assert made.distance_name == "frechet_distance[inception]"
        assert made.resize == "TF1 bilinear to 299"
        assert made.labelled
        assert made.batch_size == 16
    assert backbone.fingerprint == sha256(file)[:16]


def test_the_known_weights_print_is_and_fid(
    file: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "HASH", sha256(file)[:8])  # as if they were these
    assert cached_weights() == hub / NAME
    monkeypatch.setattr(inception, "URL", file.as_uri())
    backbone = load_backbone("inception", None, None, "cpu", download=True)
    assert [path.name for path in hub.iterdir()] == [file.name]
    assert backbone.canonical
    assert (backbone.score_name, backbone.distance_name) == ("inception_score", "fid")
    anonymous = file.with_name("renamed.pth")
    anonymous.hardlink_to(file)
    assert load_inception(anonymous).canonical
    assert load_inception().canonical  # the cache is enough


# Weights that are not there, or not Inception's.


@pytest.mark.parametrize("explicit", [True, False])
def test_missing_weights_say_what_to_get_and_where_to_put_it(
    explicit: bool, hub: Path, tmp_path: Path
) -> None:
    path = tmp_path / "nothing.pth" if explicit else hub / NAME
    spec = f"inception:{path}" if explicit else "inception"
    with pytest.raises(MissingResource, match="nothing was scored") as refusal:
        load_backbone(spec, None, None, "cpu")
    assert str(path) in str(refusal.value)
    assert URL in str(refusal.value)
    assert not hub.exists()


def test_a_download_that_fails_leaves_nothing(
    hub: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "URL", (file.parent / f"absent-{HASH}.pth").as_uri())
    with pytest.raises(MissingResource, match="cannot be fetched"):
        load_inception(download=True)
    monkeypatch.setattr(inception, "URL", file.as_uri())  # of another hash
    with pytest.raises(MissingResource, match="came damaged"):
        load_inception(download=True)
    assert not list(hub.iterdir())


class Intruder:
    """Unpickling it would create a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def damaged(kind: str, folder: Path, state: dict[str, Tensor]) -> Path:
    path = folder / "x.pth"
    match kind:
        case "other hash":
            path.write_bytes(b"x")
            return path.rename(folder / NAME)
        case "no hash":
            path.write_bytes(b"x")
            return path
        case "no archive":
            path.write_bytes(b"x" * 100)
        case "empty":
            path.write_bytes(b"")
        case "cut":
            torch.save({"x": torch.zeros(1000, device="cpu")}, path)
            path.write_bytes(path.read_bytes()[:2000])
        case "code":
            torch.save({"x": Intruder(folder / "was here")}, path)
        case "list":
            torch.save([1, 2], path)
        case "foreign":
            torch.save({"x": torch.zeros(3, device="cpu")}, path)
        case "other shape":
            torch.save(state | {"fc.bias": torch.zeros(1000, device="cpu")}, path)
        case "nan":
            torch.save(state | {"fc.bias": torch.full((1008,), torch.nan, device="cpu")}, path)
        case "half":
            torch.save(
                {k: v.half() if v.is_floating_point() else v for k, v in state.items()}, path
            )
    return path.rename(folder / f"x-{sha256(path)[:10]}.pth")


KINDS = [
    *("other hash", "no hash", "no archive", "empty", "cut", "code", "list", "foreign"),
    *("other shape", "nan", "half"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_cannot_be_used_give_one_sentence(
    kind: str, tmp_path: Path, state: dict[str, Tensor]
) -> None:
    path = damaged(kind, tmp_path, state)
    with pytest.raises(InvalidInput, match=r"again|get https|is needed") as refusal:
        load_inception(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "was here").exists()


def test_without_torch_fidelity_there_is_a_plain_error(
    state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(MissingResource, match=r"needs torch-fidelity.*pip install"):
        inception_from_state(state)


def test_an_unknown_precision_is_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(InvalidInput, match="allowed are float32 and bf16"):
        inception_from_state(state, precision="half")
    with pytest.raises(InvalidInput, match="bf16 is for inception"):
        load_backbone("classifier", None, None, "cpu", precision="bf16")


# With the weights.


@pytest.fixture
def real_backbone() -> Backbone:
    path = Path(os.environ.get("GAN_NAS_INCEPTION") or cached_weights())
    if not path.is_file():
        pytest.skip(f"Inception's weights are neither at {path} nor where GAN_NAS_INCEPTION says")
    return load_inception(path, "cuda" if torch.cuda.is_available() else "cpu")


def measured(images: Tensor, backbone: Backbone) -> tuple[Moments, float]:
    """Return moments and Inception score, ten splits in order."""
    moments: Moments | None = None
    score = InceptionScore(len(images), 10)
    for batch in torch.split(images, 500):
        features, logits = backbone.embed(batch)
        moments = moments.update(features) if moments else Moments.of(features)
        score.update(logits)
    assert moments is not None
    return moments, score.result()[0]


@pytest.mark.weights
@pytest.mark.slow
def test_cifar10_has_the_published_scores(real_backbone: Backbone, shared: Path) -> None:
    """TensorFlow's, from the README of pytorch-image-generation-metrics; hours on a CPU."""
    assert real_backbone.canonical
    images: Images = load_images("cifar10", shared / "data" / "cifar10")
    train, train_score = measured(images.train, real_backbone)
    test, test_score = measured(images.held_out, real_backbone)
    # 1e-3 relative, and the rounding of the published numbers.
    assert train_score == pytest.approx(11.24, abs=0.017)
    assert test_score == pytest.approx(10.98, abs=0.016)
    # The ports to PyTorch reach 3.1457 to 3.1525.
    assert frechet_distance(train, test) == pytest.approx(3.1508, abs=0.006)


@pytest.mark.weights
@pytest.mark.slow
def test_bfloat16_differs_by_less_than_five_percent_with_the_real_weights(
    real_backbone: Backbone, shared: Path, record_property: Callable[[str, object], None]
) -> None:
    images = load_images("cifar10", shared / "data" / "cifar10").held_out[:1000]
    path = Path(os.environ.get("GAN_NAS_INCEPTION") or cached_weights())
    fast = load_inception(path, real_backbone.device, precision="bf16")
    for name, ours, exact in zip(
        ("features", "logits"), fast.embed(images), real_backbone.embed(images), strict=True
    ):
        error = float((ours - exact).abs().max() / exact.abs().max())
        record_property(f"largest relative error of {name} in bf16", error)
        assert error < 0.05
