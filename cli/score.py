"""`gan-nas score`: how good a generator, or a folder of images, is, by which measure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.escapes import visible
from gan_nas.cli.inputs import backbone_for, compute_on, load_data, prepared
from gan_nas.cli.printing import by_importance, remark, show, show_json, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.errors import Incompatible, InvalidInput, explain
from gan_nas.files import write_text
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.progress import Progress
from gan_nas.scoring.protocols import PROTOCOLS, Protocol, Quantise, Scores, find_protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gan_nas.data import Images, Preparation
    from gan_nas.metrics.backbone import Backbone
    from gan_nas.networks.weights import GeneratorFile
    from gan_nas.scoring.scorer import Scorer

IMAGES_PER_FEATURE = 5  # fewer leave the covariance of the features too rough to compare
STRAIGHT = 2  # images a feature in the smallest subset: from there on the distance goes as 1 / N


def score(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="WHAT",
            help="A generator.safetensors of a run, or a folder, zip or npz of images.",
        ),
    ],
    num: Annotated[
        int | None,
        typer.Option("-n", metavar="N", min=2, max=10**6, help="Images; else the protocol's."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME", help=f"How papers or tools score: {options.one_of(list(PROTOCOLS))}."
        ),
    ] = "default",
    metrics: Annotated[
        str,
        typer.Option(metavar="LIST", help="Of is, fid, kid, prdc, fid-infinity, with commas."),
    ] = "is,fid",
    repeats: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=1000, help="Sets of latents; gives standard errors."),
    ] = 1,
    seed: options.Seed = None,
    data: options.SameData = None,
    data_root: options.DataRoot = None,
    crop: options.Crop = None,
    resize: options.Resize = None,
    background: options.Background = None,
    skip_odd: options.SkipOdd = False,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Statistics of real images, see gan-nas stats."),
    ] = None,
    backbone: options.BackboneName = "classifier",
    weights: options.Weights = None,
    download: options.Download = False,
    features_precision: options.FeaturesPrecision = "float32",
    splits: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=100, help="Parts of the score; else the protocol's."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the scores, for compare."),
    ] = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Score a generator, or anybody's images, against the real ones of a data set.

    Numbers carry the name of their backbone: only --backbone inception gives an inception_score
    and a fid. Beside them stand the scores of as many real images that were held out, with
    --reference where --data names them. Of a folder of images all are the reference; of a data set
    the training images. Only numbers of equal passports can be compared.

    Example: gan-nas score runs/first/generator.safetensors --metrics is,fid,kid -o scores.json
    """
    from gan_nas.data import cache_dir
    from gan_nas.metrics.manifold import Neighbours
    from gan_nas.metrics.measures import PAIRWISE, parse_measures, smallest_number
    from gan_nas.metrics.statistics import load_statistics
    from gan_nas.scoring.reference import check_reference, split_for
    from gan_nas.scoring.repeated import judge
    from gan_nas.scoring.scorer import Scorer

    if output is not None and output.suffix != ".json":
        raise InvalidInput(f"scores cannot be written to {output}: name a file that ends in .json")
    chosen = find_protocol(protocol)
    measures = parse_measures(metrics)
    on = compute_on(device, threads)
    preparation = prepared(crop, resize, background, skip_odd=skip_odd)
    source = _source(path, on, chosen.quantise, preparation)
    if repeats > 1 and source.about is None:
        raise InvalidInput(f"{path} holds the same images every time: repeats is for generators")
    images = None
    # Whoever has a reference may lack the images.
    if data or reference is None or backbone == "classifier" or PAIRWISE & set(measures):
        how = preparation if data else source.preparation(preparation)
        images = load_data(data or source.needed_data, data_root, how, source.side).to(on)
        source.check(images, is_named=data is not None)
    count = source.count(num, None if protocol == "default" else chosen.num_fake)
    num_splits = splits or chosen.num_splits
    neighbours = Neighbours(chosen.precision_neighbours, chosen.density_neighbours)
    least = smallest_number(measures, num_splits, neighbours)
    if count < least:
        parts = f" in {num_splits} splits" if num_splits > 1 else ""
        raise InvalidInput(
            f"{count} images are too few for {metrics}{parts}; take at least {least}"
        )
    if num is not None and count < num:
        remark(f"warning: {path} holds {count:,} images, not {num:,}", style="yellow")
    if count < chosen.num_fake and (num is None or protocol != "default"):
        remark(
            f"warning: the protocol {protocol} asks for {chosen.num_fake:,} images and these are "
            f"{count:,}",
            style="yellow",
        )
    with stopping() as stop, progress_on_stderr() as progress:
        judge_by = backbone_for(
            backbone,
            images,
            on,
            stop,
            progress,
            weights=weights,
            precision=features_precision,
            preprocessing=chosen.preprocessing,
            download=download,
        )
        _warn_if_few(count, judge_by, source, extrapolate="fid-infinity" in measures)
        statistics = load_statistics(reference) if reference else None
        if statistics is not None:
            for sentence in check_reference(statistics, judge_by, source.side, str(reference)):
                remark(f"warning: {sentence}", style="yellow")
        scorer = Scorer(
            judge_by,
            images,
            source.side,
            num_splits,
            cache=cache_dir(),
            measures=measures,
            shuffle=chosen.shuffle,
            split=chosen.split if images is None else split_for(images, chosen.split),
            neighbours=neighbours,
            statistics=statistics,
            stop=stop,
            progress=progress,
        )
        result = judge(
            scorer,
            lambda one: _counted(source.images(count, one, stop), count, progress),
            count,
            seed=(seed or 0) if source.about else None,
            repeats=repeats,
            quantise=chosen.quantise if source.about else "none",
            protocol=protocol if _follows(chosen, count, splits, backbone, scorer) else None,
            name=source.title,
        )
    if output is not None:
        write_text(output, result.model_dump_json(indent=2) + "\n")
    if as_json:
        show_json(result.model_dump(mode="json"))
    else:
        _show(result)


