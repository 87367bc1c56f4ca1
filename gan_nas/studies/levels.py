"""AutoGAN level by level with a beam, or all cells by one controller (its Fig. 10)."""

from gan_nas.studies.contest import Contest, ContestConfig


class LevelsConfig(ContestConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = (
        "autogan@levels=single",
        "autogan",
        "random:autogan",
    )
    """Searches; the first is what the others are compared with. @KEY=VALUE changes a setting."""


class LevelsStudy(Contest[LevelsConfig]):
    """What `gan-nas study levels` runs."""

    name = "levels"
    question = "Does searching level by level find better genomes than all cells at once?"
    Config = LevelsConfig


STUDY = LevelsStudy()
