"""`gan-nas genomes`: what there is to build on; answers without torch unless asked for costs."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gan_nas.cli import options
from gan_nas.cli.build import costs_of
from gan_nas.cli.compare import reported_scores
from gan_nas.cli.drawing import explain_drawing, explain_words, has_edges, show_cells
from gan_nas.cli.inputs import resized
from gan_nas.cli.leaderboard import show_leaderboard
from gan_nas.cli.printing import big, lines, remark, show, show_json, show_json_text, suggest, table
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome, published_genome, published_names
from gan_nas.spaces.random_genomes import sample_genomes
from gan_nas.spaces.registry import BUILT_IN, load_space, space_names

RESOLUTION, CHANNELS = 32, 3  # what costs are counted for
KNOWN = ", ".join(BUILT_IN)


def genomes(
    reference: Annotated[
        str | None,
        typer.Argument(
            metavar="GENOME",
            help=f"{options.GENOME_IN_WORDS}, to show.",
            autocompletion=options.among(published_names),
        ),
    ] = None,
    costs: Annotated[
        bool, typer.Option("--costs", help="Add parameters and multiply-adds (takes seconds).")
    ] = False,
    leaderboard: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Print the leaderboard: what papers report of searched and hand-made GANs, beside "
            "what was measured here.",
        ),
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="With --table: as comma-separated values, all columns.")
    ] = False,
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="SPACE",
            help=f"Draw random genomes of a space: {KNOWN} or an installed one.",
        ),
    ] = None,
    num: Annotated[
        int, typer.Option("--count", metavar="N", min=1, max=10**6, help="With --sample: how many.")
    ] = 1,
    seed: options.Seed = None,
    width: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --sample: width of both networks, if not 256/128."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="With --sample: a file for each."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a genome file.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the published genomes, show one, or draw random ones; or print the leaderboard.

    A genome is a JSON file that says what a GAN is: its generator, of a space (a set of generators
    that can be searched), and its discriminator. A generator is a linear stem, cells (stages, in
    DEGAS' space) that each double the side of the images, and a last convolution, to-RGB. A cell
    consists of operations; those on the edges of a graph add up where they meet in a node. A
    shortcut adds a cell's input to its output, a skip adds features of an earlier cell. Width is
    the channels of every cell, a latent the vector of noise that an image is made of. A supernet
    holds the weights of all genomes of a space at once. Parameters are trained weights, MACs the
    multiply-adds for an image. FID (lower is better) and IS (higher is better) are the papers'
    scores; frechet_distance and classifier_score are like them, by another network.

    Examples: gan-nas genomes; gan-nas genomes autogan-cifar10-top1 --json > mine.json;
    gan-nas genomes --sample autogan --count 10 --seed 1; gan-nas genomes --table.
    """
    if schema:
        show_json(Genome.model_json_schema())
    elif leaderboard or as_csv:
        show_leaderboard(as_csv=as_csv, as_json=as_json)
    elif sample is not None:
        _draw(sample, num, seed or 0, width, output, as_json)
    elif reference is not None:
        _show_one(load_genome(reference), costs, as_json)
    else:
        _list(costs, as_json)


def _list(costs: bool, as_json: bool) -> None:
    published = [published_genome(name) for name in published_names()]
    if as_json:
        summaries = [
            _summary(genome) | (costs_of(genome, RESOLUTION, CHANNELS) if costs else {})
            for genome in published
        ]
        show_json({"genomes": summaries, "spaces": _sizes()})
        return
    numbers = ["parameters", "MACs"] if costs else []
    rows = table("genome", "width", "reported", *numbers, numbers=["width", *numbers])
    for genome in published:
        reported = [f"{name} {value:g}" for name, value in reported_scores(genome).items()]
        row: list[RenderableType] = [
            Text("\n").join([Text(genome.title, "bold"), *map(Text, genome.generator.summary)]),
            str(genome.generator.width),
            lines(reported),
        ]
        if costs:
            cost = costs_of(genome, RESOLUTION, CHANNELS)["generator"]
            row += [big(cost["parameters"]), big(cost["macs"])]
        rows.add_row(*row, end_section=True)
    show(rows, "")
    in_words = [genome for genome in published if not has_edges(genome.generator)]
    explain_words(genome.generator.legend for genome in in_words)
    if len(in_words) < len(published):
        remark("Edges are of cells that are graphs, which gan-nas genomes NAME draws.", style="dim")
    if costs:
        remark("Parameters and multiply-adds are the generator's, for 32x32 colour images.")
    for space, size in _sizes().items():
        words = f"{size:,}" if size < 10**9 else f"{size:.2e}".replace("e+", "e")
        remark(f"The space {space} holds {words} generators.", style="dim")
    suggest(
        draw_some=("genomes", "--sample", "autogan", "--count", "3"),
        show_one=("genomes", published[0].title),
        compile_it=("build", published[0].title),
    )


