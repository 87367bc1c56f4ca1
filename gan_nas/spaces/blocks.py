"""The residual blocks of SN-GAN's discriminator, WGAN-GP's and CT-GAN's critic, as graphs."""

from collections.abc import Mapping

from gan_nas.spaces.drawing import Drawing, Edge, Node, Part

NUM_BLOCKS, NUM_HALVED = 4, 2  # of which the first ones halve the size
CONVS = ("conv_3x3", "conv_3x3")


def block_drawing(ops: Mapping[int, tuple[str, str]], note: str) -> Drawing:
    """Return the four blocks, as `networks/blocks.py` has them.

    `ops` are the two convolutions of a block, by its number, where they are not 3x3 both.
    """
    parts = tuple(_block(index, ops.get(index, CONVS)) for index in range(NUM_BLOCKS))
    return Drawing(parts, max(len(edge.op) for part in parts for edge in part.edges), note)


def _block(index: int, ops: tuple[str, str]) -> Part:
    """Return a block; the first one's input is the image, before which there is no activation."""
    halves = index < NUM_HALVED
    before = 0.5 ** min(index, NUM_HALVED)
    first, second = (op.replace("identity", "") for op in ops)
    start, end, shortcut = f"relu {first}".strip(), f"relu {second}", "identity"
    if halves:
        end, shortcut = f"{end} avg_pool", "conv_1x1 avg_pool"
    if index == 0:
        start, shortcut = first, "avg_pool conv_1x1"
    nodes = (Node("0", before), Node("1", before), Node("2", before / 2 if halves else before))
    edges = (Edge("0", "1", start), Edge("1", "2", end), Edge("0", "2", shortcut))
    return Part(f"block {index}", nodes, edges)
