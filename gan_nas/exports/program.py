"""A generator as a program of PyTorch: a .pt2 file that runs without gan-nas.

The program computes in the papers' order: what a fast path merges by the weights would be done anew
at every call.
"""

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from gan_nas.errors import RunFailed
from gan_nas.exports.about import KEY, Exported, to_text
from gan_nas.files import write_atomically
from gan_nas.networks.merged import published_order
from gan_nas.networks.weights import Generator
from gan_nas.scoring.latents import latents_of_seed

BATCHES = (1, 3, 8)  # of latents that a program is checked with; it was made with another number
TOLERANCE = 1e-5  # of values in [-1, 1]
ROUNDINGS = 4  # that other kernels may be apart, in those of PyTorch's own float32
# Where it was made, in the maker's folders: the same program has the same bytes anywhere.
ORIGINS = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")


class Checked(NamedTuple):
    """How far a program's images are from the generator's, in [-1, 1], and what is allowed."""

    difference: float
    allowed: float


def exported_program(generator: Generator) -> ExportedProgram:
    """Trace a generator in eval mode, on the CPU in float32, for batches of any size."""
    network = _plain(generator)
    latents = torch.zeros(2, generator.latent_dim, device="cpu")
    with published_order(network):
        program = torch.export.export(
            network, (latents,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False
        )
    for node in program.graph.nodes:
        for origin in ORIGINS:
            node.meta.pop(origin, None)
    return program


def save_pt2(generator: Generator, path: Path, about: Exported) -> Checked:
    """Write `torch.export`'s file, which `torch.export.load(path).module()` runs anywhere.

    It is checked first, as it will be loaded. The description is in its extra file gan_nas.json.
    """
    stored = io.BytesIO()
    extra = {f"{KEY}.json": to_text(about)}
    torch.export.save(exported_program(generator), stored, extra_files=extra)
    content = stored.getvalue()
    module = torch.export.load(io.BytesIO(content)).module()

    def run(z: Tensor) -> Tensor:
        images: Tensor = module(z)
        return images

    checked = check(generator, run, "the program")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return checked


@torch.no_grad()
def check(generator: Generator, run: Callable[[Tensor], Tensor], what: str) -> Checked:
    """Compare a program's images with the generator's, for batches of several sizes.

    They may differ by 1e-5 or, where sums are so large that PyTorch's own float32 is far from its
    float64, by four times that. Raises RunFailed where they differ by more.
    """
    network = _plain(generator)
    exact = copy.deepcopy(network).double()
    worst = Checked(0.0, TOLERANCE)
    for batch in BATCHES:
        (z,) = latents_of_seed(0, batch, generator.latent_dim)
        ours, theirs = network(z), run(z)
        rounding = _distance(ours, exact(z.double()))
        found = Checked(_distance(ours, theirs), max(TOLERANCE, ROUNDINGS * rounding))
        if not found.difference <= found.allowed:
            raise RunFailed(
                f"{what}'s images of {batch} latents differ from the generator's by "
                f"{found.difference:.2g}, allowed is {found.allowed:.2g}: nothing was written"
            )
        worst = max(worst, found)
    return worst


def _plain(generator: Generator) -> torch.nn.Module:
    """Copy the network to the CPU, in the memory format that every runtime has."""
    network = copy.deepcopy(generator.network).to("cpu", torch.float32).eval()
    return network.to(memory_format=torch.contiguous_format)


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max()) if a.shape == b.shape else float("inf")
