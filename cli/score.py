"""`gan-nas score`: how good a generator, or a folder of images, is, by which measure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import compute_on, load_data, prepared, with_weights
from gan_nas.cli.printing import show, show_json, table
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.errors import InvalidInput
from gan_nas.files import write_text
from gan_nas.scoring.protocols import PROTOCOLS, Scores, by_importance, find_protocol


def score(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="WHAT",
            help="A generator.safetensors, a training's run or result.json, an exported folder; or "
            "a folder, zip or npz of images.",
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
        typer.Option(
            metavar="LIST", help="Of is, fid, kid, prdc, fid-infinity, mind, fwd, with commas."
        ),
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
    from gan_nas.metrics.measures import parse_measures
    from gan_nas.scoring.score import needs_images, warn_if_changed
    from gan_nas.scoring.score import score as score_subject
    from gan_nas.scoring.subject import open_subject

    if output is not None and output.suffix != ".json":
        raise InvalidInput(f"scores cannot be written to {output}: name a file that ends in .json")
    find_protocol(protocol)
    parse_measures(metrics)
    on = compute_on(device, threads)
    preparation = prepared(crop, resize, background, skip_odd=skip_odd)
    subject = open_subject(path, on, preparation.background)
    subject.check_repeats(repeats)
    images = None
    if data:
        known = subject.preparation(preparation, data)
        images = load_data(data, data_root, known, subject.side)
    elif needs_images(metrics, backbone, reference):
        known = subject.preparation(preparation)
        images = load_data(subject.needed_data, data_root, known, subject.side)
        warn_if_changed(subject, images)
    with stopping() as stop, progress_on_stderr() as progress:
        result = score_subject(
            subject,
            images,
            num=num,
            measures=metrics,
            protocol=protocol,
            repeats=repeats,
            seed=seed or 0,
            splits=splits,
            backbone=with_weights(backbone, weights, download=download),
            precision=features_precision,
            download=download,
            reference=reference,
            device=on,
            stop=stop,
            progress=progress,
        )
    if output is not None:
        write_text(output, result.model_dump_json(indent=2) + "\n")
    if as_json:
        show_json(result.model_dump(mode="json"))
    else:
        _show(result)


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