def _show_one(genome: Genome, costs: bool, as_json: bool) -> None:
    if as_json:
        if costs:
            raise InvalidInput(
                "--json prints the genome itself, without costs: use gan-nas build --json for them"
            )
        show_json_text(genome.to_json().rstrip())
        return
    generator, discriminator = genome.generator, genome.discriminator
    _show_cells(genome)
    facts = [
        ("genome", f"{genome.genome_id} (generator {genome.generator_id})"),
        (
            "space",
            f"{generator.space}, width {generator.width}, latents {generator.latents}",
        ),
        ("discriminator", discriminator.words),
    ]
    if genome.source:
        facts += [
            (name, text)
            for name, text in (
                ("paper", genome.source.paper),
                ("where", genome.source.where),
                ("note", genome.source.note),
            )
            if text
        ]
    facts += [("reported", f"{name} {value:g}") for name, value in reported_scores(genome).items()]
    if costs:
        for network, cost in costs_of(genome, RESOLUTION, CHANNELS).items():
            numbers = f"{cost['parameters']:,} parameters, {big(cost['macs'])} MACs"
            facts.append((network, f"{numbers} at {RESOLUTION} px"))
    grid = Table.grid(padding=(0, 2))
    for name, text in facts:
        grid.add_row(name, text)
    show(grid)


def _show_cells(genome: Genome) -> None:
    """Draw the cells that are graphs, say the others in words."""
    drawn = [part for part in ("generator", "discriminator") if has_edges(getattr(genome, part))]
    if "generator" not in drawn:
        cells = table("cell", "architecture", title=genome.title)
        for index, words in enumerate(genome.generator.summary):
            cells.add_row(str(index), words)
        show(cells, "")
        explain_words([genome.generator.legend])
    for part in drawn:
        show_cells(genome, part)
    if drawn:
        explain_drawing(getattr(genome, part) for part in drawn)


def _sizes() -> dict[str, int]:
    """Count the generators of each space; broken ones of other distributions are told of."""
    sizes = {}
    for name in space_names():
        try:
            sizes[name] = load_space(name).count()
        except Incompatible as error:
            remark(f"Left out: {error}.")
    return sizes


def _draw(
    space: str, num: int, seed: int, width: int | None, output: Path | None, as_json: bool
) -> None:
    drawn = sample_genomes(space, num, seed)
    if width is not None:
        drawn = [resized(genome, width) for genome in drawn]
    if output is not None:
        files = {genome.genome_id: output / f"{genome.genome_id}.json" for genome in drawn}
        for genome in drawn:
            genome.save(files[genome.genome_id])
        if as_json:
            show_json(
                {"genomes": [{"id": g.genome_id, "file": str(files[g.genome_id])} for g in drawn]}
            )
        else:
            show(*dict.fromkeys(str(files[g.genome_id]) for g in drawn))
    elif as_json:
        show_json({"genomes": [genome.model_dump(mode="json") for genome in drawn]})
    else:
        show(*(json.dumps(json.loads(genome.to_json())) for genome in drawn))


def _summary(genome: Genome) -> dict[str, Any]:
    return {
        "name": genome.title,
        "genome_id": genome.genome_id,
        "generator_id": genome.generator_id,
        "space": genome.generator.space,
        "width": genome.generator.width,
        "discriminator_width": genome.discriminator.width,
        "cells": genome.generator.words,
        "reported": genome.source.reported if genome.source else {},
    }
