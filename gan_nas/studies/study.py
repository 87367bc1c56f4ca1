"""The contract of studies: a question, settings, and work that ends in rows, findings, a picture.

A study has a run directory. Its parts are runs of their own in there, so that the same command goes
on with it; at its end there are study.json, study.csv and study.png.
"""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from pydantic import Field, JsonValue

from gan_nas.configs import Settings
from gan_nas.data import Images
from gan_nas.files import write_atomically, write_json
from gan_nas.machine.processor import processor_name
from gan_nas.metrics.backbone import Backbone
from gan_nas.progress import Progress, silent
from gan_nas.runs.results import Result
from gan_nas.runs.run import Run, never
from gan_nas.versions import versions

PICTURE, TABLE, REPORT = "study.png", "study.csv", "study.json"


class StudyConfig(Settings):
    """What every study can be asked for."""

    seed: int = Field(default=0, ge=0)
    """Decides every random draw; of several seeds the first."""


class TableColumn(Result):
    """A column of the table: its name in rows, what it says, and how its numbers are written."""

    name: str
    words: str
    format: str = ".4g"


class Findings(Result):
    """What a study has come to."""

    columns: list[TableColumn]
    rows: list[dict[str, JsonValue]]
    """The table, a dictionary a row; null where a number is not known."""
    findings: list[str]
    """What follows from it, in sentences."""
    limits: list[str]
    """What it does not show."""


class StudyResult(Findings):
    """A study's report."""

    study: str
    question: str
    data: str | None = None
    """What images it was made on, if it needs any."""
    config: dict[str, JsonValue]
    date: str
    """On which it ended, year first."""
    machine: dict[str, JsonValue]
    """The processor, the device, and the versions of what computed."""
    files: dict[str, str]
    """Paths of the table and the picture; in result.json relative to the run."""

    def with_paths(self, changed: Callable[[str], str]) -> Self:
        """Return it with the paths of files changed."""
        files = {name: changed(file) for name, file in self.files.items()}
        return self.model_copy(update={"files": files})


CPU = torch.device("cpu")
C = TypeVar("C", bound=StudyConfig)


@dataclass(frozen=True, kw_only=True)
class StudyTask(Generic[C]):
    """What a study works on."""

    config: C
    directory: Path
    images: Images | None = None
    backbone: Backbone | None = None
    """Both are there where the study needs images."""
    device: torch.device = CPU
    jobs: int = 1
    """Trainings, or searches, at once."""
    executor: str = "local"
    """Where they are: a name of `trials.EXECUTORS`."""
    cache: Path | None = None
    data_root: Path | None = None
    """Where other data sets lie, if not in the usual place."""
    stop: Callable[[], bool] = never
    progress: Progress = silent

    @property
    def real(self) -> Images:
        """Return the images of a study that needs some."""
        assert self.images is not None, "this study needs images"
        return self.images

    @property
    def judge(self) -> Backbone:
        """Return what scores, in a study that needs images."""
        assert self.backbone is not None, "this study needs a backbone"
        return self.backbone


class Study(ABC, Generic[C]):
    """A question that a command answers; one instance serves all runs."""

    name: ClassVar[str]
    question: ClassVar[str]
    Config: type[C]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    needs_images: ClassVar[bool] = True

    def takes_images(self, config: C) -> bool:
        """Tell whether it needs images with these settings."""
        del config
        return self.needs_images

    @abstractmethod
    def check(self, task: StudyTask[C]) -> None:
        """Raise InvalidInput for what cannot be done, before a run is made."""

    def identity(self, task: StudyTask[C]) -> dict[str, JsonValue]:
        """Return what the run's settings tell beside the config."""
        if task.images is None:
            return {}
        return {**task.images.identity([]), **(task.backbone.identity if task.backbone else {})}

    @abstractmethod
    def work(self, task: StudyTask[C]) -> Findings:
        """Do all there is to do; raises Interrupted with what is done saved in the directory."""

    @abstractmethod
    def draw(self, findings: Findings, path: Path) -> None:
        """Write a picture of the findings as PNG."""


def run_study(study: Study[C], task: StudyTask[C]) -> StudyResult:
    """Run a study, or go on with it, and write its report."""
    study.check(task)
    settings = settings_of(study, task) | {"versions": versions()}
    with Run.open(task.directory, settings, task.stop) as run:
        if run.finished:
            return run.result(StudyResult)
        findings = study.work(task)
        picture, table = run.path(PICTURE), run.path(TABLE)
        study.draw(findings, picture)
        text = as_csv(findings.columns, findings.rows)
        write_atomically(table, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        result = StudyResult(
            **dict(findings),
            study=study.name,
            question=study.question,
            data=None if task.images is None else task.images.name,
            config=task.config.model_dump(mode="json"),
            date=datetime.now(UTC).date().isoformat(),
            machine={
                "processor": processor_name(),
                "device": str(task.device),
                **versions(),
            },
            files={"table": str(table), "picture": str(picture)},
        )
        write_json(run.path(REPORT), result.portable(run.directory).model_dump(mode="json"))
        return run.finish(result)


def settings_of(study: Study[C], task: StudyTask[C]) -> dict[str, Any]:
    """Return what a study is made of; another run directory is needed for anything else."""
    return {
        "method": f"study-{study.name}",
        **study.identity(task),
        "device": task.device.type,
        "config": task.config.model_dump(mode="json"),
    }


def number_in(row: Mapping[str, JsonValue], name: str) -> float:
    """Return a number of a row, which must be there."""
    value = row[name]
    assert isinstance(value, int | float), name
    return value


def numbers_in(row: Mapping[str, JsonValue], name: str) -> list[float]:
    """Return a row's list of numbers."""
    values = row[name]
    assert isinstance(values, list), name
    return [value for value in values if isinstance(value, int | float)]


def as_csv(columns: Sequence[TableColumn], rows: Sequence[Mapping[str, JsonValue]]) -> str:
    """Return a table as CSV: the names of the columns, then all digits; nothing for null."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [column.name for column in columns]
    writer.writerow(names)
    writer.writerows([row.get(name) for name in names] for row in rows)
    return text.getvalue()
