"""What a run's JSON files hold, read from the disk: perhaps another version's, or a stranger's."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from gan_nas.data import Preparation
from gan_nas.errors import FailedOutcome, GanNasError, Incompatible, InvalidInput, explain
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.left import read_object
from gan_nas.metrics.classifier import JUDGES
from gan_nas.runs.folders import CONFIG, OUTCOME, RESULT
from gan_nas.runs.results import Result

ABOUT = ("command", "machine", "judge")  # what a config tells that decides nothing

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)


class Failure(BaseModel):
    """How a run failed: outcome.json."""

    outcome: FailedOutcome
    why: str
    good_step: int | None = None
    """The last step that was known to be good."""


def stored_config(directory: Path) -> dict[str, Any]:
    """Read the settings a run was made with, its versions among them.

    Raises InvalidInput for a directory that is no run's.
    """
    return read_config(directory)[1]


def stored_settings(directory: Path, stored: Mapping[str, Any], model: type[M]) -> M:
    """Return the "config" of stored settings as this version's; absent fields get their defaults.

    Raises Incompatible for fields and values that this version does not know.
    """
    return _as(model, stored.get("config"), f"the config in {directory / CONFIG}", stored)


def stored_images(directory: Path, stored: Mapping[str, Any]) -> tuple[str, int, int]:
    """Return name, side and channels of the images that stored settings tell.

    Raises Incompatible when they are missing.
    """
    images = _as(_Images, stored, str(directory / CONFIG), stored)
    return images.data, images.image_side, images.image_channels


def stored_data(directory: Path) -> "StoredData":
    """Return which data a run was made of, and how they were prepared."""
    stored = stored_config(directory)
    return _as(StoredData, stored, str(directory / CONFIG), stored)


def stored_judge(directory: Path) -> tuple[list[Path], str | None]:
    """Return where a run may keep the classifier that judges it, and what fingerprint it has.

    The run may be one that is still to be made.
    """
    wanted = None
    if os.path.lexists(directory / CONFIG):
        wanted = stored_config(directory).get("backbone")
    folders = (directory, directory / "retrained")
    kept = [folder / name for name in JUDGES.values() for folder in folders]
    return kept, wanted if isinstance(wanted, str) else None


class _Side(BaseModel):
    resolution: int | None = Field(default=None, ge=1, le=1024)


class StoredData(BaseModel):
    """The name or path of a run's data, and what was asked for when they were loaded."""

    data: str
    preparation: Preparation = Preparation()
    config: _Side

    @property
    def side(self) -> int | None:
        """Return the side that images of a path were brought to; None left them at their own."""
        return self.config.resolution


class _Images(BaseModel):
    data: str
    image_side: int = Field(ge=1, le=1024)
    image_channels: int = Field(ge=1, le=4)


def read_config(directory: Path) -> tuple[str, dict[str, Any]]:
    """Return a run's id and its settings."""
    refuse_foreign(directory, Wanted.RUN, Kind.RUN, Kind.FOLDER)
    if not os.path.lexists(directory / CONFIG):
        raise InvalidInput(f"{directory} is not a run directory: it holds no {CONFIG}")
    config = read_object(directory / CONFIG)
    run_id = config.pop("run_id", None)
    if not isinstance(run_id, str):
        raise InvalidInput(f"{directory / CONFIG} is not a run's: it has no run_id")
    return run_id, config


def read_result(directory: Path, kind: type[M], name: str = RESULT) -> M:
    """Return a finished run's result; raises Incompatible when it is not one of this kind.

    By another `name` that of a length from which the run has gone on.
    """
    content = read_object(directory / name)
    found = _as(kind, content, f"the result in {directory / name}", read_config(directory)[1])
    return found.placed(directory) if isinstance(found, Result) else found


def read_outcome(directory: Path) -> Failure:
    """Return how a run has failed."""
    path = directory / OUTCOME
    return _as(Failure, read_object(path), str(path), read_config(directory)[1])


def _as(model: type[M], content: object, what: str, settings: Mapping[str, Any]) -> M:
    """Read what a run's file holds as this version's model of it."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        versions = settings.get("versions")
        made_by = versions.get("gan_nas") if isinstance(versions, dict) else None
        raise Incompatible(
            f"{what} is not as this version of gan-nas writes it: "
            f"{explain(error, list(model.model_fields))}; it was made by version "
            f"{made_by or 'unknown'}, use that one"
        ) from error


def _completed(stored: Mapping[str, Any], absent: Mapping[str, Any]) -> dict[str, Any]:
    """Add what is not stored, in nested objects too."""
    completed = dict(stored)
    for key, value in absent.items():
        known = completed.get(key)
        if key not in completed:
            completed[key] = value
        elif isinstance(value, Mapping) and isinstance(known, dict):
            completed[key] = _completed(known, value)
    return completed


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List every difference of two JSON objects as `name: old -> new`."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changes += _changes(before, after, f"{prefix}{key}.")
        elif before != after or (key in old) != (key in new):
            changes.append(f"{prefix}{key}: {_said(old, key)} -> {_said(new, key)}")
    return changes


def _said(values: Mapping[str, Any], key: str) -> str:
    text = json.dumps(values[key]) if key in values else "absent"
    return text if len(text) <= 60 else text[:57] + "..."


def check_settings(
    directory: Path,
    stored: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    absent: Mapping[str, Any] | None = None,
    ignoring: tuple[str, ...] = (),
) -> None:
    """Raise Incompatible when a run was made with other settings; warn of other versions.

    `absent` says what a setting stood for that is not stored, `ignoring` names what may differ.
    """
    changes = changed_settings(stored, config, absent=absent, ignoring=ignoring)
    before, now = stored.get("versions", {}), config.get("versions", {})
    if changes:
        raise Incompatible(
            f"{directory} was made with other settings ({', '.join(changes)}); choose another run "
            "directory for the new ones, or move this one away"
        )
    for change in _changes(before if isinstance(before, dict) else {}, now):
        what = "number of CPU threads" if change.startswith("threads: ") else "version"
        logger.warning("%s was made with another %s: %s", directory, what, change)


def changed_settings(
    stored: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    absent: Mapping[str, Any] | None = None,
    ignoring: tuple[str, ...] = (),
) -> list[str]:
    """List in which settings a stored config differs, as `name: old -> new`; see `check_settings`.

    Where, when and by what it was computed does not matter.
    """
    stored = _completed(stored, absent or {})
    asked = json.loads(json.dumps(dict(config)))  # tuples become lists, as they did on the disk
    known = {"versions", "data_summary", *ABOUT, *ignoring}
    if stored.get("data_fingerprint", "") == asked.get("data_fingerprint"):
        known.add("data")  # the same pixels under another name
    return _changes(
        {key: value for key, value in stored.items() if key not in known},
        {key: value for key, value in asked.items() if key not in known},
    )


@contextmanager
def as_written(directory: Path) -> Iterator[None]:
    """Explain what a checkpoint or an outcome lacks: one of another version, or of a stranger."""
    try:
        yield
    except GanNasError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" in str(error):
            raise
        raise Incompatible(
            f"what is stored in {directory} is not as this version of gan-nas writes it "
            f"({type(error).__name__}: {error}); use the version it was made with, or choose "
            "another run directory"
        ) from error
