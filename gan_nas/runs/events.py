"""What a line of a run's log tells: one schema for all methods, a kind of line for each event.

A line is a flat JSON object, so that a log is a table to whoever reads it. All lines have an event,
a step, images, seconds and a time stamp; what else a kind tells is its own. Logs of older versions
are not written like this; they are still read, line by line, for pictures and lists.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    RootModel,
    Tag,
)

Number = float | int | None  # None stands for what is not finite


class Line(BaseModel):
    """What every line tells."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    event: str
    """The kind of the line."""
    step: int = Field(ge=0)
    """How far the work is, as this kind counts: steps of the generator, iterations, trials; AutoGAN
    counts steps of the shared discriminator."""
    images: int = Field(ge=0)
    """Real images that have been trained on."""
    seconds: float = Field(ge=0)
    """Spent by the run so far, in all its sittings."""
    time: AwareDatetime
    """When it was written, in UTC."""


class Losses(Line):
    """Means of losses since the last such line, by names ending in _loss, and rates such as lr."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    event: Literal["losses"]


class Scored(Line):
    """Scores of a moment by their names, and the spread between images, in grey levels."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    event: Literal["scores"]


class Rewarded(BaseModel):
    """An architecture and its reward."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tokens: str
    """The controller's choices, a digit each; as many cells as the search has grown to."""
    cells: list[str]
    """The same in words."""
    reward: Number


class ControllerUpdate(Line):
    """An update of AutoGAN's controller: what it drew, the mean reward, entropy and loss."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number]

    event: Literal["controller"]
    iteration: int
    level: int
    """Cells that the search has grown to, less one."""
    update: int
    architectures: list[Rewarded]


class Candidates(Line):
    """Candidates that AutoGAN's controller was asked for at the end of a level, the best first."""

    event: Literal["candidates"]
    iteration: int
    level: int
    purpose: str
    architectures: list[Rewarded]


class Reset(Line):
    """AutoGAN's shared weights begin anew."""

    event: Literal["reset"]
    iteration: int
    level: int
    number: int
    """Of resets so far."""


class Architecture(Line):
    """The best architecture of a moment, and how undecided each edge is."""

    event: Literal["architecture"]
    generator: list[dict[str, str]]
    """The operations of each cell or stage, by edge."""
    discriminator: list[dict[str, str]] | None = None
    log_probability: Number = None
    histogram: dict[str, int] | None = None
    """How often each operation stands in it."""
    probabilities: dict[str, list[dict[str, Number]]] | None = None
    """Of these operations, by network, cell or stage, and edge."""
    entropies: dict[str, dict[str, Number]]
    """In nats, of each edge, by what decides it: alpha, beta."""
    highest_entropies: dict[str, Number] | None = None
    """The most that their mean can be, in nats, by what decides."""


class TrialEnded(Line):
    """A genome was judged, well or not."""

    event: Literal["trial"]
    trial: int
    """Its number, from 1."""
    id: str
    words: list[str]
    status: str
    fidelity: int
    """Real images that it was trained on."""
    parameters: int | None
    distance: Number = None
    latency_ms: Number = None


class Other(Line):
    """An event that a method of another distribution tells of."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]


KINDS: dict[str, type[Line]] = {
    "losses": Losses,
    "scores": Scored,
    "controller": ControllerUpdate,
    "candidates": Candidates,
    "reset": Reset,
    "architecture": Architecture,
    "trial": TrialEnded,
}


def _kind(line: Any) -> str:
    event = line.get("event") if isinstance(line, dict) else getattr(line, "event", None)
    return event if event in KINDS else "other"


class LogLine(
    RootModel[
        Annotated[
            Annotated[Losses, Tag("losses")]
            | Annotated[Scored, Tag("scores")]
            | Annotated[ControllerUpdate, Tag("controller")]
            | Annotated[Candidates, Tag("candidates")]
            | Annotated[Reset, Tag("reset")]
            | Annotated[Architecture, Tag("architecture")]
            | Annotated[TrialEnded, Tag("trial")]
            | Annotated[Other, Tag("other")],
            Discriminator(_kind),
        ]
    ]
):
    """A line of log.jsonl, of any kind."""


def line_of(event: str, seconds: float, values: dict[str, Any]) -> dict[str, Any]:
    """Return a line as JSON values, stamped with the time; an invalid one is a bug of ours."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"event": event, **values, "seconds": seconds, "time": stamp}
    KINDS.get(event, Other).model_validate(line)
    return line
