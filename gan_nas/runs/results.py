"""What work leaves behind: frozen models, whose dumps are result.json and the answers to --json.

Their JSON Schema is their documentation. Results of the first release are read as well: a search's
own numbers stood beside the others then.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from gan_nas.formats.left import anchored, relative
from gan_nas.scoring.protocols import Compared, Passport

MOST = 1 << 63  # no number that is counted is so large, and floats hold every one below
Values = dict[str, Annotated[int, Field(gt=-MOST, lt=MOST)] | float]
# Where the numbers of the first release's searches stand now.
FACTS = ("reward", "resets", "entropy", "histogram")
FOUND = frozenset({"id", "file", "words", "parameters", "macs", "values", "scores"})


class Result(BaseModel):
    """The base: never changed, finite numbers."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    def portable(self, run: Path) -> Self:
        """Return it with paths relative to its run, as it is written there: runs can be moved."""
        return self.with_paths(partial(relative, run))

    def placed(self, run: Path) -> Self:
        """Return it with paths that lead to the files where its run is now."""
        return self.with_paths(lambda file: str(anchored(run, file)))

    def with_paths(self, changed: Callable[[str], str]) -> Self:
        """Return it with all paths changed; most results have none."""
        del changed
        return self


class Found(Result):
    """A genome that a search found."""

    id: str
    """Of generator and discriminator."""
    file: str
    """Path of its JSON file; in result.json relative to the run."""
    words: list[str]
    """Its cells or stages in a few words."""
    parameters: int
    """Trained weights of the generator; or of the discriminator, where these are searched."""
    macs: int
    """Multiply-adds of the same network for an image, in the papers' order."""
    values: Values
    """What the method ranks by, the first decides: a reward, a log-probability."""
    scores: Values = {}
    """Of its images on shared weights, where the method scores them."""

    @model_validator(mode="before")
    @classmethod
    def _of_the_first_release(cls, row: Any) -> Any:
        if not isinstance(row, dict) or "values" in row:
            return row
        values = {name: value for name, value in row.items() if name not in FOUND}
        return {name: row[name] for name in row.keys() & FOUND} | {"values": values}


class Conclusion(Result):
    """What a search tells at its end beside its genomes."""

    supernet: Values = {}
    """Scores or losses of all operations mixed."""
    deviations: Values = {}
    """Standard deviations of the best genome's values over other latents."""
    real: Values = {}
    """Scores of real images that were held out."""
    compared: Compared | None = None
    """The supernet's, or the best genome's, images beside those."""
    passport: Passport | None = None
    """The protocol behind all scores."""
    facts: dict[str, JsonValue] = {}
    """The method's own: entropies of edges, resets."""


class SearchResult(Conclusion):
    """What a search, or the derivation from it, found."""

    method: str
    run: str
    """Path of the run directory, which in result.json is that it lies in."""
    resolution: int
    """Side of the images, in pixels."""
    genomes: list[Found]
    """The best first."""
    seconds: float
    """Spent by the search, in all its sittings."""

    def placed(self, run: Path) -> Self:
        """Return it with paths that lead to the files where its run is now."""
        return super().placed(run).model_copy(update={"run": str(run)})

    def portable(self, run: Path) -> Self:
        """Return it with paths relative to its run, as it is written there."""
        return super().portable(run).model_copy(update={"run": "."})

    def with_paths(self, changed: Callable[[str], str]) -> Self:
        """Return it with the paths of genomes changed."""
        rows = [row.model_copy(update={"file": changed(row.file)}) for row in self.genomes]
        return self.model_copy(update={"genomes": rows})

    @model_validator(mode="before")
    @classmethod
    def _of_the_first_release(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "facts" in content:
            return content
        facts = {name: content[name] for name in FACTS if name in content}
        now = {name: value for name, value in content.items() if name not in FACTS}
        now["facts"] = facts
        if "reward_deviation" in content:
            now["deviations"] = {"reward": content["reward_deviation"]}
        if "loss" in content:
            now["supernet"] = {"loss": content["loss"]}
        if isinstance(now.get("supernet"), dict):
            now["supernet"] = {
                name: value
                for name, value in now["supernet"].items()
                if name not in ("step", "images")
            }
        return now


class ReconstructionResult(Result):
    """The result of training one genome's generator by reconstruction."""

    method: str = "reconstruct"
    genome_id: str
    name: str
    loss: float
    """Mean over evenly spaced images."""
    iterations: int
    seconds: float


class TrainingResult(Result):
    """The result of training a genome."""

    genome_id: str
    name: str
    inherited_from: dict[str, JsonValue] | None = None
    """Where the first weights come from, if not from a seed."""
    steps: int
    images: int
    """Real images that the discriminator has seen."""
    seconds: float
    processor_seconds: float = 0.0
    """What of the CPU's time went into it; 0 where an older version trained it."""
    images_per_second: float
    first: Values
    """Scores before the first step, with step and images."""
    best: Values
    """Scores of the lowest distance."""
    last: Values
    scores: list[Values] = []
    """Those of every moment; runs of the first release tell only the three above."""
    real: Values
    """Scores of real images that were held out."""
    compared: Compared | None = None
    """As many images of the last weights beside those."""
    passport: Passport
    files: dict[str, str]
    """Paths of the generators of the last weights and of the best; in result.json relative to the
    run."""

    def with_paths(self, changed: Callable[[str], str]) -> Self:
        """Return it with the paths of generators changed."""
        files = {name: changed(file) for name, file in self.files.items()}
        return self.model_copy(update={"files": files})


class Plan(Result):
    """What a run would do and need."""

    config: dict[str, JsonValue]
    sizes: dict[str, int | dict[str, int]]
    """Of the space and of networks: numbers of architectures, of parameters, a network's cost."""
    steps: int
    images: int
    """Real images that pass in these steps."""
    memory_bytes: int
    """The most memory, beyond the libraries: the process', or on a GPU the GPU's."""
    predicted_seconds: float
    """Of the steps on this device, without scoring."""
