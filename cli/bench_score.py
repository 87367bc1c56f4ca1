"""`gan-nas bench score`: how fast scores are made here, against the tools that people use."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gan_nas.cli import options
from gan_nas.cli.inputs import compute_on
from gan_nas.cli.printing import remark, show, show_json, table
from gan_nas.errors import InvalidInput, nearest

PRECISIONS = ("float32", "bf16")
PAIRS = {
    "condition": "of condition 1e6",
    "relu": "of ReLU features",
    "few": "of few samples",
}


def bench_score(
    dim: Annotated[
        int, typer.Option(metavar="D", min=2, max=8192, help="Features of the Frechet distance.")
    ] = 2048,
    images: Annotated[
        int, typer.Option(metavar="N", min=1, max=10**5, help="Images passed through Inception.")
    ] = 16,
    side: Annotated[
        int, typer.Option(metavar="N", min=1, max=1024, help="Pixels along their sides.")
    ] = 32,
    pairs: Annotated[
        str,
        typer.Option(
            metavar="LIST", help=f"Covariances of the distance: {', '.join(PAIRS)}, with commas."
        ),
    ] = ",".join(PAIRS),
    precision: Annotated[
        str, typer.Option(metavar="TYPE", help="Of Inception: float32, bf16 or both.")
    ] = "both",
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Inception's; else noise: the speed is the same."),
    ] = None,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="Timings; the median is shown.")
    ] = 3,
    seed: options.Seed = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Time Inception's features and the Frechet distance, and say how exact they are.

    Peers are torch-fidelity and SciPy's matrix root, timed in the same run. Seconds are CPU time,
    but those of features on a GPU. Errors of features are relative to torch-fidelity's largest,
    those of the distance relative to a value that is known otherwise. How much longer the peers
    take depends on the covariances: of condition 1e6, of ReLU features (6,000 samples at 2048
    dimensions), or of half as many samples as features.

    Example: OMP_NUM_THREADS=1 gan-nas bench score --threads 1
    """
    if precision not in (*PRECISIONS, "both"):
        raise InvalidInput(f"unknown precision {precision!r}; allowed are float32, bf16 and both")

    chosen = [name.strip() for name in pairs.split(",")]
    unknown = [name for name in chosen if name not in PAIRS]
    if unknown:
        raise InvalidInput(
            f"unknown covariances {unknown[0]!r}{nearest(unknown[0], list(PAIRS))}; there are "
            f"{', '.join(PAIRS)}"
        )

    import torch

    from gan_nas.bench.scores import PAIRS as ALL
    from gan_nas.bench.scores import time_frechet
    from gan_nas.metrics.inception import read_weights
    from gan_nas.metrics.inception_timing import time_inception
    from gan_nas.streams import stream

    on = compute_on(device, threads)
    state = None if weights is None else read_weights(weights)
    random = stream(seed or 0, "bench images")
    shape = (images, 3, side, side)
    pixels = torch.randint(256, shape, generator=random, dtype=torch.uint8, device="cpu")
    remark(f"Timing {images} images of {side} px in Inception on {on}", style="dim")
    features = [
        time_inception(pixels, one, state=state, device=on, repeats=repeats)
        for one in (PRECISIONS if precision == "both" else (precision,))
    ]
    remark(
        f"Timing the Frechet distance of {dim} features, minutes for each of {pairs} at 2048",
        style="dim",
    )
    timed = time_frechet(dim, seed or 0, repeats, [pair for pair in ALL if pair in chosen])
    first = {row.pair: row.cpu_seconds for row in reversed(timed)}  # ours, the reference prepared
    distances = [row._asdict() | {"ratio": row.cpu_seconds / first[row.pair]} for row in timed]
    measured = {"inception": features, "frechet": {"dim": dim, "rows": distances}}
    if as_json:
        show_json(measured)
    else:
        _show(measured)


def _show(measured: dict[str, Any]) -> None:
    columns = ("seconds", "ratio", "relative error")
    rows = table("", *columns, numbers=columns)
    for timing in measured["inception"]:
        error = max(timing["features_error"], timing["logits_error"])
        what = f"an image in Inception, {timing['precision']}"
        rows.add_row(what, f"{timing['seconds']:.4f}", "", f"{error:.1e}")
        before = timing["torch_fidelity_seconds"]
        rows.add_row("  torch-fidelity", f"{before:.4f}", f"{timing['ratio']:.2f} x", "")
        rows.add_section()
    pair = None
    for row in measured["frechet"]["rows"]:
        what = f"  {row['what']}"
        ratio = f"{row['ratio']:.2f} x"
        if row["pair"] != pair:
            pair, ratio = row["pair"], ""
            what = f"Frechet distance, {measured['frechet']['dim']}-d, {PAIRS[pair]}"
            rows.add_section()
        rows.add_row(what, f"{row['cpu_seconds']:.4f}", ratio, f"{row['relative_error']:.1e}")
    show(rows, "")
    first = measured["inception"][0]
    show(f"on: {first['device']}, {first['threads']} CPU threads")
    if first["weights"] == "random":
        show("Inception was filled with noise: measure its error again with --weights.")
