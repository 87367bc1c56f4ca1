"""How results reach stdout and remarks reach stderr: all that is printed passes `console`."""

import csv
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from gan_nas.cli.shell import command_line
from gan_nas.escapes import visible, visible_json
from gan_nas.machine.ranks import launched_rank

ERROR, WARNING = "red", "yellow"
NOTICE = "bold"  # what has ended a command before its end
INSISTENT = (ERROR, WARNING, NOTICE)  # what is said even quietly
_quiet = ContextVar("quiet", default=False)


class _Console(Console):
    """A console that takes texts literally and spells out what a terminal would obey.

    A str is one line, in a table's cell, too. What has several lines is made by `lines`.
    """

    def __init__(self, *, stderr: bool, **options: Any) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a str into what is laid out; here, as spelled out texts get longer."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield pieces of text, and spell out what came in by a Text."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self._safe(segment.text))

    def _safe(self, text: str) -> str:
        encoded = visible(text, keep="\n").encode(self.encoding, "backslashreplace")
        return encoded.decode(self.encoding)

    def on_broken_pipe(self) -> None:
        """Raise it again for `main`; rich would exit with 1, which means "different" here."""
        raise BrokenPipeError


def console(*, stderr: bool = False, **options: Any) -> Console:
    """Return a console for results or, on stderr, for everything else.

    Of several processes that torchrun has started only the first prints.
    """
    return _Console(stderr=stderr, **({"quiet": launched_rank() > 0} | options))


@contextmanager
def quietly(*, wanted: bool = True) -> Iterator[None]:
    """Leave out on stderr, for a while, all but warnings and errors."""
    before = _quiet.set(wanted)
    try:
        yield
    finally:
        _quiet.reset(before)


def is_quiet() -> bool:
    """Tell whether only warnings and errors are wanted on stderr."""
    return _quiet.get()


def show(*results: RenderableType) -> None:
    """Print results to stdout; a str is one line, taken literally and never wrapped."""
    out = console()
    for result in results:
        out.print(result, soft_wrap=isinstance(result, str))


def show_json(value: Any) -> None:
    """Print one JSON object to stdout, in ASCII."""
    show_json_text(json.dumps(value, indent=2, allow_nan=False))


def show_result(result: BaseModel) -> None:
    """Print a result as one JSON object."""
    show_json(result.model_dump(mode="json"))


def show_json_text(text: str) -> None:
    """Print JSON, as `json.dumps` writes it, to stdout."""
    if launched_rank() == 0:
        print(visible_json(text))  # noqa: T201 - stdout is for results


def show_csv(rows: Iterable[Mapping[str, Any]], names: Iterable[str] = ()) -> None:
    """Print rows of the same columns to stdout as CSV (RFC 4180), the names first.

    Names are needed where there may be no row.
    """
    known = list(rows)
    writer = csv.DictWriter(sys.stdout, list(names) or known[0].keys())
    writer.writeheader()
    writer.writerows(known)


def remark(text: str, style: str | None = None, *, everywhere: bool = False) -> None:
    """Print a sentence to stderr: wrapped on a terminal, one line elsewhere.

    Quietly, only those of an insistent style. Of several processes the first prints it or,
    `everywhere`, all, with their numbers.
    """
    if is_quiet() and style not in INSISTENT:
        return
    err = console(stderr=True, **({"quiet": False} if everywhere else {}))
    if everywhere and launched_rank():
        text = f"process {launched_rank()}: {text}"
    err.print(text, style=style, soft_wrap=not err.is_terminal)


def remark_lines(text: str, style: str | None = None) -> None:
    """Print a text of several lines, such as a traceback, to stderr."""
    for line in text.splitlines():
        remark(line, style)


def suggest(**commands: tuple[str | Path, ...]) -> None:
    """Print what to type next to stderr, each after what it does, never wrapped.

    A command comes as its words after `gan-nas`, so that none can go unquoted.
    """
    if is_quiet():
        return
    err = console(stderr=True)
    width = max(map(len, commands))
    for purpose, words in commands.items():
        line = f"{purpose.replace('_', ' ').ljust(width)}  {command_line('gan-nas', *words)}"
        err.print(Text(line), style="dim", soft_wrap=True)


def lines(texts: Iterable[str]) -> Text:
    """Return a cell of several lines, or a result of several."""
    return Text("\n".join(map(visible, texts)))


def table(
    *columns: str | Text, numbers: Iterable[str | Text] = (), title: str | None = None
) -> Table:
    """Return an empty table; those columns that hold numbers are right-aligned."""
    right = list(numbers)
    made = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold cyan",
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def big(number: float) -> str:
    """Say 1765000000 as 1.765 G."""
    for unit, factor in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if abs(number) >= factor:
            return f"{number / factor:#.4g}".rstrip(".") + unit
    return f"{number:.4g}"


def mebibytes(number: float) -> str:
    """Say bytes in MiB or GiB."""
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"


def duration(seconds: float) -> str:
    """Say 4000 seconds as 1 h 6 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{seconds / 86_400:.1f} days"


def short_name(score: str) -> str:
    """Say frechet_distance[classifier] as distance, classifier_score as score, fid as fid."""
    return _without_kind(score.partition("[")[0])


def names_apart(scores: Iterable[str]) -> dict[str, str]:
    """Return short names of scores; where several judges give one, those after the first theirs."""
    names: dict[str, str] = {}
    for score in scores:
        short = short_name(score)
        names[score] = _without_kind(score) if short in names.values() else short
    return names


def _without_kind(score: str) -> str:
    return score.removeprefix("frechet_").removeprefix("classifier_")


def remark_log_records() -> None:
    """Send what the library logs, warnings and above, to stderr as remarks."""
    library = logging.getLogger("gan_nas")
    if not any(isinstance(handler, _Remarks) for handler in library.handlers):
        library.addHandler(_Remarks(logging.WARNING))


class _Remarks(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print the record as one sentence."""
        remark(f"{record.levelname.lower()}: {record.getMessage()}", style=WARNING)
