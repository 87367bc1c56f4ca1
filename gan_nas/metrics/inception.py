"""The backbone of IS and FID: TensorFlow's Inception of 2015-12-05, folded for speed.

The architecture is torch-fidelity's port (FeatureExtractorInceptionV3), which states relative
errors to TensorFlow of 1e-5 for the resize and 1e-4 for the features. Here its batch norms are
folded into the convolutions, tensors are channels_last, and one pass gives both outputs:
the 2048 features of pool_3, and 1008 logits without the bias of the last layer, which OpenAI's
Inception score left out.
"""

import hashlib
import http.client
import io
import re
import urllib.error
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_nas.errors import InvalidInput, MissingResource, nearest, shorten
from gan_nas.files import read_bytes, write_atomically
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.zips import open_zip
from gan_nas.metrics.backbone import Backbone, hash_tensors
from gan_nas.metrics.pillow import resize_pillow
from gan_nas.metrics.preprocessing import Preprocessing

URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
LIMIT = 1 << 28  # bytes; the published file has 95 million
HASH = "6726825d"  # the first digits of the file's sha256
OUTPUTS = ["2048", "logits_unbiased"]
SIDE = 299
# Fixed, as backbone.py says why. On a CPU the stem's maps stay in the cache when few images pass
# at a time: 8 % faster, and 0.2 GB of activations. On a GPU they take about 0.6 GB.
BATCH_SIZES = {"cpu": 16, "cuda": 64}
STEM_BATCH_SIZE = 2
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
COUNTER = "num_batches_tracked"  # of training steps: not needed, and not in every file

StateDict = Mapping[str, Tensor]


class Prepared(NamedTuple):
    """How uint8 images (N, 3, H, W) become the network's input, float32 (N, 3, 299, 299)."""

    says: str  # stands in passports
    prepare: Callable[[Tensor], Tensor]
    bias: bool = False  # whether the logits have that of the last layer


def load_inception(
    path: Path | None = None,
    device: torch.device | str = "cpu",
    *,
    precision: str = "float32",
    preprocessing: Preprocessing = "tf1",
    download: bool = False,
) -> Backbone:
    """Load Inception from `path`, or else from torch.hub's cache, filled first if `download`.

    `preprocessing` says how images are resized and scaled: tf1 as in TensorFlow's graph, from
    which IS and FID have their names, or as another tool does (see PREPROCESSINGS).

    The file's sha256 must begin as the hash in its name says, or, without one, as that of the
    weights of 2015-12-05; only these are canonical. `precision` bf16 is that of the convolutions:
    on random weights, features and logits then differ by 0.5 % of the largest at most, which has
    to be measured again with the real ones. Raises MissingResource without the file and
    InvalidInput when it is damaged or not Inception's. Never falls back on another network.
    """
    _check_precision(precision)
    if path is None:
        path = cached_weights()
        if download and not path.is_file():
            write_atomically(path, _download)
    state, digest = _read(path)
    canonical = digest.startswith(HASH)
    prepared = PREPROCESSINGS[preprocessing]
    return _backbone(
        state, str(path), digest[:16], device, precision, prepared, canonical=canonical
    )


def inception_from_state(
    state: StateDict,
    device: torch.device | str = "cpu",
    *,
    precision: str = "float32",
    preprocessing: Preprocessing = "tf1",
) -> Backbone:
    """Make a backbone, which is not canonical, of any tensors named as torch-fidelity's."""
    _check_precision(precision)
    prepared = PREPROCESSINGS[preprocessing]
    return _backbone(
        state, "the state", hash_tensors(state), device, precision, prepared, canonical=False
    )


def read_weights(path: Path) -> StateDict:
    """Return the tensors of a file of weights, as `load_inception` checks them."""
    return _read(path)[0]


def cached_weights() -> Path:
    """Return where torch.hub, and so torch-fidelity, keeps the weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / URL.rpartition("/")[2]


class Inception(nn.Module):
    """uint8 images (N, 3, H, W) -> features (N, 2048), logits (N, 1008), without bias usually.

    `network` is torch-fidelity's, whose convolutions are taken over: don't use it afterwards.
    Convolutions and pools compute in `dtype`, all else in float32.
    """

    def __init__(
        self,
        network: nn.Module,
        dtype: torch.dtype = torch.float32,
        prepared: Prepared | None = None,
    ) -> None:
        super().__init__()
        self.prepared = prepared or PREPROCESSINGS["tf1"]
        _fold_norms(network)
        layers = dict(network.named_children())  # in the order of the forward pass
        head = layers.pop("fc")
        layers.pop("AvgPool")
        assert isinstance(head, nn.Linear)
        mixed = [name for name in layers if name.startswith("Mixed")]
        self.body = nn.Sequential(*(layers.pop(name) for name in mixed))
        self.stem = nn.Sequential(*layers.values())
        for part in (self.stem, self.body):
            part.to(dtype).to(memory_format=torch.channels_last)
        bias = self.prepared.bias
        self.head = nn.Linear(head.in_features, head.out_features, bias=bias, device="meta")
        self.head.weight = head.weight
        if bias:
            self.head.bias = head.bias
        self.dtype = dtype
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return both outputs of one pass, float32."""
        parts = torch.split(images, STEM_BATCH_SIZE if images.device.type == "cpu" else len(images))
        x = torch.cat([self._begin(part) for part in parts])  # (N, 192, 35, 35)
        x = self.body(x)  # (N, 2048, 8, 8)
        features = x.float().mean((2, 3))  # (N, 2048)
        return features, self.head(features)

    def _begin(self, images: Tensor) -> Tensor:
        x = self.prepared.prepare(images).contiguous(memory_format=torch.channels_last)
        begun: Tensor = self.stem(x.to(self.dtype))
        return begun


