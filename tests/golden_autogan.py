"""Golden values of the published AutoGAN: how its tests fill weights and what keys are called.

tests/golden/autogan_golden.npz was computed with the authors' code. Weights are not stored: each
tensor is a function of its canonical key, a name for its role ("G.cell1.pre1.conv.weight").
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from gan_nas.networks.autogan import AutoGANNetwork
from gan_nas.networks.builder import (
    build_discriminator,
    build_generator,
    build_supernet,
    choose_cells,
)
from gan_nas.networks.slots import inherited_state
from gan_nas.networks.sn_resnet import SNResNet
from gan_nas.spaces import autogan as spaces
from gan_nas.spaces.autogan import AutoGANGenerator
from gan_nas.spaces.sn_resnet import SNResNetDiscriminator

GOLDEN = np.load(Path(__file__).parent / "golden" / "autogan_golden.npz")
LATENT_DIM = 128


class Size(NamedTuple):
    """Widths of both networks and the number of images."""

    generator_width: int
    discriminator_width: int
    num_images: int


SMALL = Size(16, 8, 4)
FULL = Size(256, 128, 2)

_KEYS = [  # ours -> canonical; the slots' candidate names stand between
    (r"^stem\.", "G.stem."),
    (r"^to_rgb\.", "G.rgb."),
    (r"^cells\.0\.", "G.cell1."),
    (r"^cells\.1\.", "G.cell2."),
    (r"^cells\.2\.", "G.cell3."),
    (r"\.block(\d)\.(pre|post)\.", r".\2\1."),
    (r"\.norm\.batch\.", ".bn."),
    (r"\.conv\.up\.deconv\.", ".deconv."),
    (r"\.conv\.conv\.", ".conv."),
    (r"\.shortcut\.present\.(up\.)?", ".sc."),
    (r"\.skips\.\d\.present\.up\.deconv\.(\d)\.", r".skip_deconv4.\1."),
    (r"\.skips\.\d\.present\.up\.deconv\.", ".skip_deconv2."),
    (r"\.skips\.(\d)\.present\.conv\.", r".skip.\1.conv."),
]


def canonical_generator_key(key: str) -> str:
    """Translate a key of the supernet's state dict."""
    for pattern, replacement in _KEYS:
        key = re.sub(pattern, replacement, key)
    return key


def canonical_discriminator_key(key: str) -> str:
    """Translate a key of the discriminator's state dict."""
    key = re.sub(r"\.weight$", ".weight_orig", key)
    return "D." + key.replace(".shortcut.", ".sc.")


def fill(key: str, shape: torch.Size) -> Tensor:
    """Return the golden value of the tensor with this canonical key, float32."""
    n = np.random.RandomState(crc32(key.encode())).standard_normal(tuple(shape))
    last = key.rsplit(".", 1)[-1]
    if last == "running_var":
        n = 1 + 0.25 * abs(n)
    elif last == "running_mean":
        n = 0.1 * n
    elif last in ("weight_u", "weight_v"):
        n = n / np.linalg.norm(n)
    elif last == "bias" or last.startswith("bias_"):
        n = 0.1 * n
    elif last == "weight" and n.ndim == 1:
        n = 1 + 0.1 * n
    elif last == "weight" and "deconv" in key:
        n = n * np.sqrt(1 / shape[0])
    elif key.startswith("ctrl."):
        n = 0.3 * n
    elif key == "G.rgb.conv.weight":
        n = 0.3 * n * np.sqrt(2 / np.prod(shape[1:]))
    else:
        n = n * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(n.astype(np.float32))


def golden_input(name: str, *shape: int) -> Tensor:
    """Return golden noise: latents are "z.g", real images the tanh of "x.s{side}"."""
    n = np.random.RandomState(crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy((np.tanh(n) if name.startswith("x.") else n).astype(np.float32))


@torch.no_grad()
def fill_network(network: nn.Module, canonical: dict[str, str]) -> None:
    """Give every float tensor of a network its golden value."""
    for key, tensor in network.state_dict().items():
        if key in canonical:
            tensor.copy_(fill(canonical[key], tensor.shape))


class Net(NamedTuple):
    """A filled generator and the canonical key of each of its state dict's keys."""

    network: AutoGANNetwork
    canonical: dict[str, str]


def golden_supernet(genome: AutoGANGenerator, resolution: int) -> Net:
    """Build the supernet, filled, with its choices set to the genome."""
    supernet = build_supernet(genome, resolution)
    keys = [key for key in supernet.state_dict() if not key.endswith("num_batches_tracked")]
    canonical = {key: canonical_generator_key(key) for key in keys}
    fill_network(supernet, canonical)
    return Net(supernet, canonical)


def golden_derived(genome: AutoGANGenerator, resolution: int) -> Net:
    """Build the genome's own network with the weights inherited from the filled supernet."""
    supernet, supernet_keys = golden_supernet(genome, resolution)
    choose_cells(supernet, genome)
    inherited = inherited_state(supernet)
    network = build_generator(genome, resolution)
    network.load_state_dict(inherited)
    tensors = dict((*supernet.named_parameters(), *supernet.named_buffers()))
    roles = {id(tensors[key]): canonical for key, canonical in supernet_keys.items()}
    return Net(network, {key: roles[id(t)] for key, t in inherited.items() if id(t) in roles})


def golden_discriminator(width: int, resolution: int) -> SNResNet:
    """Build a filled discriminator."""
    network = build_discriminator(SNResNetDiscriminator(space="sn_resnet", width=width), resolution)
    fill_network(network, {k: canonical_discriminator_key(k) for k in network.state_dict()})
    return network


def golden_genome(tokens: list[int], width: int, skip_tap: str = "post") -> AutoGANGenerator:
    """Decode a prefix of tokens; the cells that it leaves open get arbitrary ones."""
    others = (0, 2, 2, 1), (0, 1, 2, 1, 1), (0, 1, 0, 1, 3)
    num_cells = spaces.num_cells_of(tokens)
    rest = [token for cell in others[num_cells:] for token in cell]
    genome = spaces.decode([*tokens, *rest], width, LATENT_DIM)
    return genome.model_copy(update={"skip_tap": skip_tap})


def small_cases() -> Iterator[tuple[str, int, list[int]]]:
    """Yield the name, level (in its keys: stage) and tokens of every small case in the file."""
    for key in GOLDEN.files:
        if match := re.fullmatch(r"small\.(\w+)\.stage(\d)\.arch", key):
            yield match[1], int(match[2]), GOLDEN[key].tolist()