class _Source:
    """What is judged: a generator file, or images as they are."""

    def __init__(
        self,
        path: Path,
        side: int,
        channels: int,
        num: int | None,
        about: "GeneratorFile | None",
        images: "Callable[[int, int, Callable[[], bool]], Iterable[Tensor]]",
    ) -> None:
        self.path, self.side, self.channels, self.num, self.about = path, side, channels, num, about
        self.images = images

    @property
    def title(self) -> str:
        """Return what the table is of."""
        return self.about.genome.title if self.about else visible(str(self.path))

    def count(self, asked: int | None, protocol: int | None) -> int:
        """Return how many images to judge; of images as they are, all but what is asked for."""
        wanted = asked or protocol or self.num or PROTOCOLS["default"].num_fake
        return wanted if self.num is None else min(wanted, self.num)

    @property
    def data(self) -> str | None:
        """Return the data set in a generator file's lineage."""
        name = self.about.lineage.get("data") if self.about else None
        return name if isinstance(name, str) else None

    @property
    def needed_data(self) -> str:
        """Return the data set, which cannot be done without."""
        if self.data is None:
            what = "this generator was never trained on data" if self.about else "these are images"
            raise InvalidInput(f"{what}: name the real ones with --data")
        return self.data

    def preparation(self, asked: "Preparation") -> "Preparation":
        """Return how the images of the lineage were prepared, unless another way is asked for."""
        from pydantic import ValidationError

        from gan_nas.data import Preparation

        known = self.about.lineage.get("preparation") if self.about else None
        if known is None or asked != Preparation():
            return asked
        try:
            return Preparation.model_validate(known)
        except ValidationError as error:
            raise Incompatible(
                f"{self.path} tells of a preparation of its data that this version does not know: "
                f"{explain(error, list(Preparation.model_fields))}; say by --crop, --resize or "
                "--background what to do"
            ) from error

    def check(self, images: "Images", *, is_named: bool) -> None:
        """Refuse real images of another kind; warn of data that changed."""
        if self.channels != images.channels:
            raise Incompatible(
                f"{self.path} makes images of {self.channels} channels and {images.name} has "
                f"{images.channels}: score it against the data it was trained on"
            )
        lineage = self.about.lineage if self.about else {}
        if not is_named and lineage.get("data_fingerprint") != images.fingerprint:
            remark(f"warning: {images.name} is not as it was when this was trained", style="yellow")


def _source(
    path: Path, device: "torch.device", quantise: Quantise, preparation: "Preparation"
) -> _Source:
    allowed = (Kind.GENERATOR, Kind.FOLDER, Kind.ZIP, Kind.NPZ)
    kind = refuse_foreign(path, Wanted.JUDGED, *allowed)
    if kind != Kind.GENERATOR and path.suffix != ".safetensors":
        from gan_nas.data.image_stream import open_images

        stream = open_images(path, preparation.background)

        def as_they_are(num: int, _: int, stop: "Callable[[], bool]") -> "Iterator[Tensor]":
            return _evenly(stream.batches(), num, stream.num, stop)

        return _Source(path, stream.side, stream.channels, stream.num, None, as_they_are)

    from gan_nas.networks.weights import load_generator
    from gan_nas.scoring.scorer import generate

    generator, about = load_generator(path, device)
    latent_dim = about.genome.generator.latent_dim

    def generated(num: int, seed: int, stop: "Callable[[], bool]") -> "Iterator[Tensor]":
        return generate(generator, num, latent_dim, seed, device, stop=stop, quantise=quantise)

    return _Source(path, about.resolution, about.image_channels, None, about, generated)


