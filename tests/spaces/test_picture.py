"""Genomes as pictures: all of a drawing is there, nothing overlaps, sizes are the networks' own."""

import itertools
import random
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import torch
from torch import nn

from gan_nas.errors import InvalidInput
from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.spaces.adversarialnas import sample_discriminator
from gan_nas.spaces.drawing import Drawing, Edge, Node, Part
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.layout import lay_out
from gan_nas.spaces.picture import MEASURE, architecture_svg, plain
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import BUILT_IN

SPACES = (*BUILT_IN, "toy")


@pytest.fixture(params=SPACES)
def genomes(request: pytest.FixtureRequest, plugin: object) -> list[Genome]:
    """Random genomes of a space, the last one against a searched discriminator."""
    del plugin
    drawn = [genome.resized(8, 6) for genome in sample_genomes(request.param, 3, 0)]
    searched = sample_discriminator(random.Random(0), 6)
    return [*drawn[:2], drawn[2].model_copy(update={"discriminator": searched})]


def test_every_operation_and_every_map_is_named(genomes: list[Genome]) -> None:
    for genome in genomes:
        root = ET.fromstring(ET.tostring(architecture_svg(genome, 16, 3)))  # noqa: S314 - ours
        said = " ".join(e.text or "" for e in root.iter() if e.tag.endswith(("text", "title")))
        for network in (genome.generator, genome.discriminator):
            assert f"{network.space}, width {network.width}" in said
            for part in network.drawing.parts:
                shown = [edge for edge in part.edges if edge.op != "none"]
                assert not shown or part.title in said
                assert all(edge.op in said for edge in shown)
        assert "image 3x16x16" in said
        again = ET.tostring(architecture_svg(genome, 16, 3))
        assert again == ET.tostring(architecture_svg(genome, 16, 3))


def test_nothing_in_a_picture_overlaps(genomes: list[Genome]) -> None:
    """Boxes are apart, and no line runs through one that is not its own end or operation."""
    for genome in genomes:
        for drawing in (genome.generator.drawing, genome.discriminator.drawing):
            sizes = {
                (number, node.name): "256x32x32"
                for number, part in enumerate(drawing.parts)
                for node in part.nodes
            }
            for number in range(len(drawing.parts)):
                check_apart(drawing, number, sizes)


def check_apart(drawing: Drawing, number: int, sizes: Any) -> None:
    laid = lay_out(drawing, number, sizes, MEASURE)
    boxes = [box for box in laid.boxes if box.kind != "pass"]
    for a, b in itertools.combinations(boxes, 2):
        across = abs(a.x - b.x) >= (a.size.width + b.size.width) / 2
        assert across or abs(a.y - b.y) >= (a.size.height + b.size.height) / 2 + 2
    for box in boxes:
        assert 0 <= box.x - box.size.width / 2 <= box.x + box.size.width / 2 <= laid.size.width
        assert box.y - box.size.height / 2 >= -0.1
        assert box.y + box.size.height / 2 <= laid.size.height + 0.1
    for line in laid.lines:
        for (x, y), (to_x, to_y) in itertools.pairwise(line.points):
            assert x <= to_x
            met = [
                box
                for box in boxes
                if min(to_x, box.x + box.size.width / 2) - max(x, box.x - box.size.width / 2) > 1
                and min(y, to_y) < box.y + box.size.height / 2
                and max(y, to_y) > box.y - box.size.height / 2
            ]
            assert all(box.kind in ("operation", "absent") and box.y == y for box in met)


def maps_of(network: nn.Module, *inputs: torch.Tensor) -> set[str]:
    """Return the shapes of all maps that pass a network's modules, as they are drawn."""
    seen: set[str] = set()

    def look(_: nn.Module, given: Any, made: Any) -> None:
        for tensor in itertools.chain(given, made if isinstance(made, tuple) else (made,)):
            if isinstance(tensor, torch.Tensor) and tensor.ndim == 4:
                seen.add("x".join(map(str, tensor.shape[1:])))

    hooks = [module.register_forward_hook(look) for module in network.modules()]
    network(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


def test_sizes_are_those_of_the_networks_own_maps(genomes: list[Genome]) -> None:
    with torch.device("meta"):
        made = build_generator(genomes[1].generator, 32, 3)
        z = torch.empty(1, genomes[1].generator.latent_dim)
        known = [("generator", genomes[1], maps_of(made, z))]
        for genome in genomes[1:]:
            judge = build_discriminator(genome.discriminator, 32, 3)
            known.append(("discriminator", genome, maps_of(judge, torch.empty(1, 3, 32, 32))))
    for role, genome, maps in known:
        network, _legend = list(architecture_svg(genome, 32, 3, [role]))[-2:]
        said = [element.text or "" for element in network.iter("text")]
        shown = {text for text in said if re.fullmatch(r"\d+x\d+x\d+", text)}
        assert shown
        assert shown <= maps, role


def test_a_discriminator_whose_first_block_is_not_drawn_begins_at_its_width() -> None:
    svg = architecture_svg(published_genome("eagan-stl10"), 48, 3, ["discriminator"])
    said = set(svg.itertext())
    assert "128x24x24" in said
    assert "3x24x24" not in said


def test_an_image_that_the_parts_cannot_double_up_to_is_refused() -> None:
    genome = published_genome("autogan-cifar10-top1")
    for side in (4, 20, 33):
        with pytest.raises(InvalidInput, match=f"images of {side} pixels: .* multiple of 8"):
            architecture_svg(genome, side, 1, ["generator"])
        architecture_svg(genome, side, 1, ["discriminator"])


def test_what_a_stranger_writes_is_text_and_a_drawing_that_is_odd_is_a_picture() -> None:
    """An operation's name that would be markup, a circle, a map that nothing enters, no part."""
    name = "<script>alert(1)</script>&\x00\x1b]0;\u202e" + "long " * 40
    nodes = (Node("0", 1.0), Node("<b>", 1.0), Node("2", 2.0))
    edges = (
        Edge("0", "2", name),
        Edge("0", "2", "none"),
        Edge("2", "0", "back"),
        Edge("<b>", "<b>", "round"),
        Edge("2", "0", "skip", part=0),
    )
    genome = published_genome("autogan-cifar10-top1")
    for drawing in (
        Drawing((Part(name, nodes, edges), Part("", nodes[:1], ())), note=name),
        Drawing(),
    ):
        odd = type(
            "Odd",
            (type(genome.generator),),
            {"drawing": property(lambda _, drawing=drawing: drawing)},
        )
        generator = odd.model_construct(**dict(genome.generator))
        copy = genome.model_copy(update={"generator": generator})
        text = ET.tostring(architecture_svg(copy, 32, 3), encoding="unicode")
        assert "<script" not in text
        assert plain(text.replace("\n", "")) == text.replace("\n", "")
        ET.fromstring(text)  # noqa: S314 - ours


@pytest.mark.parametrize("name", published_names())
def test_published_genomes_fit_on_a_page(name: str) -> None:
    root = architecture_svg(published_genome(name), 32, 3)
    assert float(root.get("width", "inf")) < 900
    assert len(ET.tostring(root)) < 60_000
