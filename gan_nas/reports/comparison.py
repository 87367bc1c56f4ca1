"""What a report says of several runs together: one table, curves over each other, the front."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from gan_nas.errors import GanNasError
from gan_nas.networks.cost import generator_price
from gan_nas.reports.charts import Point, front_figure
from gan_nas.reports.html import Cell, element, number, table, words
from gan_nas.reports.pictures import drawn
from gan_nas.reports.records import Record
from gan_nas.reports.sections import caption, distance_of
from gan_nas.runs.curves import Course, curves_figure
from gan_nas.runs.results import SearchResult, TrainingResult
from gan_nas.scoring.protocols import differing, say_differences


def comparison(records: Sequence[Record]) -> ET.Element:
    """Return the section that compares runs."""
    rows, points, measures = [], [], set()
    for record in records:
        size = _parameters(record)
        best = _best(record)
        rows.append(_row(record, size, best))
        if best is not None and size is not None:
            measures.add(best[0])
            points.append(Point(record.name, float(size), best[1]))
    heads = [
        *("run", "what", "state", "images", "seconds", "parameters", "best distance"),
        *("of real images", "passport"),
    ]
    parts: list[ET.Element | None] = [
        element("h2", "Together", id="together"),
        _warning(records),
        table(heads, rows, "A distance is that of the best generator; lower is better."),
    ]
    courses = [Course(record.name, record.log, record.real) for record in records]
    figure = curves_figure(courses, "all runs")
    if figure is not None:
        says = "Curves of all runs over each other; dashed: real images that were held out."
        parts += [element("h3", "Learning curves"), drawn(figure, says)]
    if len(measures) == 1:
        name = measures.pop()
        front = front_figure(points, "parameters of the generator", name, lower_is_better=True)
        if front is not None:
            says = f"{name} against the generator's size."
            parts += [element("h3", "Distance against size"), drawn(front, says)]
    return element("section", *parts)


def _row(record: Record, size: int | None, best: tuple[str, float] | None) -> list[Cell]:
    real = distance_of(record.real)
    seconds = getattr(record.result, "seconds", None)
    facts = getattr(record.result, "facts", {})
    return [
        words(record.name),
        words(f"{record.kind}: {caption(record)}"),
        words(record.state),
        number(getattr(record.result, "images", facts.get("images"))),
        number(None if seconds is None else round(seconds)),
        number(size),
        number(None if best is None else best[1]),
        number(None if real is None else real[1]),
        words(record.passport.backbone if record.passport else None),
    ]


def _best(record: Record) -> tuple[str, float] | None:
    """Return the lowest distance of a training, or that of the best genome of a search."""
    result = record.result
    if isinstance(result, TrainingResult):
        return distance_of(result.best)
    if isinstance(result, SearchResult) and result.genomes:
        return distance_of(result.genomes[0].values) or distance_of(result.genomes[0].scores)
    return None


def _parameters(record: Record) -> int | None:
    """Return the parameters of a run's generator: of a search that of its best genome."""
    result = record.result
    if isinstance(result, SearchResult):
        return result.genomes[0].parameters if result.genomes else None
    if not record.genomes:
        return None
    try:
        generator = record.genomes[0].generator
        return generator_price(generator, record.side, record.channels)[0]
    except GanNasError:
        return None


def _warning(records: Sequence[Record]) -> ET.Element | None:
    """Say what forbids to compare the numbers, as `compare` would."""
    passports = [record.passport for record in records if record.passport is not None]
    differences = differing(passports) if len(passports) > 1 else {}
    if not differences:
        return None
    said = say_differences(differences)
    return element(
        "p", f"These scores were made differently, do not rank them: {said}.", class_="note"
    )