class FoldedConv(nn.Module):
    """A convolution and the batch norm behind it as one, then ReLU."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        # Folded in float64, so that a product is rounded once.
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
        bias = norm.bias.double() - norm.running_mean.double() * scale
        self.weight = nn.Parameter(weight.float(), requires_grad=False)
        self.bias = nn.Parameter(bias.float(), requires_grad=False)
        self.stride, self.padding = conv.stride, conv.padding

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(conv(x))."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding).relu_()


def resize_tf1(images: Tensor, side: int) -> Tensor:
    """Resize uint8 images (N, C, H, W) as TensorFlow 1 did, to float32 (N, C, side, side).

    Bilinear with corners at pixel 0, neither half-pixel centres nor antialiasing: output i looks
    at i * H / side. Same operations as torch-fidelity's, hence equal bits on a CPU; first along
    the rows, so that few values are touched twice. The result is channels_last, in [0, 255].
    """
    low, high, share = _taps(images.shape[3], side, images.device)
    x = images.index_select(3, low).float()
    x += (images.index_select(3, high).float() - x) * share  # (N, C, H, side)
    x = x.permute(0, 2, 3, 1).contiguous()  # (N, H, side, C)
    low, high, share = _taps(images.shape[2], side, images.device)
    top = x.index_select(1, low)  # (N, side, side, C)
    x = x.index_select(1, high).sub_(top).mul_(share.view(-1, 1, 1)).add_(top)
    return x.permute(0, 3, 1, 2)


def prepare_tf1(images: Tensor) -> Tensor:
    """Resize and scale as TensorFlow's graph does, to [-1, 0.992]."""
    return resize_tf1(images, SIDE).sub_(128).div_(128)


def prepare_cleanfid(images: Tensor) -> Tensor:
    """Resize and scale as clean-fid does, to [-1, 0.992] (Parmar et al. 2022, sec. 3)."""
    return resize_pillow(images, SIDE, "bicubic").clamp_(0, 255).sub_(128).div_(128)


def prepare_pytorch_fid(images: Tensor) -> Tensor:
    """Resize and scale as pytorch-fid does, to [-1, 1]: half-pixel centres, no antialiasing."""
    x = images.float().div_(255)
    return F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False).mul_(2).sub_(1)


def prepare_studiogan(images: Tensor) -> Tensor:
    """Resize and scale as StudioGAN's resizer "friendly" does for this network, to [-1, 1]."""
    return resize_pillow(images, SIDE, "bilinear").div_(255).sub_(0.5).div_(0.5)


PREPROCESSINGS: dict[Preprocessing, Prepared] = {
    "tf1": Prepared(f"TF1 bilinear to {SIDE}", prepare_tf1),
    "cleanfid": Prepared(f"Pillow bicubic in float to {SIDE}, (x - 128) / 128", prepare_cleanfid),
    "pytorch-fid": Prepared(f"PyTorch bilinear to {SIDE}, 2 x / 255 - 1", prepare_pytorch_fid),
    "studiogan": Prepared(
        f"Pillow bilinear in float to {SIDE}, 2 x / 255 - 1, logits with bias",
        prepare_studiogan,
        bias=True,
    ),
}


