"""Progress on stderr: a live line for each phase on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from re import findall

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gan_nas.cli.printing import console, duration, is_quiet, names_apart
from gan_nas.progress import AT, ENDED, LEFT, LEFT_OF_PHASE, Progress, silent

LIVE_SECONDS = 0.125  # between two pictures of the live line
PLAIN_SECONDS = 5.0  # between two plain lines
BAR = 16  # characters
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧"  # a picture a second


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """Lend a Progress that shows how far a phase is, its speed, the time left and some values.

    Quietly, it shows nothing.
    """
    if is_quiet():
        yield silent
        return
    lines = _Lines(console(stderr=True))
    try:
        yield lines
    finally:
        lines.end_all()


class _Lines:
    """What is shown: the row of the phase that reports and, side by side, those of other work."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self.on_terminal = out.is_terminal and not out.is_dumb_terminal
        self.live: Live | None = None
        self.rows: dict[str, _Row] = {}
        self.shown = 0.0

    def __call__(
        self,
        phase: str,
        done: int,
        total: int,
        values: Mapping[str, float],
        *,
        row: str = "",
    ) -> None:
        if phase == ENDED:
            if row in self.rows:
                self._end(row, values)
            return
        known = self.rows.get(row)
        if known is None or phase != known.phase or done < known.done:
            if known is not None and not row:
                self._end(row, known.values)
            self.rows[row] = known = _Row(row, phase, done)
        known.report(done, total, values)
        if self.on_terminal:
            if time.monotonic() - self.shown >= LIVE_SECONDS or known.shown == 0:
                known.shown = time.monotonic()
                self._draw()
        elif time.monotonic() - known.shown >= PLAIN_SECONDS:
            self._print(known.line(bar=False, ended=False))
            known.shown, known.is_shown = time.monotonic(), True

    def end_all(self) -> None:
        """Show the last report of all rows and leave them standing."""
        for name in list(self.rows):
            self._end(name, self.rows[name].values)
        if self.live is not None:
            self.live.stop()
        self.live = None

    def _end(self, name: str, values: Mapping[str, float]) -> None:
        """Leave a row's last report standing, above those that live on."""
        row = self.rows.pop(name)
        if not self.on_terminal:
            if not row.is_shown or name:
                row.values = dict(values)
                self._print(row.line(bar=False, ended=True))
            return
        row.values = dict(values)
        if not self.rows and self.live is not None:
            self.live.update(row.line(bar=True, ended=True), refresh=True)
            self.live.stop()
            self.live = None
            return
        self._draw()
        self.out.print(row.line(bar=True, ended=True))

    def _print(self, line: Text) -> None:
        self.out.print(line, soft_wrap=True)

    def _draw(self) -> None:
        """Show all rows on the terminal."""
        self.shown = time.monotonic()
        if self.live is None:
            # Drawn anew once a second, so that one sees it live while nothing reports: some
            # milliseconds of a core, and training gets the rest of the machine.
            self.live = Live(
                _Picture(self), console=self.out, refresh_per_second=1, redirect_stdout=False
            )
            self.live.start(refresh=True)
        else:
            self.live.refresh()


class _Picture:
    """All rows as they are when the picture is drawn, be it by the thread that refreshes it."""

    def __init__(self, lines: _Lines) -> None:
        self.lines = lines

    def __rich__(self) -> Group:
        # In the order of their names' numbers; what has no row of its own is the sum, and last.
        rows = sorted(
            self.lines.rows.values(),
            key=lambda row: (not row.name, [int(n) for n in findall(r"\d+", row.name)]),
        )
        return Group(*(row.line(bar=True, ended=False) for row in rows))


class _Row:
    """A phase: how far it is, since when it is shown, and its values."""

    def __init__(self, name: str, phase: str, first: int) -> None:
        self.name, self.phase, self.first = name, phase, first
        self.started, self.shown, self.is_shown = time.monotonic(), 0.0, False
        self.reported = self.started
        self.done = self.total = 0
        self.values: Mapping[str, float] = {}

    def report(self, done: int, total: int, values: Mapping[str, float]) -> None:
        """Take in a report."""
        self.done, self.total, self.values, self.is_shown = done, total, dict(values), False
        self.reported = time.monotonic()

    def line(self, *, bar: bool, ended: bool) -> Text:
        """Compose phase, bar, done/total, speed, time and values, the most important first."""
        name, _, unit = self.phase.rpartition(" ")
        if not name or not unit.endswith("s"):
            name, unit = self.phase, ""
        if self.name:
            name = f"{self.name}: {name}"
        line = Text(no_wrap=bar, overflow="ellipsis")
        if bar and not ended:
            line.append(f"{SPINNER[int(time.monotonic()) % len(SPINNER)]} ", style="cyan")
        line.append(f"{name}  ", style="bold")
        if bar:
            filled = BAR * self.done // max(1, self.total)
            line.append("━" * filled, style="green" if ended else "cyan")
            line.append("━" * (BAR - filled) + "  ", style="bright_black")
        line.append(f"{self.done:,}/{self.total:,}" + (f" {unit}" if unit else ""))
        for text in self._measured(ended):
            line.append(f" · {text}")
        names = names_apart(key.partition(AT)[0] for key in self.values)
        for key, value in self.values.items():
            if not key.endswith("/s") and key not in (LEFT, LEFT_OF_PHASE) and isfinite(value):
                name, at, moment = key.partition(AT)
                said = f"{names[name]} {_three_digits(value)}{at}{moment}"
                line.append(f" · {said}", style="dim")
        return line

    def _measured(self, ended: bool) -> Iterator[str]:
        """Yield speed and time, left or taken, as far as they are known.

        What passes after a report is not left any more. Where nothing tells the time left it is
        said how long the phase takes already.
        """
        now = time.monotonic()
        seconds, since = now - self.started, now - self.reported
        spent = self.reported - self.started
        speed = (self.done - self.first) / spent if spent else 0.0
        told = next((value for key, value in self.values.items() if key.endswith("/s")), speed)
        if told > 0:
            yield f"{_three_digits(told)}/s"
        if ended:
            yield duration(seconds)
            return
        of_phase = self.values.get(LEFT_OF_PHASE)
        left = self.values.get(LEFT, of_phase)
        pace = speed or self.values.get(f"{self.phase.rpartition(' ')[2]}/s", 0.0)
        if left is None and pace > 0:
            left = (self.total - self.done) / pace
        if left is not None:
            where = "" if of_phase is None else " in this phase"
            yield f"{duration(max(0.0, left - since))} left{where}"
        elif since >= 1:
            yield f"for {duration(seconds)}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
