"""The network of the second classifier: residual blocks, where the first has plain convolutions."""

import torch.nn.functional as F
from torch import Tensor, nn

from gan_nas.metrics.cifar_resnet import WIDTHS, BasicBlock


class SmallResNet(nn.Module):
    """A stem and two residual blocks, each of which halves the side (He et al. 2016, sec. 4.2).

    Images (N, C, side, side) in [0, 1] -> features (N, 64), logits (N, K).
    """

    def __init__(self, side: int, channels: int, num_classes: int) -> None:
        super().__init__()
        stride = max(1, side // 32)  # sides from 64 on start with one
        self.stem = nn.Conv2d(channels, WIDTHS[0], stride + 2, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(WIDTHS[0])
        self.blocks = nn.Sequential(
            BasicBlock(WIDTHS[0], WIDTHS[1], 2), BasicBlock(WIDTHS[1], WIDTHS[2], 2)
        )
        self.head = nn.Linear(WIDTHS[2], num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features after global average pooling, and logits."""
        h = F.relu(self.norm(self.stem(2 * x - 1)))  # (N, 16, side, side)
        features = self.blocks(h).mean((2, 3))  # (N, 64)
        return features, self.head(features)