def architecture() -> nn.Module:
    """Return torch-fidelity's network on the meta device, without weights.

    Raises MissingResource when torch-fidelity cannot be imported.
    """
    try:
        # Here since it imports torchvision, which takes seconds.
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except (ImportError, OSError, RuntimeError) as error:  # a torchvision of another torch raises
        raise MissingResource(
            f"the backbone inception needs torch-fidelity, which cannot be imported ({error}): "
            "pip install 'torch-fidelity>=0.4,<0.6' and the torchvision of your torch"
        ) from error

    class Unloaded(FeatureExtractorInceptionV3):  # type: ignore[misc]  # without types
        def load_state_dict(self, *arguments: Any, **options: Any) -> None:
            """Leave the network empty: its constructor would unpickle any file without a check."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.device("meta"):
        network = Unloaded("inception", OUTPUTS, feature_extractor_weights_path=nothing)
    assert isinstance(network, nn.Module)
    return network


def _backbone(
    state: StateDict,
    source: str,
    fingerprint: str,
    device: torch.device | str,
    precision: str,
    prepared: Prepared,
    *,
    canonical: bool,
) -> Backbone:
    device = torch.device(device)
    network = Inception(_filled(state, source), PRECISIONS[precision], prepared)
    return Backbone(
        name="inception",
        # Numbers of real images are cached under this.
        fingerprint=fingerprint if precision == "float32" else f"{fingerprint}-{precision}",
        side=None,
        channels=3,
        labelled=True,
        network=network.to(device).eval(),
        canonical=canonical,
        own_resize=prepared.says,
        precision=precision,
        batch_size=BATCH_SIZES.get(device.type, BATCH_SIZES["cpu"]),
    )


def _taps(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two pixels that each output lies between, and the second one's share."""
    scale = torch.tensor(size / side, dtype=torch.float32, device=device)
    place = torch.arange(side, dtype=torch.float32, device=device) * scale
    low = place.long()
    return low, (low + 1).clamp_max(size - 1), place - low


def _fold_norms(network: nn.Module) -> None:
    """Replace each BasicConv2d, whatever its class is called, by a FoldedConv."""
    for name, child in list(network.named_children()):
        conv, norm = getattr(child, "conv", None), getattr(child, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(network, name, FoldedConv(conv, norm))
        else:
            _fold_norms(child)


def _filled(state: StateDict, source: str) -> nn.Module:
    """Return the network with these tensors, float32 on the CPU."""
    network = architecture()
    expected = {k: v.shape for k, v in network.state_dict().items() if not k.endswith(COUNTER)}
    tensors = {k: v for k, v in state.items() if not k.endswith(COUNTER)}
    if {k: v.shape for k, v in tensors.items()} != expected:
        raise InvalidInput(
            f"{source} does not hold the Inception of 2015-12-05 as torch-fidelity names its "
            f"tensors ({len(expected)} from Conv2d_1a_3x3.conv.weight to fc.bias): get {URL}"
        )
    if not all(v.dtype == torch.float32 and bool(v.isfinite().all()) for v in tensors.values()):
        raise InvalidInput(f"{source} holds weights that are not finite float32: fetch it again")
    # The counters stay on the meta device, and vanish when the norms are folded.
    tensors = {k: v.detach().cpu() for k, v in tensors.items()}
    nn.Module.load_state_dict(network, tensors, strict=False, assign=True)
    return network


def _read(path: Path) -> tuple[StateDict, str]:
    """Return the tensors of a .pth file and its sha256, after comparing that."""
    refuse_foreign(path, Wanted.INCEPTION, Kind.PICKLE)
    if not path.is_file():
        raise MissingResource(
            f"Inception's weights {path} do not exist, and nothing was scored: get them from {URL} "
            f"and put them there, or let them be downloaded"
        )
    content = read_bytes(path, LIMIT)
    digest = hashlib.sha256(content).hexdigest()
    named = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    expected = named[1] if named else HASH
    if not digest.startswith(expected):
        raise InvalidInput(
            f"{path} is damaged or another file: its sha256 begins with {digest[: len(expected)]}, "
            f"not with {expected}; fetch {URL} again"
        )
    if _promises_more(content):
        raise InvalidInput(f"{path} is compressed, which no file of weights is: fetch {URL} again")
    try:
        # The bytes whose hash was taken; never code: only tensors, numbers, texts and lists.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes PyTorch raise nearly anything
        raise InvalidInput(
            f"{path} is not a readable file of weights ({shorten(str(error))}): fetch {URL} again"
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise InvalidInput(f"{path} does not hold tensors by name: fetch {URL} again")
    return state, digest


def _promises_more(content: bytes) -> bool:
    """Tell whether members of a zip are larger than it is; PyTorch compresses nothing."""
    try:
        with open_zip(content) as archive:
            return sum(member.file_size for member in archive.infolist()) > len(content)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False  # the older format, or nothing that can be read


def _download(target: Path) -> None:
    try:
        torch.hub.download_url_to_file(URL, str(target), HASH, progress=False)
    except RuntimeError as error:
        raise MissingResource(f"{URL} came damaged ({error}): try again") from error
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise MissingResource(
            f"{URL} cannot be fetched ({error}): get it elsewhere and put it at {cached_weights()}"
        ) from error


def _check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise InvalidInput(
            f"Inception does not compute in {precision!r}{nearest(precision, list(PRECISIONS))}; "
            f"allowed are {' and '.join(PRECISIONS)}"
        )