def _evenly(
    batches: "Iterable[Tensor]", num: int, size: int, stop: "Callable[[], bool]"
) -> "Iterator[Tensor]":
    """Yield `num` of `size` images, evenly spaced: their names may sort them by class."""
    from gan_nas.errors import Interrupted
    from gan_nas.metrics.evenly import evenly_of_parts

    def read() -> "Iterator[Tensor]":
        for batch in batches:
            if stop():
                raise Interrupted("stopped while reading images; nothing was written")
            yield batch

    return evenly_of_parts(read(), num, size)


def _follows(
    protocol: Protocol, num: int, splits: int | None, backbone: str, scorer: "Scorer"
) -> bool:
    """Tell whether nothing is known to be changed against the protocol."""
    statistics = scorer.statistics
    split = statistics.passport.get("split", scorer.split) if statistics else scorer.split
    same = num == protocol.num_fake and splits in (None, protocol.num_splits)
    prepared = protocol.preprocessing == "tf1" or backbone.startswith("inception")
    return same and prepared and split == scorer.split


def _warn_if_few(num: int, backbone: "Backbone", source: _Source, *, extrapolate: bool) -> None:
    import torch

    from gan_nas.metrics.fid_infinity import SMALLEST

    size = (1, source.channels, source.side, source.side)
    num_features = backbone.embed(torch.zeros(size, dtype=torch.uint8, device="cpu"))[0].shape[1]
    enough = IMAGES_PER_FEATURE * num_features
    if num < enough:
        remark(
            f"warning: {num:,} images are few for {num_features} features, the distance comes out "
            f"too high; take at least {enough:,}",
            style="yellow",
        )
    straight = STRAIGHT * SMALLEST * num_features
    if extrapolate and num < straight:
        remark(
            f"warning: the line of fid-infinity begins at a tenth of {num:,} images, and bends "
            f"there for {num_features} features: it ends too low; take at least {straight:,}",
            style="yellow",
        )


def _counted(batches: "Iterable[Tensor]", num: int, progress: Progress) -> "Iterator[Tensor]":
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        progress("scoring images", done, num, {})


def _show(result: Scores) -> None:
    beside = result.comparison
    fewer = beside is not None and beside.num < result.passport.num_fake
    columns = ["generated", "real, held out"]
    if beside is not None and fewer:
        columns.insert(1, f"{beside.num:,} of them")
    rows = table("score", *columns, numbers=columns, title=result.name)
    for name in by_importance(result.scores):
        errors = result.errors
        if beside is not None and not (fewer or errors):
            errors = beside.generated_deviations
        values = [_value(name, result.scores, errors)]
        if beside is not None and fewer:
            values.append(_value(name, beside.generated, beside.generated_deviations))
        values.append(_value(name, result.real, beside.real_deviations if beside else {}))
        rows.add_row(name, *values)
    show(rows, "")
    passport = result.passport
    seed = "as they are" if passport.seed is None else f"seed {passport.seed}"
    times = f", {passport.repeats} times" if passport.repeats > 1 else ""
    real_images = "" if passport.num_real is None else f"{passport.num_real:,} "
    show(
        f"{passport.num_fake:,} images of {passport.image_side} px{times}, {seed}, against "
        f"{real_images}of {passport.reference} ({passport.split}); backbone {passport.backbone} "
        f"{passport.weights}"
    )
    if beside is not None:
        against = "the same" if beside.num_real is None else f"{beside.num_real:,}"
        both = "both of the last columns" if fewer else "both columns"
        show(f"{both} are scores of {beside.num:,} images against {against} real ones")
    if passport.protocol:
        show(f"protocol {passport.protocol}: {PROTOCOLS[passport.protocol].says}")


def _value(name: str, values: Mapping[str, float], errors: Mapping[str, float]) -> str:
    if name not in values:
        return ""
    return f"{values[name]:.4g}" + (f" ± {errors[name]:.2g}" if name in errors else "")
