import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gan_nas.data import Images, load_images, resize
from gan_nas.errors import GanNasError, Interrupted, InvalidInput, MissingResource
from gan_nas.metrics.backbone import Backbone, custom_backbone
from gan_nas.metrics.cifar_resnet import CifarResNet, load_cifar_resnet
from gan_nas.metrics.classifier import (
    SHIPPED,
    Kind,
    SmallCNN,
    in_domain_classifier,
    keep_judge,
    save_classifier,
    train_classifier,
)
from gan_nas.metrics.loading import identities_of, load_backbone


def noise(*shape: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator, device="cpu")


def toy(channels: int = 1, side: int = 8, labelled: bool = True) -> Images:
    """Two classes told apart by brightness; the upper half is brighter."""
    labels = torch.arange(40, device="cpu") % 2
    pixels = noise(40, channels, side, side) // 4 + labels.view(-1, 1, 1, 1).to(torch.uint8) * 128
    pixels[:, :, : side // 2] += 60
    if not labelled:
        return Images("toy", pixels[:32], pixels[32:])
    return Images("toy", pixels[:32], pixels[32:], labels[:32], labels[32:], 2)


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained ResNet-8 with 7 classes, in the published layout."""
    network = CifarResNet(1, 7)
    for parameter in network.parameters():
        parameter.data.uniform_(-0.1, 0.1)
    path = tmp_path_factory.mktemp("weights") / "resnet8.safetensors"
    state = network.state_dict().items()
    save_file({k: v for k, v in state if not k.endswith("num_batches_tracked")}, path)
    return path


@pytest.fixture(scope="module", params=["classifier", "rotation", "resnet"])
def backbone(request: pytest.FixtureRequest, resnet_file: Path) -> Backbone:
    with torch.device("meta"):  # the default device must not matter
        match request.param:
            case "classifier":
                return load_backbone("classifier", toy(), None, "cpu")
            case "rotation":
                return load_backbone("classifier", toy(3, 16, labelled=False), None, "cpu")
            case _:
                return load_backbone(f"classifier:{resnet_file}", toy(), None, "cpu")


def test_what_is_known_of_a_backbone_before_it_is_loaded_is_true(resnet_file: Path) -> None:
    of_file = f"classifier:{resnet_file}"
    for spec in ("classifier", "residual", of_file):
        identity = load_backbone(spec, toy(), None, "cpu").identity
        assert any(one.items() <= identity.items() for one in identities_of(spec))
    assert identities_of(of_file) == (identity,)
    assert identities_of(f"{of_file}.gone") == ({"judge": "classifier"},)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [4, 8, 24, 48])
def test_every_backbone_takes_images_of_any_size_and_colour(
    backbone: Backbone, channels: int, side: int
) -> None:
    features, logits = backbone.embed(noise(3, channels, side, side))
    assert features.shape == (3, 64)
    assert features.dtype == logits.dtype == torch.float32
    assert len(logits) == 3
    assert not features.requires_grad
    assert features.isfinite().all()


def test_every_backbone_embeds_images_one_by_one_as_together(backbone: Backbone) -> None:
    images = noise(12, 1, 8, 8)
    features, logits = backbone.embed(images)
    assert (backbone.batch_size, backbone.precision) == (500, "float32")
    by_fives = replace(backbone, batch_size=5)
    torch.testing.assert_close(by_fives.embed(images), (features, logits), rtol=1e-4, atol=1e-5)
    order = torch.randperm(12)
    torch.testing.assert_close(
        backbone.embed(images[order])[0], features[order], rtol=1e-4, atol=1e-5
    )


def test_every_backbone_resizes_by_the_one_resize(backbone: Backbone) -> None:
    assert backbone.side is not None
    assert backbone.resize == f"bilinear / block mean to {backbone.side}"
    images = noise(4, backbone.channels, 12, 12)
    expected = backbone.embed(resize(images, backbone.side, "box"))
    assert torch.equal(backbone.embed(images)[0], expected[0])


def test_every_backbone_computes_in_float32_whatever_is_around(backbone: Backbone) -> None:
    images = noise(6, 3, 8, 8)
    expected, _ = backbone.embed(images)
    with torch.device("meta"):
        assert torch.equal(backbone.embed(images)[0], expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(backbone.embed(images)[0], expected)
    backbone.network.train()
    assert torch.equal(backbone.embed(images)[0], expected)
    assert not any(parameter.requires_grad for parameter in backbone.network.parameters())


def test_grey_equals_colour_of_three_equal_channels(backbone: Backbone) -> None:
    grey = noise(5, 1, 8, 8)
    expected, _ = backbone.embed(grey)
    torch.testing.assert_close(
        backbone.embed(grey.expand(-1, 3, -1, -1))[0], expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    "spec", ["clasifier", "", "inceptio", "other:x", "classifier:", "inception:"]
)
def test_an_unknown_backbone_is_refused(spec: str) -> None:
    with pytest.raises(InvalidInput, match="allowed are classifier") as refusal:
        load_backbone(spec, toy(), None, "cpu")
    assert ("did you mean" in str(refusal.value)) == spec.startswith(("clas", "incep"))


# Networks from Python.


class Means(nn.Module):
    """Any size in; eight numbers an image out, and two logits if wanted."""

    def __init__(self, logits: bool = False, channels: int = 3) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, 8, device="cpu")
        nn.init.constant_(self.mix.weight, 0.5)
        nn.init.zeros_(self.mix.bias)
        self.head = nn.Linear(8, 2, device="cpu") if logits else None
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        assert not self.training
        self.seen.append(images)
        features = self.mix(images.float().mean((2, 3)) / 255)
        return features if self.head is None else (features, self.head(features))


@pytest.mark.parametrize("side", [1, 5, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_module_may_judge_images_as_they_are(side: int, channels: int) -> None:
    network = Means().train()
    backbone = custom_backbone("means", network)
    images = noise(70, channels, side, side)
    features, logits = backbone.embed(images)
    assert (features.shape, logits.shape) == ((70, 8), (70, 0))
    assert features.dtype == torch.float32
    assert [len(batch) for batch in network.seen] == [32, 32, 6]
    assert {batch.dtype for batch in network.seen} == {torch.uint8}
    assert torch.equal(torch.cat(network.seen), images.expand(-1, 3, -1, -1))
    assert (backbone.side, backbone.resize) == (None, "the network's own")
    assert not backbone.labelled


def test_colour_becomes_luma_for_a_grey_module() -> None:
    network = Means(channels=1)
    white = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8, device="cpu")
    custom_backbone("grey", network, channels=1).embed(white)
    assert torch.equal(network.seen[0], white[:, :1])


def test_a_module_with_logits_gets_a_classifier_score_if_they_are_of_classes() -> None:
    images = noise(4, 3, 8, 8)
    backbone = custom_backbone("means", Means(logits=True), labelled=True, resize="none")
    assert backbone.embed(images)[1].shape == (4, 2)
    assert (backbone.labelled, backbone.resize) == (True, "none")
    mute = custom_backbone("means", Means(), labelled=True)
    with pytest.raises(InvalidInput, match="labelled and returned no logits"):
        mute.embed(images)


def test_the_fingerprint_of_a_module_is_that_of_its_tensors() -> None:
    network = Means()
    before = custom_backbone("a", network).fingerprint
    assert custom_backbone("b", Means().bfloat16().float()).fingerprint == before
    assert custom_backbone("c", Means().bfloat16()).fingerprint != before
    nn.init.ones_(network.mix.bias)
    assert custom_backbone("a", network).fingerprint != before
    assert custom_backbone("a", network, fingerprint="mine").fingerprint == "mine"
    with pytest.raises(InvalidInput, match="give it a fingerprint"):
        custom_backbone("a", nn.Flatten())
    bare = custom_backbone("a", nn.Flatten(), fingerprint="pixels")
    with pytest.raises(InvalidInput, match="are features"):
        bare.embed(noise(2, 3, 4, 4))  # bytes are no features


@pytest.mark.parametrize("name", ["", "a b", "a]", "fid\n"])
def test_a_name_that_would_spoil_tables_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be named"):
        custom_backbone(name, Means())


class Odd(nn.Module):
    def __init__(self, returned: object) -> None:
        super().__init__()
        self.returned = returned

    def forward(self, images: Tensor) -> object:
        return self.returned


@pytest.mark.parametrize(
    "returned",
    [
        torch.zeros(3, 4, device="cpu"),
        torch.zeros(2, device="cpu"),
        torch.zeros(2, 4, 1, 1, device="cpu"),
        (torch.zeros(2, 4, device="cpu"), torch.zeros(2, device="cpu")),
        (torch.zeros(2, 4, device="cpu"),) * 3,
        [torch.zeros(2, 4, device="cpu")],
        None,
    ],
)
def test_what_is_neither_features_nor_logits_is_refused(returned: object) -> None:
    backbone = custom_backbone("odd", Odd(returned), fingerprint="odd")
    with pytest.raises(InvalidInput, match=r"expected are features \(N, d\)") as refusal:
        backbone.embed(noise(2, 3, 4, 4))
    assert "\n" not in str(refusal.value)


# The in-domain classifier.


@pytest.mark.parametrize("kind", SHIPPED)
def test_digits_are_told_apart(kind: Kind, tmp_path: Path) -> None:
    images = load_images("digits")
    seen: list[tuple[int, int]] = []
    rng = torch.get_rng_state()
    trained = train_classifier(
        images, "cpu", progress=lambda done, total: seen.append((done, total)), kind=kind
    )
    assert torch.equal(torch.get_rng_state(), rng)
    assert trained.accuracy is not None
    assert trained.accuracy >= 0.98
    assert (trained.name, trained.side, trained.channels, trained.labelled) == (kind, 8, 1, True)
    total = 25 * (1437 // 64) * 64
    assert seen[0] == (64, total)
    assert seen[-1] == (total, total)
    logits = trained.embed(images.held_out)[1]
    assert images.held_out_labels is not None
    right = (logits.argmax(1) == images.held_out_labels).double().mean()
    assert float(right) == pytest.approx(trained.accuracy)
    shipped = in_domain_classifier(images, tmp_path, "cpu", kind=kind)
    assert not list(tmp_path.iterdir())
    assert shipped.accuracy == pytest.approx(trained.accuracy, abs=0.01)
    same = shipped.embed(images.held_out)[1].argmax(1) == logits.argmax(1)
    assert float(same.double().mean()) >= 0.99


def never() -> bool:
    raise AssertionError("nothing should be trained")


def test_the_digits_need_no_training_on_any_number_of_threads() -> None:
    images, threads = load_images("digits"), torch.get_num_threads()
    found: dict[str, set[str]] = {}
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        try:
            for kind in SHIPPED:
                judge = in_domain_classifier(images, None, "cpu", never, kind=kind)
                found.setdefault(judge.name, set()).add(judge.fingerprint)
        finally:
            torch.set_num_threads(threads)
    # Those of the digits' runs, tables and scores so far.
    assert found == {"classifier": {"5f7d8ff7e61ec6e3"}, "residual": {"0c82e0306d283d05"}}


def test_a_file_of_one_classifier_is_not_taken_for_the_other(tmp_path: Path) -> None:
    images = toy()
    backbones = [in_domain_classifier(images, tmp_path, "cpu", kind=kind) for kind in SHIPPED]
    assert len(list(tmp_path.iterdir())) == len({one.fingerprint for one in backbones}) == 2
    for backbone in backbones:
        keep_judge(tmp_path / "run", backbone, images)
    kept = list((tmp_path / "run").iterdir())
    assert len(kept) == 2
    for kind, backbone in zip(SHIPPED, backbones, strict=True):
        again = in_domain_classifier(images, None, "cpu", never, kind=kind, kept=kept)
        assert again.fingerprint == backbone.fingerprint
        assert again.distance_name == backbone.distance_name
    assert load_backbone("residual", images, tmp_path, "cpu", never).fingerprint == (
        backbones[1].fingerprint
    )
    with pytest.raises(InvalidInput, match="unknown backbone 'residual:a'"):
        load_backbone("residual:a", images, tmp_path, "cpu")


def test_a_kept_classifier_is_taken_before_the_cache_and_that_wanted_before_all(
    tmp_path: Path,
) -> None:
    images, kept = toy(), tmp_path / "kept.safetensors"
    cached = in_domain_classifier(images, tmp_path, "cpu")
    other = train_classifier(images, "cpu")
    with torch.no_grad():
        next(other.network.parameters()).add_(1)
    save_classifier(kept, other, images)
    first = in_domain_classifier(images, tmp_path, "cpu", kept=[tmp_path / "none", kept])
    assert first.fingerprint not in ("", cached.fingerprint)
    for wanted in (first.fingerprint, cached.fingerprint):
        found = in_domain_classifier(images, tmp_path, "cpu", kept=[kept], wanted=wanted)
        assert found.fingerprint == wanted
    unknown = in_domain_classifier(images, tmp_path, "cpu", kept=[kept], wanted="unknown")
    assert unknown.fingerprint == first.fingerprint
    other_data = replace(images, train=images.train ^ 1)
    trained = in_domain_classifier(other_data, None, "cpu", kept=[kept])
    assert trained.fingerprint not in (first.fingerprint, cached.fingerprint)
    link = tmp_path / "link.safetensors"
    link.symlink_to(kept)
    assert in_domain_classifier(images, tmp_path, "cpu", kept=[link]).fingerprint == (
        cached.fingerprint
    )


@pytest.mark.parametrize("labelled", [True, False])
def test_training_is_the_same_every_time_and_on_any_default_device(
    labelled: bool, tmp_path: Path
) -> None:
    images = toy(labelled=labelled)
    torch.manual_seed(1)
    first = in_domain_classifier(images, tmp_path, "cpu")
    torch.manual_seed(2)
    with torch.device("meta"):
        second = in_domain_classifier(images, None, "cpu")
        cached = in_domain_classifier(images, tmp_path, "cpu", never)
    assert first.fingerprint == second.fingerprint == cached.fingerprint
    assert first.accuracy == second.accuracy == cached.accuracy
    logits = [one.embed(images.held_out)[1] for one in (first, cached)]
    assert torch.equal(*logits)
    other = replace(images, train=images.train ^ 1)
    assert in_domain_classifier(other, None, "cpu").fingerprint != first.fingerprint


def test_without_labels_quarter_turns_are_learnt() -> None:
    backbone = in_domain_classifier(toy(side=16, labelled=False), None, "cpu")
    assert (backbone.name, backbone.labelled) == ("rotation", False)
    assert backbone.accuracy is not None
    assert backbone.accuracy >= 0.75
    assert backbone.embed(noise(2, 1, 8, 8))[1].shape == (2, 4)


def test_the_cache_tells_what_it_holds(tmp_path: Path) -> None:
    backbone = in_domain_classifier(toy(), tmp_path, "cpu")
    (path,) = tmp_path.iterdir()
    assert path.name == f"classifier-{toy().fingerprint}.safetensors"
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["gan_nas_classifier"])
    assert about["accuracy"] == backbone.accuracy
    assert about["tensors"] == backbone.fingerprint
    assert (about["data"], about["side"]) == ("toy", 8)


def other_format(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["gan_nas_classifier"]) | {"format": 0}
    save_file(load_file(path), path, {"gan_nas_classifier": json.dumps(about)})


def other_weights(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b"\xff" * 1000),
        lambda path: save_file({"x": torch.zeros(3)}, path),
        lambda path: save_file({"x": torch.zeros(3)}, path, {"gan_nas_classifier": "[]"}),
        other_format,
        other_weights,
    ],
    ids=["empty", "cut", "noise", "foreign", "odd metadata", "old format", "flipped"],
)
def test_a_damaged_cache_is_made_anew(damage, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    backbone = in_domain_classifier(toy(), tmp_path, "cpu")
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    damage(path)
    assert in_domain_classifier(toy(), tmp_path, "cpu").fingerprint == backbone.fingerprint
    assert path.read_bytes() == good


def test_another_side_is_another_classifier(tmp_path: Path) -> None:
    native = in_domain_classifier(toy(), tmp_path, "cpu")
    small = in_domain_classifier(toy().at(4), tmp_path, "cpu")
    assert small.side == 4
    assert small.fingerprint != native.fingerprint


def test_training_stops_on_request_and_leaves_nothing(tmp_path: Path) -> None:
    answers = iter([False] * 5 + [True])
    with pytest.raises(Interrupted):
        in_domain_classifier(toy(), tmp_path, "cpu", stop=lambda: next(answers))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("side", [2, 4, 6, 8, 12, 16, 24, 28, 32, 40, 48, 56, 64, 96, 128])
def test_the_network_ends_at_two_or_three_pixels_at_bounded_cost(side: int) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = SmallCNN(side, 3, 10)
        with FlopCounterMode(display=False) as counter:
            features, logits = network(torch.zeros(2, 3, side, side))
        assert network.body(torch.zeros(2, 3, side, side)).shape[-1] <= 3
    assert (features.shape, logits.shape) == ((2, 64), (2, 10))
    assert counter.get_total_flops() / 4 < 12e6  # multiply-adds an image


# CIFAR ResNets.


def damaged(path: Path, kind: str, source: Path) -> Path:
    tensors = load_file(source)
    content = source.read_bytes()
    match kind:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "header":
            path.write_bytes(b"\xff" + content[1:])
        case "empty":
            path.write_bytes(b"")
        case "foreign":
            save_file({"weight": torch.zeros(3)}, path)
        case "missing key":
            save_file({k: v for k, v in tensors.items() if k != "bn1.bias"}, path)
        case "extra key":
            save_file(tensors | {"more": torch.zeros(1)}, path)
        case "other width":
            save_file(tensors | {"conv1.weight": torch.zeros(17, 3, 3, 3)}, path)
        case "no layer":
            save_file({k: v for k, v in tensors.items() if "layer" not in k}, path)
        case "nan":
            save_file(tensors | {"linear.bias": torch.full((7,), torch.nan)}, path)
        case "half":
            save_file({k: v.half() for k, v in tensors.items()}, path)
        case "folder":
            path.mkdir()
    return path


KINDS = [
    *("cut", "header", "empty", "foreign", "missing key", "extra key", "other width", "no layer"),
    *("nan", "half", "folder", "no file"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_cannot_be_used_give_one_sentence(
    kind: str, resnet_file: Path, tmp_path: Path
) -> None:
    path = damaged(tmp_path / "x.safetensors", kind, resnet_file)
    with pytest.raises(GanNasError, match="safetensors") as refusal:
        load_cifar_resnet(path)
    missing = kind == "no file"
    assert isinstance(refusal.value, MissingResource if missing else InvalidInput)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "accuracy", "every", "deviation"),
    [
        ("resnet20", 0.9173, 10, 0.02),
        pytest.param("resnet20", 0.9173, 1, 1e-4, marks=pytest.mark.slow),
        pytest.param("resnet56", 0.9339, 1, 1e-4, marks=pytest.mark.slow),
    ],
)
def test_published_classifiers_reach_their_accuracy(
    name: str, accuracy: float, every: int, deviation: float, shared: Path
) -> None:
    images = load_images("cifar10", shared / "data" / "cifar10")
    weights = shared / "data" / "cifar-resnet" / f"cifar10-{name}.safetensors"
    backbone = load_backbone(f"classifier:{weights}", images, None, "cpu")
    assert images.held_out_labels is not None
    logits = backbone.embed(images.held_out[::every])[1]
    right = logits.argmax(1) == images.held_out_labels[::every]
    assert float(right.double().mean()) == pytest.approx(accuracy, abs=deviation)
