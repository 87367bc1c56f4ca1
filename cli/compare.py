"""`gan-nas compare`: two genomes, or two files of scores, side by side."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gan_nas.cli import options
from gan_nas.cli.build import costs_of
from gan_nas.cli.compare_scores import are_scores, compare_scores
from gan_nas.cli.drawing import explain_drawing, is_drawn, show_both
from gan_nas.cli.inputs import resized, say_size, size_of_images
from gan_nas.cli.printing import big, short_name, show, show_json, table
from gan_nas.spaces.diff import Change, diff
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome, published_names

MANY = 10  # times as much is no more said in per cent


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help=f"{options.GENOME_IN_WORDS}; or scores of gan-nas score, or a folder of them.",
            autocompletion=options.among(published_names),
        ),
    ],
    second: Annotated[
        str,
        typer.Argument(
            metavar="B", help="Another one.", autocompletion=options.among(published_names)
        ),
    ],
    resolution: options.OptionalResolution = None,
    channels: options.OptionalChannels = None,
    width: options.Width = None,
    any_passport: options.AnyPassport = False,
    as_json: options.Json = False,
) -> None:
    """Compare two genomes: what turns A into B, costs, known scores; or two files of scores.

    Exits with 0 when both are the same architecture at the same sizes, and with 1, as diff does,
    when they differ. Names and sources don't count. Costs are counted at one size for both: that
    of the images of A's run, else of B's, else 32x32 in colour. Cells that are graphs of
    operations are drawn side by side, edge by edge. Known scores are as their sources report them,
    each under its own protocol.

    Files that gan-nas score -o wrote are compared number by number, or two folders, each with those
    of several trainings of one genome. Exits with 1 when a difference exceeds the noise: of the
    training seeds for folders, else of the latents, which gan-nas score --repeats tells; and with 4
    when the scores were made differently.
    """
    if are_scores(first, second):
        differ = compare_scores(
            Path(first), Path(second), any_passport=any_passport, as_json=as_json
        )
        raise typer.Exit(int(differ))
    a, b = (resized(load_genome(reference), width) for reference in (first, second))
    changes = diff(a, b)
    size, whose = size_of_images(resolution, channels, first, second)
    sides = [_side(genome, *size) for genome in (a, b)]
    if as_json:
        rows = [change._asdict() | {"text": str(change)} for change in changes]
        counted = {"resolution": size.side, "image_channels": size.channels}
        show_json({"same": not changes, "changes": rows, "a": sides[0], "b": sides[1], **counted})
    else:
        _show_changes(changes, a, b)
        _show_sides(sides[0], sides[1], (a, b))
        widths = " and ".join(str(genome.generator.width) for genome in (a, b))
        show(f"Counted at {say_size(size)}{whose}; the generators' widths are {widths}.")
    if changes:
        raise typer.Exit(1)


def reported_scores(genome: Genome) -> dict[str, float]:
    """Return what the source reports, as words -> value, such as cifar10 FID."""
    reported = genome.source.reported if genome.source else {}
    return {
        f"{data} {_score_in_words(score)}": value
        for data, scores in reported.items()
        for score, value in scores.items()
    }


def _score_in_words(score: str) -> str:
    """Shorten a score's name; what follows a comma says how it was measured."""
    name, comma, how = score.partition(",")
    return {"inception_score": "IS", "fid": "FID"}.get(name, short_name(name)) + comma + how


def _side(genome: Genome, resolution: int, channels: int) -> dict[str, Any]:
    return {
        "name": genome.name,
        "genome_id": genome.genome_id,
        "generator_id": genome.generator_id,
        **costs_of(genome, resolution, channels),
        "reported": genome.source.reported if genome.source else {},
    }


def _show_changes(changes: list[Change], a: Genome, b: Genome) -> None:
    """Say what changed; what can be drawn is drawn, and only counted in words."""
    said = [] if changes else ["The same architecture."]
    drawn = [part for part in ("generator", "discriminator") if is_drawn(a, b, part)]
    counts = {
        f"{part}.{field}": Counter[str]()
        for part in drawn
        for genome in (a, b)
        for field in getattr(genome, part).drawing.fields
    }
    for change in changes:
        place = ".".join(change.where.split(".")[:2])
        if place in counts:
            counts[place][change.kind] += 1
        else:
            said.append(str(change))
    for place, kinds in counts.items():
        if kinds:
            counted = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
            said.append(f"{place}: {counted}")
    show(*said, "")
    for part in drawn:
        show_both(a, b, part, changes)
    if drawn:
        explain_drawing(getattr(genome, part) for part in drawn for genome in (a, b))


def _show_sides(a: dict[str, Any], b: dict[str, Any], genomes: tuple[Genome, Genome]) -> None:
    titles = [genome.title for genome in genomes]
    rows = table("", *titles, "difference", numbers=(*titles, "difference"))
    rows.columns[0].no_wrap = True
    for column in rows.columns[1:3]:
        column.overflow = "fold"  # long names differ at their ends
    for network in ("generator", "discriminator"):
        for name, words, say in (("parameters", "parameters", _exact), ("macs", "MACs", big)):
            x, y = a[network][name], b[network][name]
            rows.add_row(f"{network} {words}", say(x), say(y), _difference(x, y, say))
    rows.add_section()
    scores = [reported_scores(genome) for genome in genomes]
    for name in dict.fromkeys([*scores[0], *scores[1]]):
        values = [score.get(name) for score in scores]
        # No difference: each source has its own protocol.
        rows.add_row(name, *("" if v is None else f"{v:g}" for v in values), "")
    show(rows)
    if any(scores):
        show("Scores are as each source reports them, under its own protocol.")


def _difference(before: int, after: int, say: Callable[[int], str]) -> str:
    if before == after:
        return "same"
    ratio = after / before
    times = f"{ratio:,.0f} times" if ratio >= MANY else f"{ratio - 1:+.1%}"
    return f"{'+' if after > before else '-'}{say(abs(after - before))} ({times})"


def _exact(number: int) -> str:
    return f"{number:,}"
