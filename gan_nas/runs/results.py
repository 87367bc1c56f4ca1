"""What result.json holds, as far as others read it; a search's and a training's own kinds."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue


class Result(BaseModel):
    """The base: further fields are kept, numbers are finite."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    seconds: float


class FoundGenome(BaseModel):
    """A genome that a search found, with its cost."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    id: str
    file: str
    words: list[str]
    parameters: int
    macs: int


class Rewarded(FoundGenome):
    """A genome with what it earned on shared weights."""

    reward: float
    scores: dict[str, float]


class LogProbable(FoundGenome):
    """A genome with its log-probability under alpha."""

    log_probability: float


class LogOdd(FoundGenome):
    """A genome with its log-odds under alpha, and its loss on the shared weights."""

    log_odds: float
    loss: float


class AutoGANResult(Result):
    """The result of a search by AutoGAN."""

    method: Literal["autogan"]
    resolution: int
    genomes: list[Rewarded]
    reward: Literal["score", "frechet"]
    reward_deviation: float
    real: dict[str, float]
    passport: dict[str, JsonValue]


class AdversarialNASResult(Result):
    """The result of a search by AdversarialNAS."""

    method: Literal["adversarialnas"]
    resolution: int
    genomes: list[LogProbable]
    entropy: dict[str, float]
    supernet: dict[str, float]
    real: dict[str, float]
    passport: dict[str, JsonValue]


class DEGASResult(Result):
    """The result of a search by DEGAS."""

    method: Literal["degas"]
    resolution: int
    genomes: list[LogOdd]
    entropy: dict[str, float]
    loss: float


class ReconstructionResult(Result):
    """The result of training a genome by reconstruction."""

    method: Literal["reconstruct"]
    loss: float
    iterations: int


class TrainingResult(Result):
    """The result of training a genome."""

    inherited_from: dict[str, JsonValue] | None = None
    steps: int
    images: int
    images_per_second: float
    first: dict[str, float]
    best: dict[str, float]
    last: dict[str, float]
    real: dict[str, float]
    passport: dict[str, JsonValue]
    files: dict[str, str]
