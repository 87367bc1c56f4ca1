"""What a report says of one run: summary and lineage, genome, curves, samples, tables, passport."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any
from xml.etree import ElementTree as ET

from gan_nas.errors import GanNasError
from gan_nas.reports.charts import Point, front_figure
from gan_nas.reports.html import Cell, data_uri, element, facts, number, table, words
from gan_nas.reports.pictures import copied, drawn, some_of
from gan_nas.reports.records import Record
from gan_nas.reports.repeating import Words, file_of, repeated
from gan_nas.runs.curves import Course, curves_figure
from gan_nas.runs.edge_history import edges_figure
from gan_nas.runs.figures import LARGEST
from gan_nas.runs.ledger import BEST_PNG
from gan_nas.runs.plots import trials_figure
from gan_nas.runs.results import ReconstructionResult, SearchResult, TrainingResult
from gan_nas.scoring.protocols import is_frechet
from gan_nas.search import load_method
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.picture import architecture_svg
from gan_nas.studies.study import PICTURE, StudyResult

MOST_ROWS, MOST_COLUMNS = 500, 40  # of a table
FORMAT = re.compile(r"[,+]?(\.\d{1,2})?[defg%]?")  # of a study's numbers
Say = Callable[..., str]
DATED = ("step", "images")  # when scores were made


def run_section(record: Record, anchor: str, say: Say) -> ET.Element:
    """Return all that there is to say of a run."""
    parts: list[ET.Element | None] = [
        element("h2", record.name, id=anchor),
        _summary(record),
        *(element("p", trouble, class_="note") for trouble in record.troubles),
        _command(record, say),
    ]
    if isinstance(record.result, StudyResult):
        parts += _study(record, record.result)
    if isinstance(record.result, SearchResult):
        parts += _found(record.result, searched(record))
    parts += [*_genome(record), *_curves(record), *_trials(record), *_samples(record)]
    parts += [_scores(record), _passport(record), _settings(record)]
    return element("section", *parts)


def caption(record: Record) -> str:
    """Say what a run is: of which genome or by which method, on which data, from which seed."""
    of = record.method
    if record.kind in ("training", "reconstruction") and record.genomes:
        of = record.genomes[0].title
    seed = record.config.get("seed")
    on = f" on {record.data}" if record.data else ""
    return f"{of}{on}" + (f", seed {seed}" if isinstance(seed, int) else "")


def distance_of(scores: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the distance among scores, with its name."""
    for name, value in scores.items():
        if not -LARGEST <= _number_or(value, inf) <= LARGEST:
            continue
        if (is_frechet(name) or name.startswith("distance")) and _is_number(value):
            return name, float(value)
    return None


def _summary(record: Record) -> ET.Element:
    settings, result = record.settings, record.result
    versions = settings.get("versions")
    kept = versions if isinstance(versions, dict) else {}
    computed = ", ".join(f"{name} {value}" for name, value in kept.items())
    pairs: list[tuple[str, ET.Element | str | None]] = [
        ("what", f"{record.kind}: {caption(record)}"),
        ("state", record.state + (f": {record.failure.why}" if record.failure else "")),
        ("directory", str(record.directory)),
        ("run id", record.run_id),
        ("data", " · ".join(_texts(settings, "data", "data_summary", "data_fingerprint"))),
        ("images' side", f"{record.side} px" if record.data else None),
        ("judged by", " · ".join(_texts(settings, "backbone"))),
        ("computed by", f"{settings.get('device', '')}: {computed}" if computed else None),
    ]
    for genome in record.genomes[:1] if record.kind != "search" else ():
        pairs.append(("genome", genome.genome_id))
        source = genome.source
        told = (source.paper, source.where, source.note) if source else ()
        pairs.append(("genome's source", " · ".join(text for text in told if text)))
    inherited = getattr(result, "inherited_from", None)
    if inherited:
        pairs.append(("weights from", json.dumps(inherited)))
    if isinstance(result, TrainingResult):
        pairs.append(("length", f"{result.steps:,} steps, {result.images:,} real images seen"))
        for name, scores in (("best", result.best), ("last", result.last), ("real", result.real)):
            pairs.append((f"{name} scores", _said(scores)))
    if isinstance(result, ReconstructionResult):
        pairs.append(("loss", f"{result.loss:.4g} after {result.iterations:,} iterations"))
    if isinstance(result, SearchResult):
        pairs.append(("real scores", _said(result.real)))
        pairs.append(("also", "; ".join(f"{k}: {json.dumps(v)}" for k, v in result.facts.items())))
    seconds = getattr(result, "seconds", None)
    if isinstance(seconds, float):
        pairs.append(("time", f"{seconds:,.0f} s in all sittings"))
    return facts(pairs)


