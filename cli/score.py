"""`gan-nas score`: how good a generator is, by which measure, against what."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import backbone_for, compute_on
from gan_nas.cli.printing import by_importance, remark, show, show_json, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.errors import Incompatible, InvalidInput
from gan_nas.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from gan_nas.weights import GeneratorFile

IMAGES_PER_FEATURE = 5  # fewer leave the covariance of the features too rough to compare


def score(
    path: options.GeneratorPath,
    num: Annotated[
        int, typer.Option("-n", metavar="N", min=2, max=10**6, help="Images to generate.")
    ] = 10_000,
    seed: options.Seed = None,
    data: options.SameData = None,
    data_root: options.DataRoot = None,
    backbone: options.BackboneName = "classifier",
    splits: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Parts the score is averaged over.")
    ] = 1,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Score a generator file against the training images of its data.

    Numbers carry the name of their backbone: a classifier's are neither IS nor FID. The scores of
    real held-out images stand beside them. Only numbers of equal passports can be compared.
    """
    from gan_nas.data import cache_dir, load_images
    from gan_nas.scoring import Scorer, generate
    from gan_nas.weights import load_generator

    on = compute_on(device, threads)
    generator, about = load_generator(path, on)
    images = load_images(data or _data_of(about), data_root).to(on)
    if about.image_channels != images.channels:
        raise Incompatible(
            f"{path} makes images of {about.image_channels} channels and {images.name} has "
            f"{images.channels}: score it against the data it was trained on"
        )
    if not data and about.lineage.get("data_fingerprint") != images.fingerprint:
        remark(f"warning: {images.name} is not as it was when this was trained", style="yellow")
    with stopping() as stop, progress_on_stderr() as progress:
        judge = backbone_for(backbone, images, on, stop, progress)
        _warn_if_few(num, judge.embed(images.train[:1])[0].shape[1])
        scorer = Scorer(judge, images, about.resolution, splits, cache=cache_dir())
        fakes = generate(
            generator, num, about.genome.generator.latent_dim, seed or 0, on, stop=stop
        )
        values = scorer.score(_counted(fakes, num, progress))
        real = scorer.real
    passport = scorer.passport(num, seed or 0).model_dump(mode="json")
    if as_json:
        show_json({"scores": values, "real": real, "passport": passport})
    else:
        _show(about, values, real, passport)


def _data_of(about: "GeneratorFile") -> str:
    """Return the data set in the file's lineage."""
    name = about.lineage.get("data")
    if not isinstance(name, str):
        raise InvalidInput("this generator was never trained on data: name some with --data")
    return name


def _warn_if_few(num: int, num_features: int) -> None:
    enough = IMAGES_PER_FEATURE * num_features
    if num < enough:
        remark(
            f"warning: {num:,} images are few for {num_features} features, the distance comes out "
            f"too high; take at least {enough:,}",
            style="yellow",
        )


def _counted(batches: "Iterable[Tensor]", num: int, progress: Progress) -> "Iterator[Tensor]":
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress("scoring images", done, num, {})


def _show(
    about: "GeneratorFile",
    values: dict[str, float],
    real: dict[str, float],
    passport: dict[str, Any],
) -> None:
    columns = ("generated", "real, held out")
    rows = table("score", *columns, numbers=columns, title=about.genome.title)
    for name in by_importance(values):
        rows.add_row(name, f"{values[name]:.4g}", f"{real[name]:.4g}")
    show(rows, "")
    side, num, seed = passport["image_side"], passport["num_fake"], passport["seed"]
    show(
        f"{num:,} images of {side} px, seed {seed}, against {passport['num_real']:,} of "
        f"{passport['reference']}; backbone {passport['backbone']} {passport['weights']}"
    )
