"""What an export tells of its generator: genome, lineage, scores and their passport."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from gan_nas.errors import Incompatible, explain
from gan_nas.files import read_text
from gan_nas.formats.foreign import Kind, Wanted, identify, refuse_foreign
from gan_nas.formats.left import generator_file
from gan_nas.networks.weights import CONFIG_LIMIT, FOLDER_CONFIG, Generator, GeneratorFile
from gan_nas.runs.folders import RESULT
from gan_nas.runs.results import TrainingResult, Values
from gan_nas.runs.stored import read_result
from gan_nas.scoring.protocols import Passport, Scores
from gan_nas.spaces.genome import Genome
from gan_nas.training.units import BEST, LAST

KEY = "gan_nas"  # of the metadata of ONNX's and PyTorch's files
MOMENT = ("step", "images")


class Measured(BaseModel):
    """Scores of a generator, those of real images that were held out, and the protocol of both."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scores: dict[str, float]
    real: dict[str, float] = {}
    passport: Passport


class Told(NamedTuple):
    """What is known of a generator beside its file."""

    measured: Measured | None = None
    licence: str | None = None


class Exported(BaseModel):
    """The config.json of a folder, and the metadata of a program."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model_type: Literal["gan-nas"] = "gan-nas"
    gan_nas: str = Field(description="the version that wrote it")
    genome: Genome
    genome_id: str
    resolution: int = Field(description="pixels along a side of an image")
    image_channels: int
    latent_dim: int = Field(description="length of a latent of N(0, 1)")
    lineage: dict[str, JsonValue] = Field(description="data, method, steps, settings ...")
    sha256: str = Field(description="names, dtypes, shapes and values of the weights")
    licence: str | None = Field(description="of the weights, as the Hugging Face Hub names it")
    measured: Measured | None


def describe(
    generator: Generator, measured: Measured | None = None, licence: str | None = None
) -> Exported:
    """Say what a generator is; raises Incompatible for scores of images of another side."""
    about = generator.about
    if measured is not None and measured.passport.image_side != about.resolution:
        raise Incompatible(
            f"the scores are of images of {measured.passport.image_side} px, the generator makes "
            f"{about.resolution} px: name its own scores"
        )
    return Exported(
        gan_nas=version("gan-nas"),
        genome=about.genome,
        genome_id=about.genome.genome_id,
        resolution=about.resolution,
        image_channels=about.image_channels,
        latent_dim=generator.latent_dim,
        lineage=about.lineage,
        sha256=about.sha256,
        licence=licence,
        measured=measured,
    )


def to_text(exported: Exported) -> str:
    """Return JSON in ASCII, whose bytes follow from its content."""
    return json.dumps(exported.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def generator_path(source: Path) -> Path:
    """Return the generator file to export: of a run that of its best scores."""
    path = generator_file(source)
    refuse_foreign(path, Wanted.GENERATOR, Kind.GENERATOR)
    return path


def measured_by(scores: Scores) -> Measured:
    """Return what a file of scores tells."""
    return Measured(scores=scores.scores, real=scores.real, passport=scores.passport)


def told_beside(path: Path, about: GeneratorFile) -> Told:
    """Return what the exported folder, or the finished training, that holds a generator tells.

    No scores where it lies elsewhere, the training goes on, or the file is of another moment.
    """
    if path.is_dir():
        return _told_in_folder(path / FOLDER_CONFIG)
    run = path.parent
    if path.name not in (BEST, LAST) or identify(run).kind != Kind.RUN:
        return Told()
    if about.lineage.get("method") != "retrain" or not (run / RESULT).is_file():
        return Told()
    result = read_result(run, TrainingResult)
    values: Values = result.best if path.name == BEST else result.last
    moment = about.lineage.get("steps"), about.genome.genome_id
    if moment != (values.get("step"), result.genome_id):
        return Told()
    scores = {name: value for name, value in values.items() if name not in MOMENT}
    return Told(Measured(scores=scores, real=result.real, passport=result.passport))


def _told_in_folder(path: Path) -> Told:
    try:
        told = Exported.model_validate_json(read_text(path, CONFIG_LIMIT))
    except ValidationError as error:
        reason = explain(error, list(Exported.model_fields))
        raise Incompatible(
            f"{path} is not as this version of gan-nas writes it: {reason}"
        ) from error
    return Told(told.measured, told.licence)
