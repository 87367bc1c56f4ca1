"""AutoGAN's space with one cell for all stages: 288 generators, few enough to train them all.

36 cells (conv, norm, up, shortcut) times 8 patterns of skips, which are read over all stages: from
cell 0 to 1, 0 to 2 and 1 to 2. A part of AutoGAN's space, and its genomes are of that one.
"""

from gan_nas.spaces.autogan import NUM_CELLS, AutoGANGenerator, AutoGANSpace
from gan_nas.spaces.space import Places, Value


class AutoGANTiedSpace(AutoGANSpace):
    """AutoGAN's generators whose cells differ in their skips alone."""

    name = "autogan-tied"

    def places(self, generator: AutoGANGenerator) -> Places:
        """Return the choices of the one cell, then the skips into each stage."""
        every = super().places(generator)
        places: dict[str, tuple[Value, ...]] = {
            f"cells.*.{token}": every[f"cells.0.{token}"]
            for token in ("conv", "norm", "up", "shortcut")
        }
        return places | {
            f"cells.{index}.skips": every[f"cells.{index}.skips"] for index in range(1, NUM_CELLS)
        }


SPACE = AutoGANTiedSpace()
