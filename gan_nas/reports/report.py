"""A report of runs: one HTML file, which shows all of them without a network or a program."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gan_nas.errors import InvalidInput
from gan_nas.files import write_text
from gan_nas.reports.comparison import comparison
from gan_nas.reports.html import element, page
from gan_nas.reports.records import Record, read_record
from gan_nas.reports.sections import Say, caption, run_section

MOST_RUNS = 50


class Report(NamedTuple):
    """A report that was written."""

    path: Path
    records: list[Record]
    num_bytes: int


def report(
    directories: Sequence[Path | str], path: Path | str, *, say: Say | None = None
) -> Report:
    """Write a report of run directories: of searches, trainings and studies, finished or not.

    `say` turns the words of a command into a line to type. The directories are left as they are.
    Raises InvalidInput for what is no run; Incompatible for results of another version.
    """
    path = Path(path)
    if not 1 <= len(directories) <= MOST_RUNS:
        raise InvalidInput(f"{len(directories)} runs: a report holds 1 to {MOST_RUNS}")
    records = [read_record(Path(directory)) for directory in directories]
    text = _text(records, say or (lambda *words: shlex.join(map(str, words))))
    write_text(path, text)
    return Report(path, records, len(text.encode()))


def _text(records: Sequence[Record], say: Say) -> str:
    names = [record.name for record in records]
    title = caption(records[0]) if len(records) == 1 else f"{len(records)} runs"
    anchors = [f"run-{place}" for place, _ in enumerate(records, start=1)]
    links = [element("a", n, href=f"#{a}") for n, a in zip(names, anchors, strict=True)]
    body = [element("header", element("h1", f"gan-nas: {title}"))]
    if len(records) > 1:
        together = element("a", "Together", href="#together")
        body += [element("nav", together, *links), comparison(records)]
    body += [run_section(r, anchor, say) for r, anchor in zip(records, anchors, strict=True)]
    return page(f"{title} - gan-nas report", [*body, element("footer")])
