"""Tables for tests: a whole one whose numbers are made up, and settings of a tiny real one."""

from random import Random

from gan_nas.scoring.protocols import Passport
from gan_nas.trials.recipes import Recipe, find_recipe
from gan_nas.trials.table import Entry, Judge, RecordedTrial, Table

# Two genomes, one of them in both frameworks, steps of two images each: seconds in all.
TINY = (
    "only=2",
    "seeds=1",
    "width=4",
    "discriminator_width=4",
    "images=72",
    "second_share=0.5",
    "training=batch_size=2,generator_batch_size=2,num_scored=20,num_reference=50",
)
FAILED, EARLY = 7, 9  # genomes whose trials fail late, and before the first score
MEASURES = (
    "frechet_distance[classifier]",
    "classifier_score",
    "frechet_distance[residual]",
    "classifier_score[residual]",
)


def passport(backbone: str) -> Passport:
    return Passport(
        backbone=backbone,
        canonical=False,
        weights=f"hash of {backbone}",
        backbone_side=8,
        resize="bilinear",
        image_side=16,
        quantise="floor",
        num_fake=1000,
        num_real=1437,
        num_splits=1,
        reference="digits",
        reference_fingerprint="0",
        seed=None,
        precision="float32",
        torch="2",
        gan_nas="0",
    )


def made_up(recipe: Recipe | None = None) -> Table:
    """Return a table of all trials of a recipe: distances fall, with noise of the seed."""
    recipe = recipe or find_recipe("tied-digits")
    random, genomes, planned = Random(5), recipe.genomes(), recipe.planned()
    quality = [random.uniform(5, 40) for _ in genomes]
    moments = (0, *recipe.fidelities)
    rows = []
    for one in planned:
        good = quality[one.number] * random.uniform(0.95, 1.05)
        places = range(len(moments))
        scores = [(good + 20 - place, 2.0 + place, good + 21 - place, 3.0) for place in places]
        fails = one.number in (FAILED, EARLY)
        reached = {FAILED: 3, EARLY: 0}.get(one.number, len(moments))
        rows.append(
            RecordedTrial(
                genome=one.number,
                framework=one.framework,
                seed=one.seed,
                status="diverged" if fails else "completed",
                why="a loss is not finite" if fails else None,
                seconds=20.0,
                processor_seconds=10.0,
                scores=tuple(scores[:reached]),
            )
        )
    return Table(
        name="made-up",
        recipe=recipe,
        planned=len(planned),
        data_fingerprint="0",
        made={"threads": 1},
        judges=tuple(
            Judge(name=name, accuracy=0.9, passport=passport(name), real={})
            for name in recipe.judges
        ),
        moments=moments,
        measures=MEASURES,
        genomes=tuple(
            Entry(
                id=genome.genome_id,
                generator_id=genome.generator_id,
                words=tuple(genome.generator.words),
                parameters=1000 + number,
                macs=2000 + number,
            )
            for number, genome in enumerate(genomes)
        ),
        rows=tuple(rows),
    )
