"""What AdversarialNAS' generator is searched against (its Table 3: SingalNAS)."""

from gan_nas.studies.contest import Contest, ContestConfig


class DiscriminatorConfig(ContestConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = (
        "adversarialnas@discriminator=sn_resnet",
        "adversarialnas@discriminator=super",
        "adversarialnas@discriminator=autogan_grown",
        "adversarialnas",
        "random:adversarialnas",
    )
    """Searches; the first is what the others are compared with. @KEY=VALUE changes a setting."""


class DiscriminatorStudy(Contest[DiscriminatorConfig]):
    """What `gan-nas study discriminator` runs."""

    name = "discriminator"
    question = "Does it help to search the discriminator, too?"
    Config = DiscriminatorConfig


STUDY = DiscriminatorStudy()
