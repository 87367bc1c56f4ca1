"""Backbones that are trained once on the data set that is to be generated: a CNN, and a second one.

The CNN is the default. The residual one has another network, another draw of its weights and
another order of the images, so that who scores well by both has not just found what one overlooks.

TF-GAN calls the resulting numbers classifier score and Frechet classifier distance. They depend on
this very network, so it is trained deterministically, cached and hashed. Without label smoothing,
which would cap the score of real images at half the number of classes; and with some images taken
to another size and back, as happens to those of a search's levels: this lifts the score of real
digits at 4 px from 2 to 7.7 of 10 and costs no accuracy (CIFAR-10 at 8 px: 2.2 to 3.6, and 1.5 %).

Bits depend on the number of CPU threads, so a run keeps its own, and those of the digits come
with the package. They were made once, on one thread, by

    images = load_images("digits")
    for kind, name in SHIPPED.items():
        classifier = train_classifier(images, torch.device("cpu"), kind=kind)
        save_classifier(Path(name), classifier, images)
"""

import json
import math
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gan_nas.data import Images, resize
from gan_nas.data.batches import take
from gan_nas.errors import Interrupted, MissingResource, RunFailed
from gan_nas.files import open_regular, warn_not_kept, write_atomically
from gan_nas.formats.header import check_header
from gan_nas.machine.repeatable import repeatable
from gan_nas.metrics.backbone import Backbone, full_precision, hash_tensors
from gan_nas.metrics.small_resnet import SmallResNet
from gan_nas.streams import stream

Kind = Literal["classifier", "residual"]
SHIPPED: dict[Kind, str] = {  # in this folder
    "classifier": "digits_classifier.safetensors",
    "residual": "digits_residual.safetensors",
}
JUDGES: dict[Kind, str] = {  # in a run directory
    "classifier": "judge.safetensors",
    "residual": "judge_residual.safetensors",
}
FILE_LIMIT = 1 << 28  # bytes
FORMAT = 1  # raised whenever the network or its training changes: older caches are made anew
WIDTHS = (16, 32, 64)
BATCH_SIZE = 64
LEARNING_RATE = 5e-3
NUM_EPOCHS, MIN_EPOCHS, NUM_IMAGES = 25, 3, 300_000
CLASSIFIER_NAMES = ("classifier", "rotation")  # with labels, and without
RESIDUAL_NAMES = ("residual", "residual-rotation")


