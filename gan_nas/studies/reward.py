"""What AutoGAN's controller is paid for: an inception-like score, or the distance (its Fig. 8)."""

from gan_nas.studies.contest import Contest, ContestConfig


class RewardConfig(ContestConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = (
        "autogan@reward=score",
        "autogan@reward=frechet",
        "random:autogan",
    )
    """Searches; the first is what the others are compared with. @KEY=VALUE changes a setting."""


class RewardStudy(Contest[RewardConfig]):
    """What `gan-nas study reward` runs."""

    name = "reward"
    question = "Does another reward find better genomes?"
    Config = RewardConfig


STUDY = RewardStudy()
