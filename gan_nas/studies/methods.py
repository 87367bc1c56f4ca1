"""All ways to search at equal time, beside genomes that are just drawn: who beats random search?"""

from collections.abc import Sequence

from gan_nas.studies.contest import Contest, ContestConfig
from gan_nas.studies.searches import RANDOM, Contender


class MethodsConfig(ContestConfig):
    """Settings of the comparison."""

    searches: tuple[str, ...] = (
        *("draw:autogan", "random:autogan", "evolution:autogan", "nsga2:autogan"),
        *("halving:autogan", "autogan", "draw:adversarialnas", "random:adversarialnas"),
        *("adversarialnas", "draw:degas", "random:degas", "degas"),
    )
    """What is compared: METHOD, or METHOD:SPACE where it searches any; draw:SPACE takes a genome at
    random, without a search. @KEY=VALUE behind it changes a setting, as in degas@lr=0.1."""


class MethodsStudy(Contest[MethodsConfig]):
    """What `gan-nas study methods` runs."""

    name = "methods"
    question = "Which way to search finds better genomes than a random draw, in equal time?"
    Config = MethodsConfig

    def baselines(self, searches: Sequence[Contender]) -> dict[Contender, Contender]:
        """Return random search in its space for each search, where that is among them."""
        random = {one.space: one for one in searches if one == Contender(RANDOM, one.space)}
        return {one: random[one.space] for one in searches if random.get(one.space, one) != one}


STUDY = MethodsStudy()
