"""AutoGAN's dynamic reset, with the time it saves (its Fig. 9)."""

from pydantic import Field

from gan_nas.studies.contest import Contest, ContestConfig


class ResetConfig(ContestConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = (
        "autogan@reset_threshold=0",
        "autogan",
        "autogan@reset_threshold=0.1",
    )
    """Searches; the first, which never resets, is what the others are compared with."""
    seconds: float | None = Field(default=None, gt=0)
    """Of one CPU thread, for a search; none: as long as its preset says, so that times differ."""


class ResetStudy(Contest[ResetConfig]):
    """What `gan-nas study reset` runs."""

    name = "reset"
    question = "Does the dynamic reset save time, and at what price?"
    Config = ResetConfig


STUDY = ResetStudy()
