"""Golden values of the published AdversarialNAS: how its tests fill weights and draw inputs.

tests/golden/adversarialnas_golden.npz was computed in float64 with the authors' code. Weights are
not stored: a network's k-th parameter, in the order of the list in adversarialnas_golden_keys.json,
is a function of k0 + k and its name there. Discriminators start at k0 = 500, generators at 0.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan_nas.search.adversarialnas.relaxation import CellLogits
from gan_nas.spaces.adversarialnas import DOWN_CELLS, UP_CELLS, candidates

_FOLDER = Path(__file__).parent / "golden"
GOLDEN = np.load(_FOLDER / "adversarialnas_golden.npz")  # "case/array" -> array
KEYS: dict[str, Any] = json.loads((_FOLDER / "adversarialnas_golden_keys.json").read_text())
LATENT_DIM = 120


def hash_fill(k: int, name: str, shape: Sequence[int]) -> Tensor:
    """Return the value of parameter number k of this published name, float64.

    Architecture logits lie in [-2, 2]; a weight has the variance 2 / fan in; one-dimensional
    tensors are small, but for the gain of the generator's batch norm, which is about 1.
    """
    values = uniform(shape, k)
    if "alphas" in name:
        return 2 * values
    if len(shape) > 1:
        return values * (6 / np.prod(shape[1:])) ** 0.5
    return (1 if name == "to_rgb.0.weight" else 0) + 0.1 * values


def sin_fill(k: int, name: str, shape: Sequence[int]) -> Tensor:
    """Return the value of parameter number k in the cases called sin, float64."""
    values = torch.arange(k, k + int(np.prod(shape)), dtype=torch.float64, device="cpu")
    return (1 if name == "to_rgb.0.weight" else 0) + 0.02 * values.sin().view(*shape)


def spectral_vector(num: int) -> Tensor:
    """Return the value of a vector u or v of a spectral norm, of length 1, float64."""
    return torch.full((num,), num**-0.5, dtype=torch.float64, device="cpu")


def golden_latents(num: int) -> Tensor:
    """Return the cases' latents, of variance 1 and in [-1.7, 1.7], float64."""
    return 3**0.5 * uniform((num, LATENT_DIM), 1000)


def golden_images(num: int, side: int = 32, k: int = 2000) -> Tensor:
    """Return the cases' images in [-1, 1), float64; iteration i of a search has k = 2000 + i."""
    return uniform((num, 3, side, side), k)


def uniform(shape: Sequence[int], k: int) -> Tensor:
    """Return numbers in [-1, 1) hashed from k and each flat index (murmur3's mixer), float64."""
    x = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(k * 0x9E3779B1)
    for shift, multiplier in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x &= np.uint64(2**32 - 1)
        x ^= x >> np.uint64(shift)
        x *= np.uint64(multiplier)
    return torch.from_numpy(x / 2.0**31 - 1).view(*shape)


@torch.no_grad()
def fill_network(
    network: nn.Module,
    published: dict[str, Any],
    values: Callable[[int, str, Sequence[int]], Tensor] = hash_fill,
    *,
    supernet: bool = False,
) -> None:
    """Bring a network of ours to float64 and give it a case's weights, by published name.

    `published` holds the case's `k0` and `params`. Logits are passed over: they are no weights of
    ours, see `logits`.
    """
    weights = dict(network.double().named_parameters())
    filled = set()
    for number, (name, shape) in enumerate(published["params"], start=published["k0"]):
        if "alphas" not in name:
            key = our_key(name, supernet=supernet)
            assert list(weights[key].shape) == shape, name
            weights[key].copy_(values(number, name, shape))
            filled.add(key)
    assert filled == weights.keys()
    for name, buffer in network.named_buffers():
        if name.endswith(("weight_u", "weight_v")):
            buffer.copy_(spectral_vector(len(buffer)))


def logits(published: dict[str, Any]) -> list[Tensor]:
    """Return a supernet's logits: of the edges of normal operations, and of the others."""
    return [
        hash_fill(number, name, shape)
        for number, (name, shape) in enumerate(published["params"], start=published["k0"])
        if "alphas" in name
    ]