def _command(record: Record, say: Say) -> ET.Element:
    command: Words | None = repeated(record)
    made = element("div", element("h3", "The command to repeat it"))
    if command is None:
        made.append(element("p", "Its settings are of another version, or its method is absent."))
        return made
    made.append(element("pre", say("gan-nas", *command)))
    for genome in record.genomes[:1]:
        if file_of(genome) in command and file_of(genome).endswith(".json"):
            made.append(element("p", "with the genome saved first: ", _link(genome)))
    inherited = getattr(record.result, "inherited_from", None) or record.settings.get("inherited")
    if inherited:
        text = "Its first weights were given, see “weights from”: add --inherit or --from."
        made.append(element("p", text, class_="note"))
    return made


def _link(genome: Genome) -> ET.Element:
    name = f"{genome.genome_id}.json"
    uri = data_uri(genome.to_json().encode(), "application/json")
    return element("a", name, href=uri, download=name)


def _genome(record: Record) -> list[ET.Element]:
    """Draw the genome of a training, the best one of a search."""
    if not record.genomes:
        return []
    genome = record.genomes[0]
    best = "Best architecture" if record.kind == "search" else "Architecture"
    made = [element("h3", f"{best}: {genome.title}")]
    try:
        svg = architecture_svg(genome, record.side, record.channels)
        made.append(element("div", svg, class_="wide", tabindex="0"))
    except GanNasError as error:
        made.append(element("p", f"It is not drawn: {error}.", class_="note"))
    made.append(element("p", "As a file: ", _link(genome)))
    return made


def _curves(record: Record) -> list[ET.Element]:
    made = []
    figure = curves_figure([Course("", record.log, record.real)], caption(record))
    if figure is not None:
        says = "Losses, rewards and scores; dashed: real images that were held out."
        made += [element("h3", "Learning curves"), drawn(figure, says)]
    rows = [row for row in record.log if row.get("event") == "architecture"]
    genome = record.genomes[0] if record.genomes else None
    history = edges_figure(rows, genome, caption(record)) if rows else None
    if history is not None:
        says = "What stood on each edge, and how sure that was; below, the mean entropies."
        made += [element("h3", "History of the edges"), drawn(history, says)]
    return made


def _found(result: SearchResult, network: str) -> list[ET.Element]:
    """Return the table of what a search of one of the networks found, and its front."""
    rows = result.genomes[:MOST_ROWS]
    values, scores = _names(row.values for row in rows), _names(row.scores for row in rows)
    heads = ["rank", "genome", *values, *scores, "parameters", "multiply-adds", "cells"]
    cells = [
        [
            number(rank),
            words(row.id),
            *(number(row.values.get(name)) for name in values),
            *(number(row.scores.get(name)) for name in scores),
            number(row.parameters),
            number(row.macs),
            words("; ".join(row.words)),
        ]
        for rank, row in enumerate(rows, start=1)
    ]
    made = [element("h3", "Genomes found"), table(heads, cells, "The best first.")]
    if not values:
        return made
    name = values[0]
    points = [Point(r.id, r.parameters, float(r.values.get(name, inf))) for r in rows]
    figure = front_figure(
        points,
        f"parameters of the {network}",
        name,
        lower_is_better=_falls(result.method, name),
    )
    if figure is not None:
        made.append(drawn(figure, f"{name} against the {network}'s size, of genomes found."))
    return made


def _falls(method: str, column: str) -> bool:
    try:
        columns = load_method(method).columns
    except GanNasError:
        return column == "distance"
    return any(one.name == column and one.best == "lowest" for one in columns)


def searched(record: Record) -> str:
    """Return which network of genomes a search is for."""
    return "discriminator" if record.config.get("generator") is not None else "generator"


