"""The data card of a table, in Markdown: what it holds, how it was made, what it does not show."""

from gan_nas.scoring.protocols import Passport
from gan_nas.trials.agreement import Summary, summarised
from gan_nas.trials.recipes import CHOSEN
from gan_nas.trials.table import Judge, Table

NUM_BEST = 10
NOTHING = "-"


def card(table: Table) -> str:
    """Write the card of a table; all numbers are computed from its rows."""
    recipe, summary = table.recipe, summarised(table, NUM_BEST)
    seeds = (
        f"{recipe.seeds} seeds each"
        if recipe.seeds == recipe.seeds_of_all
        else f"{recipe.seeds_of_all} seed(s) each, {recipe.share:.0%} of them, drawn at random, "
        f"{recipe.seeds}"
    )
    second = (
        f" A random {recipe.second_share:.0%} of them were trained in the framework "
        f"`{recipe.second_framework}` as well."
        if recipe.second_framework
        else ""
    )
    complete = (
        f"Complete: {summary.trials:,} trials."
        if table.is_complete
        else f"**Not complete: {summary.trials:,} of {table.planned:,} trials.** Seed 0 of all "
        "genomes comes first."
    )
    made = ", ".join(f"{name} {value}" for name, value in sorted(table.made.items()))
    failed = ", ".join(f"{number} {status}" for status, number in summary.failed.items())
    parts = [
        f"# {table.name}, version {recipe.version}",
        f"{len(table.genomes)} GANs, all of the space `{recipe.space}`, each trained on "
        f"{recipe.data} at {recipe.resolution} px, {seeds}, until the discriminator has seen "
        f"{recipe.images:,} real images, and scored at {len(table.moments) - 1} moments and "
        f"untrained.{second} {complete}",
        f"Licence of the numbers: {table.licence}. Made by `gan-nas table make {table.name}` on "
        f"{made}; {summary.processor_hours:.2f} hours of one core. Trials that came to no good "
        f"end are kept with how: {failed or 'there are none'}.",
        "## What it holds",
        "One JSON object with a hash of itself (`seal`), which loading checks; `gan-nas schema "
        "table` documents every field. `genomes` stand in the order of the space's generators, "
        "and a row has the number of its genome, framework, seed, status, seconds (with "
        "whatever else the machine did) and processor seconds of the whole training, and its "
        "`scores`: at each of the `moments`, the values of the `measures`. Multiply-adds are in "
        "the papers' order of operations.",
        "`gan-nas table show` summarises it, `gan-nas table export --to csv` gives one line for "
        "each trial and moment, `gan-nas table check` trains random rows anew.",
        "## How they were trained",
        f"AutoGAN's generators at width {recipe.width} against SN-GAN's discriminator at width "
        f"{recipe.discriminator_width}, framework `{recipe.framework}`, the preset demo of "
        f"`gan-nas retrain` with {', '.join(f'`{text}`' for text in recipe.training)}; the moving "
        "average of the generator's weights is scored. The seed decides weights, data order and "
        "latents.",
        *([CHOSEN[table.name]] if table.name in CHOSEN else []),
        "## Who judges",
        _judges(table),
        _passport(table.judges[0].passport),
        "## How far numbers agree",
        _moments(summary),
        f"Rank correlation of both judges' distances, of means over seeds: "
        f"{_said(summary.between_judges)}; of both frameworks: "
        f"{_said(summary.between_frameworks)}. Seeds alone let the logarithm of a distance "
        f"deviate by {_said(summary.seed_deviation)}.",
        "## The lowest mean distances",
        _best(summary),
        "## Limits",
        "Narrow generators, trained for seconds on small images: what is best here need not be "
        "best at the papers' widths and lengths. Distances are Fréchet distances of features of "
        "small classifiers of this very data, not FID, and are comparable only within this table "
        "and by equal passports. Both judges have learned from the same images. A genome has few "
        "seeds: a search that asks for one learns one draw of the noise.",
    ]
    return "\n\n".join(parts) + "\n"


def _judges(table: Table) -> str:
    heads = ["judge", "accuracy on held-out images", "fingerprint", "scores of real images"]
    return _markdown(heads, [_judge(judge) for judge in table.judges])


def _judge(judge: Judge) -> list[str]:
    accuracy = NOTHING if judge.accuracy is None else f"{judge.accuracy:.1%}"
    real = ", ".join(f"{name} {value:.3g}" for name, value in judge.real.items())
    return [f"`{judge.name}`", accuracy, f"`{judge.passport.weights}`", real]


def _passport(passport: Passport) -> str:
    return (
        f"Passport of all: {passport.num_fake:,} images against {passport.num_real} training "
        f"images of {passport.reference} (`{passport.reference_fingerprint}`, "
        f"{passport.real_resize}), {passport.resize} for the judge, {passport.quantise} of grey "
        f"levels, {passport.precision}, torch {passport.torch}, gan-nas {passport.gan_nas}."
    )


def _moments(summary: Summary) -> str:
    heads = ["real images", "median distance", "between seeds", "with the end"]
    return "Rank correlations (Spearman), of the first judge's distance:\n\n" + _markdown(
        heads,
        [
            [
                f"{moment.images:,}",
                _said(moment.median, 1),
                _said(moment.between_seeds),
                _said(moment.with_the_end),
            ]
            for moment in summary.moments
        ],
    )


def _best(summary: Summary) -> str:
    heads = ["genome", "cells", "parameters", "seeds", "mean", "deviation", "second judge"]
    return _markdown(
        heads,
        [
            [
                str(one.genome),
                "; ".join(one.words),
                f"{one.parameters:,}",
                str(one.seeds),
                f"{one.mean:.2f}",
                _said(one.deviation),
                _said(one.second),
            ]
            for one in summary.best
        ],
    )


def _said(value: float | None, digits: int = 2) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
