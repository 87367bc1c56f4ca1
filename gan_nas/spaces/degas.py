"""DEGAS' space: a whole generator, stage by stage, without repeated cells (no torch).

DEGAS (Doveh & Giryes 2019), sec. 3.2. A stage has a normal feature map, made by a normal operation
from the stage before it, and an up-sampled one of twice the size, made by an up-sampling of the
normal map and, optionally, a residual up-sampling of the stage before it; both are added. No
public code exists: where the paper leaves the graph open, one normal map a stage is our reading,
and so are the two variants, `stem_residual` and `final_normal`.
"""

import random
from math import prod
from typing import Any, Literal, get_args

from pydantic import Field

from gan_nas.spaces.schema import Frozen, LatentDim, Width

NormalOp = Literal[
    "conv_1x1",
    "conv_3x3",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
]
UpOp = Literal["deconv_4x4", "deconv_6x6", "nearest_conv_1x1", "nearest_conv_3x3"]
NORMAL_OPS: tuple[NormalOp, ...] = get_args(NormalOp)
UP_OPS: tuple[UpOp, ...] = get_args(UpOp)

NUM_STAGES = 3
LATENT_DIM = 128

SHORT = {
    "conv_1x1": "1x1",
    "conv_3x3": "3x3",
    "max_pool_3x3": "max pool",
    "avg_pool_3x3": "avg pool",
    "skip_connect": "skip",
    "sep_conv_3x3": "sep3x3",
    "sep_conv_5x5": "sep5x5",
    "dil_conv_3x3": "dil3x3",
    "dil_conv_5x5": "dil5x5",
    "deconv_4x4": "deconv4",
    "deconv_6x6": "deconv6",
    "nearest_conv_1x1": "nearest 1x1",
    "nearest_conv_3x3": "nearest 3x3",
}


class DEGASStage(Frozen):
    """One stage, which doubles the size."""

    normal: NormalOp = Field(description="what makes the normal map from the stage before")
    up: UpOp = Field(description="what makes the up-sampled map from the normal one")
    residual: UpOp | None = Field(
        default=None, description="a second up-sampling, from the stage before, added to the first"
    )

    @property
    def words(self) -> str:
        """Say the stage in a few words, for tables."""
        residual = f" + {SHORT[self.residual]}" if self.residual else ""
        return f"{SHORT[self.normal]}, {SHORT[self.up]}{residual}"


class DEGASGenerator(Frozen):
    """A generator of DEGAS' space: linear stem, three stages, to-RGB.

    Whatever is here survives the paper's pruning, which never keeps a residual alone: every map
    has its direct operation. A residual in the first stage starts from the stem.
    """

    space: Literal["degas"]
    width: Width
    latent_dim: LatentDim
    stages: tuple[DEGASStage, DEGASStage, DEGASStage]
    final_normal: NormalOp | None = Field(
        default=None, description="a normal operation at full size, before to-RGB"
    )

    @property
    def words(self) -> list[str]:
        """Say each stage in a few words, for tables."""
        last = [SHORT[self.final_normal]] if self.final_normal else []
        return [stage.words for stage in self.stages] + last


def candidates(
    stem_residual: bool = False, final_normal: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return the operations to choose from at each place of the network, in its order.

    Places are "0.normal", "0.up", "0.residual" (with `stem_residual`), "1.normal", ... and, with
    `final_normal`, "final_normal".
    """
    places: dict[str, tuple[str, ...]] = {}
    for stage in range(NUM_STAGES):
        places[f"{stage}.normal"] = NORMAL_OPS
        places[f"{stage}.up"] = UP_OPS
        if stage or stem_residual:
            places[f"{stage}.residual"] = UP_OPS
    if final_normal:
        places["final_normal"] = NORMAL_OPS
    return places


def operations(generator: DEGASGenerator) -> dict[str, str | None]:
    """Return the operation at each place of the network, None where there is none."""
    found: dict[str, str | None] = {
        f"{index}.{name}": op
        for index, stage in enumerate(generator.stages)
        for name, op in stage.model_dump().items()
    }
    return found | {"final_normal": generator.final_normal}


def from_operations(
    ops: dict[str, str | None], width: int, latent_dim: int = LATENT_DIM
) -> DEGASGenerator:
    """Make a generator of the operations at its places; those left out are absent."""
    content: dict[str, Any] = {"space": "degas", "width": width, "latent_dim": latent_dim}
    content["stages"] = tuple(
        {name: ops.get(f"{index}.{name}") for name in ("normal", "up", "residual")}
        for index in range(NUM_STAGES)
    )
    content["final_normal"] = ops.get("final_normal")
    return DEGASGenerator.model_validate(content)


def count(stem_residual: bool = False, final_normal: bool = False) -> int:
    """Count the architectures: 1,166,400; with stem_residual 5,832,000; final_normal 9 times."""
    return prod(
        len(ops) + place.endswith("residual")
        for place, ops in candidates(stem_residual, final_normal).items()
    )


def sample(
    draw: random.Random, width: int, stem_residual: bool = False, final_normal: bool = False
) -> DEGASGenerator:
    """Draw a generator uniformly from the space."""
    ops = {
        place: draw.choice((*ops, None) if place.endswith("residual") else ops)
        for place, ops in candidates(stem_residual, final_normal).items()
    }
    return from_operations(ops, width)
