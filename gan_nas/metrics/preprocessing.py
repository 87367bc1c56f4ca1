"""How images are brought to the size that Inception takes (no torch)."""

from typing import Literal

Preprocessing = Literal["tf1", "cleanfid", "pytorch-fid", "studiogan"]
