"""A network as a small graph, for whoever draws it: in a terminal, as SVG (no torch).

The contract of every space, a stranger's too: parts in the order in which they compute, each of
maps (nodes) and operations (edges). What a map's channels are follows from the network: its width,
or the image's where a discriminator's first part takes that up.
"""

from typing import NamedTuple

ABSENT = "none"  # the operation of an edge that is left out


class Node(NamedTuple):
    """A feature map."""

    name: str
    scale: float
    """Its side, to that of the network's first map: of the stem's, or of the image."""


class Edge(NamedTuple):
    """An operation between two maps; edges that meet at a node are added up."""

    source: str
    target: str
    op: str
    where: str = ""
    """The field that holds the operation, as `diff` names it; empty where it is not one field."""
    label: str = ""
    """What its row is called beside another genome's."""
    part: int | None = None
    """The earlier part that its source lies in, where it is a skip."""


class Part(NamedTuple):
    """A cell or a stage: its first node is what comes in, its last what the next part takes up."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class Drawing(NamedTuple):
    """A network, part by part; one that is hand-made may have none, or edges that are no fields."""

    parts: tuple[Part, ...] = ()
    op_columns: int = 0
    """Characters of the space's longest operation, so that its drawings line up."""
    note: str = ""
    """How to read its nodes, where their numbers do not tell."""

    @property
    def is_graph(self) -> bool:
        """Tell whether its edges are fields of the genome; where they are not, words say more."""
        return any(edge.where for part in self.parts for edge in part.edges)

    @property
    def fields(self) -> list[str]:
        """List the genome's fields, such as cells, whose entries hold the edges."""
        wheres = (edge.where.partition(".") for part in self.parts for edge in part.edges)
        return list(dict.fromkeys(field for field, dot, _ in wheres if dot))
