"""Progress on stderr: a live line for each phase on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isfinite

from rich.console import Console
from rich.live import Live
from rich.text import Text

from gan_nas.cli.printing import console, duration, short_name
from gan_nas.progress import Progress

LIVE_SECONDS = 0.125  # between two pictures of the live line
PLAIN_SECONDS = 5.0  # between two plain lines
BAR = 16  # characters


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """Lend a Progress that shows how far a phase is, its speed, the time left and some values."""
    lines = _Lines(console(stderr=True))
    try:
        yield lines
    finally:
        lines.end_phase()


class _Lines:
    """The phase that reports, and when it was last shown; its first and last report always are."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self.on_terminal = out.is_terminal and not out.is_dumb_terminal
        self.live: Live | None = None
        self.phase = ""
        self.first = self.done = self.total = 0
        self.values: Mapping[str, float] = {}
        self.started = self.shown = 0.0
        self.is_shown = True

    def __call__(self, phase: str, done: int, total: int, values: Mapping[str, float]) -> None:
        now = time.monotonic()
        if phase != self.phase or done < self.done:
            self.end_phase()
            self.phase, self.first, self.started, self.shown = phase, done, now, 0.0
        self.done, self.total, self.values, self.is_shown = done, total, dict(values), False
        if now - self.shown >= (LIVE_SECONDS if self.on_terminal else PLAIN_SECONDS):
            self._show(ended=False)

    def end_phase(self) -> None:
        """Show the phase's last report and leave it standing."""
        if self.phase and (self.on_terminal or not self.is_shown):
            self._show(ended=True)
        if self.live is not None:
            self.live.stop()
        self.live, self.phase = None, ""

    def _show(self, *, ended: bool) -> None:
        self.shown, self.is_shown = time.monotonic(), True
        line = self._line(ended)
        if not self.on_terminal:
            with suppress(BrokenPipeError):  # nobody listens; the work goes on
                self.out.print(line, soft_wrap=True)
        elif self.live is None:
            # No refreshing thread: training gets the whole machine.
            self.live = Live(line, console=self.out, auto_refresh=False, redirect_stdout=False)
            self.live.start(refresh=True)
        else:
            self.live.update(line, refresh=True)

    def _line(self, ended: bool) -> Text:
        """Compose phase, bar, done/total, speed, time and values, the most important first."""
        name, _, unit = self.phase.rpartition(" ")
        if not name or not unit.endswith("s"):
            name, unit = self.phase, ""
        line = Text(no_wrap=self.on_terminal, overflow="ellipsis")
        line.append(f"{name}  ", style="bold")
        if self.on_terminal:
            filled = BAR * self.done // max(1, self.total)
            line.append("━" * filled, style="green" if ended else "cyan")
            line.append("━" * (BAR - filled) + "  ", style="bright_black")
        line.append(f"{self.done:,}/{self.total:,}" + (f" {unit}" if unit else ""))
        for text in self._measured(ended):
            line.append(f" · {text}")
        for key, value in self.values.items():
            if not key.endswith("/s") and isfinite(value):
                line.append(f" · {short_name(key)} {_three_digits(value)}", style="dim")
        return line

    def _measured(self, ended: bool) -> Iterator[str]:
        """Yield speed and time, left or taken, as far as they are known."""
        seconds = time.monotonic() - self.started
        speed = (self.done - self.first) / seconds if seconds else 0.0
        told = next((value for key, value in self.values.items() if key.endswith("/s")), speed)
        if told > 0:
            yield f"{_three_digits(told)}/s"
        if ended:
            yield duration(seconds)
        elif speed > 0:
            yield f"{duration((self.total - self.done) / speed)} left"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