def cell_weights(normal: Tensor, others: Tensor) -> list[dict[str, Tensor]]:
    """Name the published weights by edge, for each cell: the operations sum up with them.

    normal: (cells, 5, 7); others: (cells, 2, 3 or 6). The discriminator's first edges have five
    operations, which get the first five of seven weights: the authors' code, as published.
    """
    cells: list[dict[str, Tensor]] = []
    tables = {3: UP_CELLS, 4: DOWN_CELLS}[len(normal)]
    for cell, *rows in zip(tables, normal, others, strict=True):
        sizes = {edge: len(ops) for edge, ops in candidates(cell).items()}
        changes_size = [edge in _RESAMPLING[len(normal)] for edge in sizes]
        vectors = [iter(row.unbind()) for row in rows]
        cells.append(
            {
                edge: next(vectors[kind])[:size]
                for kind, (edge, size) in zip(changes_size, sizes.items(), strict=True)
            }
        )
    return cells


def as_parameters(logits: CellLogits, normal: Tensor, others: Tensor) -> dict[str, Tensor]:
    """Sort published tensors, (cells, 5, 7) and (cells, 2, n), into our candidate sets."""
    resampling = {
        place.split(".")[1] for name in ("up", "down") for place in logits.sets.get(name, [])
    }
    found = {}
    for name, places in logits.sets.items():
        rows = []
        for place in places:
            index, edge = int(place[0]), place[2:]
            ours = candidates(logits.cells[index])
            kin = [e for e in ours if (e in resampling) == (edge in resampling)]
            source = others if edge in resampling else normal
            rows.append(source[index, kin.index(edge)])
        found[name] = torch.stack(rows)
    return found


_RESAMPLING = {3: ("0-1", "0-2"), 4: ("2-4", "3-4")}  # by number of cells


def our_key(name: str, *, supernet: bool) -> str:
    """Translate a published parameter's name: module, cell, edge and number of the operation."""
    if match := re.fullmatch(r"(cell|block)(\d)\.(c|up|down)(\d)\.(ops|ups)\.(\d)\.(.+)", name):
        kind, cell, group, edge, _, op, rest = match.groups()
        table = candidates((UP_CELLS if kind == "cell" else DOWN_CELLS)[int(cell) - 1])
        first = {"c": 2 if kind == "cell" else 0, "up": 0, "down": 5}[group]
        edge_name, ops = list(table.items())[first + int(edge)]
        candidate = f"{ops[int(op)]}." if supernet else ""
        return f"cells.{int(cell) - 1}.edges.{edge_name}.{candidate}{_within(rest)}"
    if match := re.fullmatch(r"cell(\d)\.skip_in_ops\.(\d)\.(\w+)", name):
        cell, skip, rest = match.groups()
        candidate = "present." if supernet else ""
        return f"cells.{int(cell) - 1}.skips.{skip}.{candidate}conv.{rest}"
    if match := re.fullmatch(r"l([123])\.(weight|bias)", name):
        return f"stems.{int(match[1]) - 1}.{match[2]}"
    for theirs, ours in _OTHER_NAMES.items():
        name = re.sub(theirs, ours, name)
    return name


def _within(name: str) -> str:
    """Translate what stands behind the operation's number."""
    name = re.sub(r"^(conv|dilconv)\.", "", name)
    name = re.sub(r"^c\.1\.", "conv.", name)
    name = name.replace("convT.1.", "depthwise.").replace("convT.2.", "pointwise.")
    return name.replace("weight_orig", "weight")


_OTHER_NAMES = {  # heads, and the residual discriminator
    r"^to_rgb\.0": "to_rgb.norm",
    r"^to_rgb\.2": "to_rgb.conv",
    r"^l5\.": "head.",
    r"\.c([12])\.": r".conv\1.",
    r"\.c_sc\.": ".shortcut.",
    r"weight_orig$": "weight",
}
