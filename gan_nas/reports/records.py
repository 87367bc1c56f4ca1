"""What a run has left, read for a report: a search, a training, a study, finished or not.

Directories come from strangers: links are refused, models check what is read, and what cannot be
read is said in the report rather than believed.
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from gan_nas.errors import GanNasError, InvalidInput
from gan_nas.runs.folders import OUTCOME, RESULT, check_entries
from gan_nas.runs.results import ReconstructionResult, SearchResult, TrainingResult
from gan_nas.runs.run import read_log
from gan_nas.runs.stored import Failure, read_config, read_outcome, read_result
from gan_nas.scoring.protocols import Passport
from gan_nas.spaces.genome import Genome, read_genome
from gan_nas.studies.study import StudyResult

MOST_GENOMES = 50  # of a search's table and drawings, the best ones
ID = re.compile("[0-9a-f]{10}")
STUDY = "study-"
RESULTS: dict[str, type[BaseModel]] = {
    "training": TrainingResult,
    "reconstruction": ReconstructionResult,
    "study": StudyResult,
    "search": SearchResult,
}

logger = logging.getLogger(__name__)


class Record(NamedTuple):
    """A run as it was found."""

    directory: Path
    run_id: str
    kind: str
    """One of RESULTS."""
    method: str
    settings: Mapping[str, Any]
    result: BaseModel | None
    """None of a run that has not ended."""
    failure: Failure | None
    log: list[dict[str, Any]]
    genomes: list[Genome]
    """That of a training; of a search those that it found, the best first."""
    troubles: list[str]
    """What could not be read, in sentences."""

    @property
    def name(self) -> str:
        """Return what the run is called: its directory's name."""
        return self.directory.resolve().name

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the settings of its method."""
        config = self.settings.get("config")
        return config if isinstance(config, dict) else {}

    @property
    def data(self) -> str:
        """Return the name of its data, if it has any."""
        return str(self.settings.get("data", ""))

    @property
    def state(self) -> str:
        """Say how far it has come."""
        if self.failure is not None:
            return self.failure.outcome
        return "under way or interrupted" if self.result is None else "finished"

    @property
    def side(self) -> int:
        """Return the side of its images in pixels; that of a small one where it is not told."""
        places = (self.settings.get("resolution"), self.config.get("resolution"))
        known = (*places, self.settings.get("image_side"))
        return next((side for side in known if type(side) is int and 1 <= side <= 1024), 32)

    @property
    def channels(self) -> int:
        """Return the channels of its images, as far as they are told."""
        told = self.settings.get("image_channels")
        if type(told) is int and 1 <= told <= 4:
            return told
        return 1 if "grey" in str(self.settings.get("data_summary", "")) else 3

    @property
    def passport(self) -> Passport | None:
        """Return the protocol behind its scores."""
        return getattr(self.result, "passport", None)

    @property
    def real(self) -> Mapping[str, float]:
        """Return the scores of real images that were held out."""
        return getattr(self.result, "real", {})

    @property
    def pictures(self) -> list[Path]:
        """List its grids of samples, the earliest first."""
        return sorted((self.directory / "samples").glob("*.png"))


def read_record(directory: Path) -> Record:
    """Read a run directory, and change nothing in it.

    Raises InvalidInput for a directory that is no run's, or holds links; Incompatible for a result
    of another version.
    """
    check_entries(directory)
    run_id, settings = read_config(directory)
    method = str(settings.get("method", ""))
    if method == "table":
        raise InvalidInput(
            f"{directory} makes a table of trials, and a report shows searches, trainings and "
            "studies: use gan-nas table pack, then gan-nas table show"
        )
    kinds = {"retrain": "training", "reconstruct": "reconstruction"}
    kind = "study" if method.startswith(STUDY) else kinds.get(method, "search")
    finished = (directory / RESULT).exists()
    result = read_result(directory, RESULTS[kind]) if finished else None
    failed = not finished and (directory / OUTCOME).exists()
    troubles: list[str] = []
    return Record(
        directory=directory,
        run_id=run_id,
        kind=kind,
        method=method.removeprefix(STUDY),
        settings=settings,
        result=result,
        failure=read_outcome(directory) if failed else None,
        log=read_log(directory),
        genomes=_genomes(directory, settings, result, troubles),
        troubles=troubles,
    )


def _genomes(
    directory: Path, settings: Mapping[str, Any], result: BaseModel | None, troubles: list[str]
) -> list[Genome]:
    """Return the genomes of a run that can be read; of a search under way the newest one."""
    if "genome" in settings:
        try:
            return [Genome.model_validate_json(json.dumps(settings["genome"]))]
        except (ValidationError, GanNasError, ValueError):
            troubles.append("The genome in config.json cannot be read by this version of gan-nas.")
            return []
    paths = []
    if isinstance(result, SearchResult):
        ids = [row.id for row in result.genomes[:MOST_GENOMES] if ID.fullmatch(row.id)]
        paths = [directory / "genomes" / f"{one}.json" for one in ids]
    else:
        paths = sorted((directory / "history").glob("*.json"))[-1:]
    genomes = []
    for path in paths:
        try:
            genomes.append(read_genome(path))
        except InvalidInput as error:
            troubles.append(f"{error}.")
        except GanNasError as error:
            troubles.append(f"{path.name}: {error}.")
    return genomes
