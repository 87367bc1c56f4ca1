"""DEGAS' space: a whole generator, stage by stage, without repeated cells (no torch).

DEGAS (Doveh & Giryes 2019), sec. 3.2. A stage has a normal feature map, made by a normal operation
from the stage before it, and an up-sampled one of twice the size, made by an up-sampling of the
normal map and, optionally, a residual up-sampling of the stage before it; both are added. No
public code exists: where the paper leaves the graph open, one normal map a stage is our reading,
and so are the two variants, `stem_residual` and `final_normal`.
"""

from typing import Any, ClassVar, Literal, get_args

from pydantic import Field

from gan_nas.spaces.ctgan import CTGANCritic
from gan_nas.spaces.drawing import ABSENT, Drawing, Edge, Node, Part
from gan_nas.spaces.schema import DiscriminatorGenome, Frozen, GeneratorGenome
from gan_nas.spaces.space import Places, Space

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


ENDS = {"normal": ("0", "1"), "up": ("1", "2"), "residual": ("0", "2"), "final_normal": ("0", "1")}


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


class DEGASGenerator(GeneratorGenome):
    """A generator of DEGAS' space: linear stem, three stages, to-RGB.

    Whatever is here survives the paper's pruning, which never keeps a residual alone: every map
    has its direct operation. A residual in the first stage starts from the stem.
    """

    legend: ClassVar[str] = (
        "Stages, from the smallest images up: what is done at the stage's side, then how the side "
        "is doubled; behind +, what doubles the stage's input beside both and is added. 3x3: a "
        "convolution; sep, dil: separable, dilated; deconv4: transposed, of 4 x 4; skip: nothing."
    )

    space: Literal["degas"]
    stages: tuple[DEGASStage, DEGASStage, DEGASStage]
    final_normal: NormalOp | None = Field(
        default=None, description="a normal operation at full size, before to-RGB"
    )

    @property
    def words(self) -> list[str]:
        """Say each stage in a few words, for tables."""
        last = [SHORT[self.final_normal]] if self.final_normal else []
        return [stage.words for stage in self.stages] + last

    @property
    def drawing(self) -> Drawing:
        """Return the stages as graphs and, even if it is absent, the normal operation after them.

        Node 0 is the stage before, node 1 the normal map and node 2 the up-sampled one.
        """
        edges: dict[str, list[Edge]] = {}
        for place, op in operations(self).items():
            stage, _, name = place.rpartition(".")
            edge = Edge(*ENDS[name], op or ABSENT, _field(place), label=place)
            edges.setdefault(f"stage {stage}" if stage else "final", []).append(edge)
        parts = []
        for index, (title, group) in enumerate(edges.items()):
            ends = sorted({end for edge in group for end in (edge.source, edge.target)})
            nodes = tuple(Node(end, float(2 ** (index + (end == "2")))) for end in ends)
            parts.append(Part(title, nodes, tuple(group)))
        note = "Of a stage, node 0 is the stage before it, 1 its normal map, 2 its up-sampled one."
        return Drawing(tuple(parts), max(map(len, SHORT)), note)


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


class DEGASSpace(Space[DEGASGenerator]):
    """DEGAS' space, or one of its variants, which open places that the others leave empty.

    1,166,400 generators; with stem_residual 5,832,000; with final_normal 9 times as many.
    """

    name = "degas"
    Generator = DEGASGenerator

    def __init__(self, stem_residual: bool = False, final_normal: bool = False) -> None:
        self.ops = candidates(stem_residual, final_normal)

    def example(self, width: int) -> DEGASGenerator:
        """Return the generator of all places' first operations."""
        return from_operations({place: ops[0] for place, ops in self.ops.items()}, width)

    def places(self, generator: DEGASGenerator) -> Places:
        """Return the operations of each place, in the network's order; a residual may be absent."""
        return {
            _field(place): (*ops, None) if place.endswith("residual") else ops
            for place, ops in self.ops.items()
        }

    def discriminator(self, width: int) -> DiscriminatorGenome:
        """Return CT-GAN's critic."""
        return CTGANCritic(space="ctgan", width=width)


SPACE = DEGASSpace()


def _field(place: str) -> str:
    """Return the field that holds a place's operation."""
    return place if place == "final_normal" else f"stages.{place}"
