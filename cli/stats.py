"""`gan-nas stats`: reference statistics of real images, to score against."""

from pathlib import Path
from typing import Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import backbone_for, compute_on, load_data, prepared
from gan_nas.cli.printing import show, show_json
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.signals import stopping
from gan_nas.errors import InvalidInput
from gan_nas.scoring.protocols import PROTOCOLS, find_protocol


def stats(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="digits, cifar10, stl10, or a folder, zip or npz of square images of one size.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="What to write: an .npz or .safetensors file."
        ),
    ],
    backbone: options.BackboneName = "classifier",
    resolution: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=4096, help="Pixels to resize to; else as they are."),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help=f"Whose way of preparing images for inception, and split: {', '.join(PROTOCOLS)}.",
        ),
    ] = "default",
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a data set: train, held-out or all; else the protocol's. Other images are all "
            "taken.",
        ),
    ] = None,
    weights: options.Weights = None,
    download: options.Download = False,
    features_precision: options.FeaturesPrecision = "float32",
    data_root: options.DataRoot = None,
    crop: options.Crop = None,
    resize: options.Resize = None,
    background: options.Background = None,
    skip_odd: options.SkipOdd = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Write mean and covariance of the features of real images, and how they were made.

    Images are read a batch at a time, however many there are. The file's layout is that of TTUR and
    pytorch-fid (mu and sigma), so other tools read the npz; its passport names backbone, weights,
    resizing and images, and stops comparisons with anything else.

    Example: gan-nas stats cifar10 -o cifar10.npz, then gan-nas score ... --reference cifar10.npz
    """
    from gan_nas.metrics.statistics import checked_suffix, save_statistics
    from gan_nas.scoring.reference import make_statistics, split_of, stream_of

    checked_suffix(output)
    if output.exists() and output.resolve() == Path(data).expanduser().resolve():
        raise InvalidInput(f"{output} holds the images themselves: name another file to write")
    chosen = find_protocol(protocol)
    on = compute_on(device, threads)
    preparation = prepared(crop, resize, background, skip_odd=skip_odd)
    stream, own = stream_of(data, preparation), None
    if stream is None or backbone == "classifier":  # which is trained on them
        own = load_data(data, data_root if stream is None else None, preparation, resolution)
    images = stream or own
    assert images is not None
    part = split_of(images, chosen.split if split is None and stream is None else split)
    with stopping() as stop, progress_on_stderr() as progress:
        network = backbone_for(
            backbone,
            own,
            on,
            stop,
            progress,
            weights=weights,
            precision=features_precision,
            preprocessing=chosen.preprocessing,
            download=download,
        )
        statistics = make_statistics(
            network,
            images,
            split=part,
            side=resolution,
            stop=stop,
            progress=lambda done, total: progress("embedding images", done, total, {}),
        )
    save_statistics(output, statistics)
    num, num_features = statistics.count or 0, len(statistics.mean)
    about = dict(statistics.passport)
    if as_json:
        show_json({"file": str(output), "fingerprint": statistics.fingerprint, "passport": about})
        return
    show(
        str(output),
        f"{num:,} images ({about['split']}) of {about['image_side']} px of {about['reference']}; "
        f"{num_features} features of the backbone {about['backbone']} {about['weights']}",
    )
