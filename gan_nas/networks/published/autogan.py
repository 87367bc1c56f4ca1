"""AutoGAN's checkpoints: VITA-Group/AutoGAN at a5eeef0, models/ and models_search/."""

import re
from collections.abc import Mapping

from torch import Tensor

from gan_nas.errors import Incompatible
from gan_nas.networks.published.layout import Layout
from gan_nas.spaces.autogan import AutoGANCell, AutoGANGenerator

# What the shared network holds for other architectures, and, in every block 2, for none.
SHARED = re.compile(
    r"cell[123]\.((post|pre)_conv[12]\.(conv|bn|deconv)|deconv_sc|c_sc|skip_deconvx2"
    r"|skip_deconvx4\.[01]|skip_in_ops\.[01])\.\w+"
)


def layout(generator: AutoGANGenerator, tensors: Mapping[str, Tensor]) -> Layout:
    """Return the layout of a checkpoint: of the shared network, or of the derived classes.

    Derived networks of one's own are trained as the shared network with an architecture set
    (train_derived.py), the three published ones have classes (models/autogan_cifar10_a.py ...).
    """
    if any(re.match(r"cell1\.(post|pre)_conv1\.", name) for name in tensors):
        return Shared(generator.cells)
    for index, cell in enumerate(generator.cells):
        if cell.conv == "post" or cell.up == "deconv":
            raise Incompatible(
                f"the checkpoint is of the authors' derived classes, which have no {cell.conv} "
                f"{cell.up} cell such as cell {index} of the genome, or of another network"
            )
    return Derived(generator.cells)


class AutoGANLayout(Layout):
    """What both ways to build a generator call alike."""

    def __init__(self, cells: tuple[AutoGANCell, ...]) -> None:
        self.cells = cells

    def theirs(self, name: str) -> str:
        """Return what the authors call one of our tensors."""
        match name.split("."):
            case ["stem", kind]:
                return f"l1.{kind}"
            case ["to_rgb", "norm", kind]:
                return f"to_rgb.0.{kind}"
            case ["to_rgb", "conv", kind]:
                return f"to_rgb.2.{kind}"
            case ["cells", index, *part, kind]:
                return f"cell{int(index) + 1}.{self.part(int(index), part)}.{kind}"
        raise AssertionError(name)

    def part(self, index: int, part: list[str]) -> str:
        """Return what the authors call a part of cell `index`."""
        raise NotImplementedError


class Derived(AutoGANLayout):
    """The classes of single architectures, of pre-activation cells without deconvolutions."""

    name = "autogan, derived"

    def part(self, index: int, part: list[str]) -> str:
        """Return what the authors call a part of cell `index`; they number the skips there are."""
        match part:
            case [block, "norm"]:
                return f"n{block[-1]}"
            case ["shortcut", "conv"]:
                return "c_sc"
            case ["skips", source, "conv"]:
                return f"skip_in_ops.{self.cells[index].skips.index(int(source))}"
            case [block, "conv", *_]:
                return f"c{block[-1]}"
        raise AssertionError(part)

    def is_unused(self, name: str, tensors: Mapping[str, Tensor]) -> bool:
        """Tell that everything there is used."""
        return False


class Shared(AutoGANLayout):
    """The search's network, which holds every candidate of every cell."""

    name = "autogan, shared"

    def part(self, index: int, part: list[str]) -> str:
        """Return what the authors call a part of cell `index`."""
        match part:
            case ["shortcut", "up"]:
                return "deconv_sc"
            case ["shortcut", "conv"]:
                return "c_sc"
            case ["skips", source, "conv"]:
                return f"skip_in_ops.{source}"
            case ["skips", _, "up"]:
                return "skip_deconvx2"
            case ["skips", _, "up", number]:
                return f"skip_deconvx4.{number}"
            case [block, *rest]:
                kind = {"norm": "bn", "up": "deconv", "conv": "conv"}[rest[-1]]
                return f"{self.cells[index].conv}_conv{block[-1]}.{kind}"
        raise AssertionError(part)

    def is_unused(self, name: str, tensors: Mapping[str, Tensor]) -> bool:
        """Tell whether it is another candidate's."""
        return SHARED.fullmatch(name) is not None
