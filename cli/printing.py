"""How results reach stdout and remarks reach stderr."""

import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from gan_nas.protocols import is_distance


class _Console(Console):
    """A console that lets a broken pipe through: `main` answers it."""

    def on_broken_pipe(self) -> None:
        """Raise it again; rich would exit with 1, which means "different" here."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """Return a console for results or, on stderr, for everything else."""
    return _Console(stderr=stderr, highlight=False)


def show(*results: RenderableType) -> None:
    """Print results to stdout; texts are taken literally and never wrapped."""
    out = console()
    for result in results:
        out.print(result, markup=False, soft_wrap=isinstance(result, str))


def show_json(value: Any) -> None:
    """Print one JSON object to stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))  # noqa: T201 - stdout is for results


def remark(text: str, style: str | None = None) -> None:
    """Print a sentence to stderr: wrapped on a terminal, one line elsewhere."""
    err = console(stderr=True)
    with suppress(BrokenPipeError):  # nobody listens; the work goes on
        err.print(text, style=style, markup=False, soft_wrap=not err.is_terminal)


def suggest(**commands: str) -> None:
    """Print commands to type next to stderr, each after what it does; they are never wrapped."""
    err = console(stderr=True)
    width = max(map(len, commands))
    for purpose, command in commands.items():
        line = f"{purpose.replace('_', ' ').ljust(width)}  {command}"
        err.print(line, style="dim", markup=False, soft_wrap=True)


def table(*columns: str, numbers: Iterable[str] = (), title: str | None = None) -> Table:
    """Return an empty table; those columns that hold numbers are right-aligned."""
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
        made.add_column(column, justify="right" if column in numbers else "left")
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
    return score.partition("[")[0].removeprefix("frechet_").removeprefix("classifier_")


def by_importance(names: Iterable[str]) -> list[str]:
    """Put distances before scores, which say little alone."""
    return sorted(names, key=lambda name: not is_distance(name))


def remark_log_records() -> None:
    """Send what the library logs, warnings and above, to stderr as remarks."""
    library = logging.getLogger("gan_nas")
    if not any(isinstance(handler, _Remarks) for handler in library.handlers):
        library.addHandler(_Remarks(logging.WARNING))


class _Remarks(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print the record as one sentence."""
        remark(f"{record.levelname.lower()}: {record.getMessage()}", style="yellow")
