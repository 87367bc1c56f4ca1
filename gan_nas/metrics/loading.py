"""Backbones and measures: one file each, all numerics in float64."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from gan_nas.data import Images
from gan_nas.errors import InvalidInput, nearest, shorten
from gan_nas.metrics.backbone import Backbone
from gan_nas.metrics.preprocessing import Preprocessing
from gan_nas.progress import Progress, silent

KINDS = ("classifier", "residual", "inception")


def load_backbone(
    spec: str,
    images: Images | None,
    cache: Path | None,
    device: torch.device | str,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = silent,
    *,
    precision: str = "float32",
    preprocessing: Preprocessing = "tf1",
    download: bool = False,
    kept: Sequence[Path] = (),
    wanted: str | None = None,
) -> Backbone:
    """Return the backbone named by `spec`, on `device`.

    "classifier": trained on `images` once, kept in `cache`; `kept` are files where it may stand,
    too, `wanted` the fingerprint that is looked for. "residual": a second one, of another network
    and from another seed. "classifier:PATH": a CIFAR ResNet.
    "inception": that of IS and FID, from torch.hub's cache, into which it is fetched if
    `download`. "inception:PATH": the same from a file. These have a `precision` of float32 or bf16,
    and a `preprocessing` of images; the others resize in their own way.
    Only the first two need `images`.
    """
    kind, colon, path = spec.partition(":")
    if kind not in KINDS or (colon and (kind == "residual" or not path)):
        raise InvalidInput(
            f"unknown backbone {spec!r}{nearest(kind, list(KINDS))}; allowed are classifier "
            "(trained on the data), residual (a second one), classifier:PATH (a CIFAR ResNet in "
            "safetensors), inception and inception:PATH (that of IS and FID)"
        )
    file = Path(path).expanduser() if path else None
    if kind == "inception":
        from gan_nas.metrics.inception import load_inception

        return load_inception(
            file, device, precision=precision, preprocessing=preprocessing, download=download
        )
    if precision != "float32":
        raise InvalidInput(
            f"the backbone {kind} does not compute in {shorten(precision)}, only in float32; "
            "bf16 is for inception"
        )
    if file is not None:
        from gan_nas.metrics.cifar_resnet import load_cifar_resnet

        return load_cifar_resnet(file, device)
    from gan_nas.metrics.classifier import in_domain_classifier

    if images is None:
        raise InvalidInput(f"the backbone {kind} is trained on a data set; name another one")

    def show(done: int, total: int) -> None:
        progress("classifier images", done, total, {})

    return in_domain_classifier(
        images,
        cache,
        device,
        stop,
        show,
        kind="residual" if kind == "residual" else "classifier",
        kept=kept,
        wanted=wanted,
    )


def identities_of(spec: str) -> tuple[dict[str, str], ...]:
    """Return what the `identity` of a backbone that is asked for like this may be, so far as known.

    The fingerprint of one that is trained on data is not, nor that of Inception.
    """
    from gan_nas.metrics.classifier import CLASSIFIER_NAMES, RESIDUAL_NAMES

    kind, _, path = spec.partition(":")
    file = Path(path).expanduser()
    if path and kind == "classifier" and file.is_file():
        from gan_nas.metrics.cifar_resnet import load_cifar_resnet

        return (load_cifar_resnet(file).identity,)
    names = {"classifier": CLASSIFIER_NAMES, "residual": RESIDUAL_NAMES}
    named = () if path else names.get(kind, ())
    return tuple({"judge": name} for name in named or (kind,))
