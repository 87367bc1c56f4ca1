"""AdversarialNAS' checkpoints: chengaopro/AdversarialNAS at d7ea5e0, archs/."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from gan_nas.errors import Incompatible, shorten
from gan_nas.networks.published.layout import Layout, Sizes
from gan_nas.spaces.adversarialnas import AdversarialNASGenerator, UpCell, candidates

MODULES = {  # edge -> the authors' module and the list in it
    "0-1": "up0.ups",
    "0-2": "up1.ups",
    "1-3": "c0.ops",
    "2-3": "c1.ops",
    "1-4": "c2.ops",
    "2-4": "c3.ops",
    "3-4": "c4.ops",
}
# Their convolutions are registered twice, as `conv` or `dilconv` and behind the ReLU of `op`.
TWICE = re.compile(r"(cell[123]\.c[0-4]\.ops\.\d)\.op\.1\.(\w+)")
SHARED = re.compile(
    r"alphas_(normal|up)|cell[123]\.(up[01]\.ups\.[0-2]\.(c\.1|convT\.[12])"
    r"|c[0-4]\.ops\.[2-6]\.(conv|dilconv)|skip_in_ops\.[01])\.\w+"
)


def layout(generator: AdversarialNASGenerator, tensors: Mapping[str, Tensor]) -> Layout:
    """Return the layout of a checkpoint: of the supernet, which has logits, or derived."""
    return AdversarialNASLayout(generator.cells, is_shared="alphas_normal" in tensors)


class AdversarialNASLayout(Layout):
    """The authors' generator, with all operations of every edge or with the chosen ones."""

    def __init__(self, cells: tuple[UpCell, ...], *, is_shared: bool) -> None:
        self.cells, self.is_shared = cells, is_shared
        self.name = "adversarialnas, supernet" if is_shared else "adversarialnas, derived"

    def theirs(self, name: str) -> str:
        """Return what the authors call one of our tensors."""
        match name.split("."):
            case ["stems", index, kind]:
                return f"l{int(index) + 1}.{kind}"
            case ["to_rgb", "norm", kind]:
                return f"to_rgb.0.{kind}"
            case ["to_rgb", "conv", kind]:
                return f"to_rgb.2.{kind}"
            case ["cells", index, "skips", source, "conv", kind]:
                return f"cell{int(index) + 1}.skip_in_ops.{source}.{kind}"
            case ["cells", index, "edges", edge, *_, kind]:
                inner = {"depthwise": "convT.1", "pointwise": "convT.2", "conv": "c.1"}
                part = inner.get(name.split(".")[4]) or self._conv(int(index), edge)
                return f"{self._op(int(index), edge)}.{part}.{kind}"
        raise AssertionError(name)

    def is_unused(self, name: str, tensors: Mapping[str, Tensor]) -> bool:
        """Tell whether it is there twice, another operation's, or of an edge that leads nowhere.

        The authors keep what reaches no output. Raises Incompatible where the two differ.
        """
        if twice := TWICE.fullmatch(name):
            for kind in ("conv", "dilconv"):
                twin = f"{twice[1]}.{kind}.{twice[2]}"
                if twin in tensors:
                    if not torch.equal(tensors[name], tensors[twin]):
                        raise Incompatible(
                            f"the checkpoint's {shorten(name)} and {shorten(twin)} are one "
                            "convolution's, and differ"
                        )
                    return True
            return False
        if self.is_shared:
            return SHARED.fullmatch(name) is not None
        return any(name.startswith(prefix) for prefix in self._parts())

    def sizes(self, tensors: Mapping[str, Tensor], where: str) -> Sizes:
        """Read the sizes off, the latents' parts too: each has a stem."""
        sizes = super().sizes(tensors, where)
        parts = sum(f"l{number}.weight" in tensors for number in (1, 2, 3))
        split = {"latent_dim": parts * sizes.fields["latent_dim"], "num_latent_parts": parts}
        return sizes._replace(fields=sizes.fields | split)

    def _op(self, index: int, edge: str) -> str:
        number = 0
        if self.is_shared:
            number = candidates(UpCell)[edge].index(self.cells[index].edges[edge])
        return f"cell{index + 1}.{MODULES[edge]}.{number}"

    def _conv(self, index: int, edge: str) -> str:
        return "dilconv" if self.cells[index].edges[edge].startswith("dil") else "conv"

    def _parts(self) -> list[str]:
        """Return what a derived network's names of edges and skips begin with."""
        edges = [
            f"{self._op(index, edge)}.{part}."
            for index, cell in enumerate(self.cells)
            for edge, op in cell.edges.items()
            if op != "none"
            for part in self._tensors(index, edge, op)
        ]
        return edges + [f"cell{i + 1}.skip_in_ops.{j}." for i in (1, 2) for j in range(i)]

    def _tensors(self, index: int, edge: str, op: str) -> tuple[str, ...]:
        if op in ("nearest", "bilinear"):
            return ("c.1",)
        if op == "deconv":
            return ("convT.1", "convT.2")
        return () if op == "identity" else (self._conv(index, edge),)