class SmallCNN(nn.Module):
    """Convolutions of 16, 32, 64, 64, ... channels, halving until 2 or 3 pixels are left.

    Images (N, C, side, side) in [0, 1] -> features (N, 64), logits (N, K).
    """

    def __init__(self, side: int, channels: int, num_classes: int) -> None:
        super().__init__()
        # Sides from 64 on start with a stride, so that no data set costs much more than 32 px.
        stride = max(1, side // 32)
        num_halvings = max(2, math.ceil(math.log2(side / stride / 3)))
        widths = [*WIDTHS, *[WIDTHS[-1]] * (num_halvings - 2)]
        stem = nn.Conv2d(channels, widths[0], stride + 2, stride, padding=1, bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(widths[0]), nn.ReLU()]
        for before, after in pairwise(widths):
            convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
            layers += [
                nn.MaxPool2d(2, ceil_mode=True),
                convolution,
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features after global average pooling, and logits."""
        features = self.body(2 * x - 1).mean((2, 3))  # (N, 64)
        return features, self.head(features)


NETWORKS: dict[Kind, type[SmallCNN | SmallResNet]] = {
    "classifier": SmallCNN,
    "residual": SmallResNet,
}


def in_domain_classifier(
    images: Images,
    cache: Path | None,
    device: torch.device | str,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
    *,
    kind: Kind = "classifier",
    kept: Sequence[Path] = (),
    wanted: str | None = None,
) -> Backbone:
    """Return a classifier of a data set: a kept one, the shipped, that of `cache`, or a new one.

    Without labels the same network learns to tell the four quarter-turns of an image (RotNet,
    Gidaris et al. 2018): its features serve the distance, its logits no score. `kept` are files
    that may hold it, such as a run's; of several the one with the fingerprint `wanted` is taken,
    else the first. A new one is trained at the native side: `progress` receives the images seen and
    their total. Raises Interrupted when `stop` says.
    """
    path = None if cache is None else cache / f"{kind}-{images.fingerprint}.safetensors"
    found: list[Backbone] = []
    with as_file(files("gan_nas.metrics") / SHIPPED[kind]) as shipped:
        for file, own in (*((file, True) for file in kept), (shipped, True), (path, False)):
            loaded = None if file is None else _read(file, images, device, kind, names_data=own)
            if loaded is not None and wanted in (None, loaded.fingerprint):
                return loaded
            found += [] if loaded is None else [loaded]
    if found:
        return found[0]
    trained = train_classifier(images, device, stop, progress, kind=kind)
    if path is not None:
        try:
            save_classifier(path, trained, images)
        except MissingResource as error:
            warn_not_kept(path.parent, error)
    return trained


def train_classifier(
    images: Images,
    device: torch.device | str,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
    *,
    kind: Kind = "classifier",
) -> Backbone:
    """Train a classifier of a data set; see in_domain_classifier."""
    network = _empty(images, device, kind)
    _initialise(network, f"{kind} {images.fingerprint} initialisation")
    with repeatable(torch.device(device)):
        order = f"{kind} {images.fingerprint} data order"
        _train(network, images.to(device), order, stop, progress)
    return _backbone(network, images, _accuracy(network, images.to(device)))


def keep_judge(directory: Path, backbone: Backbone, images: Images) -> None:
    """Write a classifier of the images into a run directory that has none; no other backbone."""
    kind = _kind_of(backbone)
    if kind is not None and not (path := directory / JUDGES[kind]).exists():
        save_classifier(path, backbone, images)


def save_classifier(path: Path, backbone: Backbone, images: Images) -> None:
    """Write a classifier of these images atomically."""
    state = backbone.network.state_dict()
    tensors = {key: value.contiguous().cpu() for key, value in state.items()}
    about = {
        "format": FORMAT,
        "network": _kind_of(backbone),
        "data": images.name,
        "data_fingerprint": images.fingerprint,
        "side": images.side,
        "accuracy": backbone.accuracy,
        "tensors": hash_tensors(tensors),
    }
    metadata = {"gan_nas_classifier": json.dumps(about)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def _kind_of(backbone: Backbone) -> Kind | None:
    """Return which of the classifiers it is, None for another backbone."""
    network = type(backbone.network)
    return next((kind for kind in NETWORKS if NETWORKS[kind] is network), None)


def _empty(images: Images, device: torch.device | str, kind: Kind) -> SmallCNN | SmallResNet:
    num_classes = 4 if images.train_labels is None else images.num_classes
    assert num_classes is not None
    with torch.device("meta"):
        network = NETWORKS[kind](images.side, images.channels, num_classes)
    # 1.4x to 2x on a CPU
    return network.to_empty(device=device).to(memory_format=torch.channels_last)


def _backbone(network: SmallCNN | SmallResNet, images: Images, accuracy: float) -> Backbone:
    labelled = images.train_labels is not None
    names = CLASSIFIER_NAMES if isinstance(network, SmallCNN) else RESIDUAL_NAMES
    return Backbone(
        name=names[0 if labelled else 1],
        fingerprint=hash_tensors(network.state_dict()),
        side=images.side,
        channels=images.channels,
        labelled=labelled,
        network=network.eval().requires_grad_(False),
        accuracy=accuracy,
    )


def _initialise(network: nn.Module, purpose: str) -> None:
    """Fill the network from its own stream, drawn on the CPU: PyTorch's default, no global RNG."""
    generator = stream(0, purpose)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = module.weight[0].numel() ** -0.5
            for parameter in module.parameters():
                values = torch.empty(parameter.shape, device="cpu")
                parameter.data.copy_(values.uniform_(-bound, bound, generator=generator))
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def _train(
    network: nn.Module,
    images: Images,
    purpose: str,
    stop: Callable[[], bool],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Minimise plain cross entropy with Adam and a cosine decay to 0."""
    pixels, labels, device = images.train, images.train_labels, _device(network)
    num_epochs = min(NUM_EPOCHS, max(MIN_EPOCHS, NUM_IMAGES // len(pixels)))
    batch_size = min(BATCH_SIZE, len(pixels))
    num_batches = len(pixels) // batch_size
    # fused: one kernel, and no step counter outside of the parameters' device.
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, fused=True)
    network.train()
    for epoch in range(num_epochs):
        order = _order(len(pixels), purpose, epoch).to(device)
        for batch in range(num_batches):
            if stop():
                raise Interrupted("stopped while training the classifier; the same command goes on")
            step = epoch * num_batches + batch
            decay = math.cos(math.pi * step / (num_epochs * num_batches))
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 + decay) / 2
            index = order[batch * batch_size : (batch + 1) * batch_size]
            x, y = _task(_round_trips(take(pixels, index, device)), labels, index)
            with full_precision(device):
                loss = F.cross_entropy(network(x)[1], y)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
            optimizer.step()
            if progress is not None:
                progress((step + 1) * batch_size, num_epochs * num_batches * batch_size)


def _device(network: nn.Module) -> torch.device:
    """Return where the network computes; pixels that are too many for it come from the host."""
    return next(network.parameters()).device


def _order(num: int, purpose: str, epoch: int) -> Tensor:
    generator = stream(0, purpose, epoch)
    return torch.randperm(num, generator=generator, device="cpu")


def _round_trips(pixels: Tensor) -> Tensor:
    """Bring an eighth of a batch to half its side and back, and an eighth to another size.

    That is twice the side for tiny images, which a search also generates enlarged, else a fourth.
    """
    side, num = pixels.shape[-1], len(pixels) // 8
    other = 2 * side if side < 16 else side // 4
    for start, through in ((0, side // 2), (num, other)):
        part = slice(start, start + num)
        pixels[part] = resize(resize(pixels[part], through, "box"), side, "box")
    return pixels


def _task(pixels: Tensor, labels: Tensor | None, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return images in [0, 1] with their classes or, without labels, turned by i quarters."""
    x = pixels.to(torch.float32, memory_format=torch.channels_last).div_(255)
    if labels is not None:
        return x, labels.index_select(0, index)
    y = torch.arange(len(x), device=x.device) % 4
    turned = torch.empty_like(x)
    for quarters in range(4):
        turned[quarters::4] = x[quarters::4].rot90(quarters, (2, 3))
    return turned, y


def _accuracy(network: nn.Module, images: Images) -> float:
    """Return the share of held-out images the network gets right."""
    device = _device(network)
    network.eval()
    right = 0
    for index in torch.split(torch.arange(len(images.held_out), device=device), 500):
        x, y = _task(take(images.held_out, index, device), images.held_out_labels, index)
        with torch.inference_mode(), full_precision(device):
            logits = network(x)[1]
        if not bool(logits.isfinite().all()):
            raise RunFailed(f"the classifier of {images.name} diverged: its logits are not finite")
        right += int((logits.argmax(1) == y).sum())
    return right / len(images.held_out)


def _read(
    path: Path, images: Images, device: torch.device | str, kind: Kind, *, names_data: bool
) -> Backbone | None:
    """Load a classifier of these images; None if it is absent, old, damaged or another's.

    Files whose name does not tell the data must do so themselves, and may not be links.
    """
    try:
        open_regular(path, FILE_LIMIT, follow=not names_data).close()
        check_header(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            about = json.loads(file.metadata()["gan_nas_classifier"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if (about["format"], about["side"]) != (FORMAT, images.side):
            return None
        if about.get("network", "classifier") != kind:
            return None
        if names_data and about["data_fingerprint"] != images.fingerprint:
            return None
        if about["tensors"] != hash_tensors(tensors):
            return None
        network = _empty(images, device, kind)
        network.load_state_dict(tensors)
        return _backbone(network, images, float(about["accuracy"]))
    # Whatever is wrong with it, the remedy is to take another one.
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError):
        return None