def _trials(record: Record) -> list[ET.Element]:
    """Return the table of a search's trials, the best so far, and the front."""
    rows = [row for row in record.log if type(row.get("trial")) is int]
    if not rows:
        return []
    shared = record.config.get("evaluator") in ("shared", "pairs")
    reached: dict[str, float] = {}
    points = []
    for row in rows:
        one = str(row.get("id"))
        reached[one] = max(reached.get(one, 0.0), _number_or(row.get("fidelity"), 0.0))
        spent = max(reached.values()) if shared else sum(reached.values())
        completed = row.get("status") == "completed"
        loss = _number_or(row.get("distance"), inf) if completed else inf
        points.append((spent, loss, _number_or(row.get("parameters"), 0.0)))
    heads = ["trial", "genome", "outcome", "images", "distance", "parameters", "cells"]
    cells: list[list[Cell]] = [
        [
            number(row["trial"]),
            words(row.get("id")),
            words(row.get("status")),
            number(row.get("fidelity")),
            number(row.get("distance")),
            number(row.get("parameters")),
            words(_joined(row.get("words"))),
        ]
        for row in rows[:MOST_ROWS]
    ]
    made = [element("h3", "Trials")]
    if any(0 < loss < inf for _, loss, _ in points):
        figure = trials_figure(points, f"parameters of the {searched(record)}", caption(record))
        made.append(drawn(figure, "The best so far, and the Pareto front of all trials."))
    return [*made, table(heads, cells)]


def _samples(record: Record) -> list[ET.Element]:
    grids = [
        copied(path, f"at step {path.stem.lstrip('0') or '0'}") for path in some_of(record.pictures)
    ]
    best = record.directory / BEST_PNG
    if best.is_file():
        grids.append(copied(best, "the best architecture, on the weights it was judged by"))
    if not grids:
        return []
    return [element("h3", "Samples over time"), element("div", *grids, class_="grids")]


def _scores(record: Record) -> ET.Element | None:
    """Return the table of a training's scores, with those of real images."""
    result = record.result
    if not isinstance(result, TrainingResult):
        return None
    rows = result.scores or [result.first, result.best, result.last]
    names = [name for name in _names(rows) if name not in DATED]
    cells = [
        [*(number(row.get(name)) for name in DATED), *(number(row.get(name)) for name in names)]
        for row in rows[-MOST_ROWS:]
    ]
    real = [words("real images"), words(None), *(number(result.real.get(name)) for name in names)]
    made = table(["step", "images", *names], [*cells, real])
    return element("div", element("h3", "Scores"), made)


def _study(record: Record, result: StudyResult) -> list[ET.Element]:
    """Return the question of a study, its picture, its table and what follows."""
    cells = [
        [
            number(value, column.format if FORMAT.fullmatch(column.format) else ".4g")
            if _is_number(value := row.get(column.name))
            else words(json.dumps(value) if isinstance(value, list | dict) else value)
            for column in result.columns[:MOST_COLUMNS]
        ]
        for row in result.rows[:MOST_ROWS]
    ]
    made = [
        element("h3", "The question"),
        element("p", result.question),
        element("h3", "What follows"),
        element("ul", *(element("li", text) for text in result.findings)),
        element("h3", "What it does not show"),
        element("ul", *(element("li", text) for text in result.limits)),
    ]
    picture = record.directory / PICTURE
    if picture.is_file():
        made.append(copied(picture, result.question))
    made.append(table([column.words for column in result.columns[:MOST_COLUMNS]], cells))
    machine = ", ".join(f"{name} {value}" for name, value in result.machine.items())
    made.append(facts([("ended on", result.date), ("machine", machine)]))
    return made


def _passport(record: Record) -> ET.Element | None:
    """Return the protocol behind the scores."""
    passport = record.passport
    if passport is None:
        return None
    rows = [[words(k), number(v)] for k, v in passport.model_dump().items() if v is not None]
    says = "Numbers of other passports must not be compared with these."
    return element("div", element("h3", "Passport"), table(["field", "value"], rows, says))


def _settings(record: Record) -> ET.Element | None:
    rows = [
        [words(name), number(value) if _is_number(value) else words(json.dumps(value))]
        for name, value in list(record.config.items())[:MOST_ROWS]
    ]
    if not rows:
        return None
    return element("div", element("h3", "Settings"), table(["setting", "value"], rows))


def _texts(settings: Mapping[str, Any], *names: str) -> Sequence[str]:
    return [value for name in names if isinstance(value := settings.get(name), str) and value]


def _said(scores: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:.4g}"
        for name, value in scores.items()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number_or(value: object, otherwise: float) -> float:
    """Return what can be drawn of a log's value."""
    known = isinstance(value, int | float) and -LARGEST <= value <= LARGEST
    return float(value) if known and isinstance(value, int | float) else otherwise


def _names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """List what rows have values of; a stranger's may have any number."""
    return list(dict.fromkeys(name for row in rows for name in row))[:MOST_COLUMNS]


def _joined(said: object) -> str:
    return "; ".join(map(str, said)) if isinstance(said, list) else ""
