"""CIFAR ResNets as backbones: He et al. 2016, sec. 4.2, with shortcuts of option A.

The keys are those of akamaster/pytorch_resnet_cifar10: conv1, bn1, layerL.B.conv1 ..., linear.
"""

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from gan_nas.errors import InvalidInput, MissingResource, shorten
from gan_nas.files import open_regular
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.header import check_header
from gan_nas.metrics.backbone import Backbone, hash_tensors

WIDTHS = (16, 32, 64)
MAX_BLOCKS = 200  # a layer: those of the paper's deepest, of 1202 layers
FILE_LIMIT = 1 << 28  # bytes
COUNTER = "num_batches_tracked"  # of training steps: not in the published files, and not needed
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what the published weights expect


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.padding = (out_channels - in_channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Option A: take every other pixel and pad with channels of zeros on both sides."""
        h = F.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return F.relu(h + F.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding)))


class CifarResNet(nn.Module):
    """ResNet of depth 6 num_blocks + 2: images (N, 3, 32, 32) in [0, 1] -> (N, 64), (N, K)."""

    def __init__(self, num_blocks: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.layer1 = _layer(WIDTHS[0], WIDTHS[0], num_blocks)
        self.layer2 = _layer(WIDTHS[0], WIDTHS[1], num_blocks)
        self.layer3 = _layer(WIDTHS[1], WIDTHS[2], num_blocks)
        self.linear = nn.Linear(WIDTHS[2], num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features after global average pooling, and logits."""
        mean, std = torch.tensor((MEAN, STD), device=x.device).view(2, 1, 3, 1, 1)
        x = F.relu(self.bn1(self.conv1((x - mean) / std)))  # (N, 16, 32, 32)
        x = self.layer1(x)
        x = self.layer2(x)  # (N, 32, 16, 16)
        x = self.layer3(x)  # (N, 64, 8, 8)
        features = x.mean((2, 3))  # (N, 64)
        return features, self.linear(features)


def load_cifar_resnet(path: Path, device: torch.device | str = "cpu") -> Backbone:
    """Load the weights of a CIFAR ResNet of any depth and number of classes from safetensors.

    Shapes are compared before anything is allocated. Raises MissingResource without the file, and
    InvalidInput when it is damaged or another network's.
    """
    refuse_foreign(path, Wanted.CLASSIFIER, Kind.SAFETENSORS)
    if not path.is_file():
        raise MissingResource(
            f"the classifier's weights {path} do not exist; name a safetensors file of a CIFAR "
            "ResNet, or use the backbone classifier without a path"
        )
    try:
        open_regular(path, FILE_LIMIT).close()
        check_header(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            keys = [key for key in file.keys() if not key.endswith(COUNTER)]  # noqa: SIM118
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in keys}
            network = _network_for(path, shapes)
            tensors = {key: file.get_tensor(key) for key in shapes}
    except (OSError, SafetensorError) as error:
        raise InvalidInput(
            f"{path} is not a readable safetensors file ({shorten(str(error))}): fetch it again"
        ) from error
    if not all(t.dtype == torch.float32 and bool(t.isfinite().all()) for t in tensors.values()):
        raise InvalidInput(f"{path} holds weights that are not finite float32: fetch it again")
    network.to_empty(device=device).to(memory_format=torch.channels_last)  # 2x on a CPU
    network.load_state_dict(tensors)
    return Backbone(
        name="classifier",
        fingerprint=hash_tensors(tensors),
        side=32,
        channels=3,
        labelled=True,
        network=network.eval().requires_grad_(False),
    )


def _layer(in_channels: int, out_channels: int, num_blocks: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, out_channels // in_channels)
    rest = [BasicBlock(out_channels, out_channels, 1) for _ in range(num_blocks - 1)]
    return nn.Sequential(first, *rest)


def _network_for(path: Path, shapes: dict[str, tuple[int, ...]]) -> CifarResNet:
    """Return the empty network on the meta device that has just these keys and shapes."""
    num_blocks = sum(bool(re.fullmatch(r"layer1\.\d+\.conv1\.weight", key)) for key in shapes)
    num_classes = shapes.get("linear.bias", ())
    if 1 <= num_blocks <= MAX_BLOCKS and len(num_classes) == 1:
        with torch.device("meta"):
            network = CifarResNet(num_blocks, num_classes[0])
        state = network.state_dict().items()
        if shapes == {key: tuple(t.shape) for key, t in state if not key.endswith(COUNTER)}:
            return network
    raise InvalidInput(
        f"{path} does not hold a CIFAR ResNet: expected are the keys conv1, bn1, layer1.0.conv1 "
        f"... layer3.N.bn2, linear of He et al. 2016 with widths {WIDTHS}"
    )
