"""From option texts to what the library takes; torch is imported when a function needs it."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gan_nas.allocator import keep_freed_memory
from gan_nas.configs import Settings, resolve
from gan_nas.errors import InvalidInput, MissingResource, nearest
from gan_nas.frameworks import FRAMEWORKS, Framework, framework_of
from gan_nas.genome import Genome, parse_genome
from gan_nas.progress import Progress
from gan_nas.protocols import Preprocessing

if TYPE_CHECKING:
    import torch

    from gan_nas.data import Images
    from gan_nas.metrics.backbone import Backbone

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}

S = TypeVar("S", bound=Settings)


def resized(genome: Genome, width: int | None) -> Genome:
    """Return the genome with both networks at `width`, checked like a genome file."""
    if width is None:
        return genome
    text = genome.resized(width, width).to_json()
    return parse_genome(text, f"{genome.title} at width {width}")


def framework_for(name: str | None, genome: Genome | None) -> Framework:
    """Return the framework of this name; without one, that of the genome's discriminator."""
    if name is None:
        return framework_of(genome.discriminator) if genome else "hinge-sn"
    if name not in FRAMEWORKS:
        hint = nearest(name, list(FRAMEWORKS)) or f"; there are {', '.join(FRAMEWORKS)}"
        raise InvalidInput(f"unknown framework {name!r}{hint}")
    return FRAMEWORKS[FRAMEWORKS.index(name)]


def whole_number(text: str | None) -> int | None:
    """Read 4405251, 4_405_251, 1.5M, 300k or 2G; None stays None."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?)\s*([kmg]?)", text.strip().lower())
    if not found:
        raise InvalidInput(f"{text!r} is not a number such as 4405251, 300k, 1.5M or 2G")
    return round(float(re.sub("[_,]", "", found[1])) * UNITS[found[2]])


def compute_on(device: str, threads: int | None) -> "torch.device":
    """Return the device; auto is the first GPU, or the CPU where there is none.

    `threads` are those of the CPU, None leaves them to torch. Freed memory is kept for the work to
    come.
    """
    import torch

    keep_freed_memory()

    if threads is not None:
        torch.set_num_threads(threads)
    num_gpus = torch.cuda.device_count()
    if device == "auto":
        return torch.device("cuda", 0) if num_gpus else torch.device("cpu")
    if device == "cpu":
        return torch.device("cpu")
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not found:
        raise InvalidInput(f"unknown device {device!r}; allowed are auto, cpu, cuda and cuda:N")
    index = int(found[1] or 0)
    if index >= num_gpus:
        has = f"its GPUs are cuda:0 to cuda:{num_gpus - 1}" if num_gpus else "it has no usable GPU"
        raise MissingResource(
            f"this machine has no device {device}, {has}: use cpu, and see gan-nas doctor"
        )
    return torch.device("cuda", index)


def settings(
    model: type[S],
    presets: Mapping[str, Mapping[str, Any]],
    preset: str,
    sets: Sequence[str] | None,
    precision: str,
    device: "torch.device",
    **options: Any,
) -> S:
    """Resolve the settings of a run; precision auto is bf16 on a GPU and float32 on a CPU."""
    automatic = {"precision": "bf16" if device.type == "cuda" else "float32"}
    options["precision"] = None if precision == "auto" else precision
    return resolve(model, find_preset(presets, preset) | automatic, sets or (), options)


def find_preset(presets: Mapping[str, Mapping[str, Any]], preset: str) -> dict[str, Any]:
    """Return a preset's values by name."""
    if preset not in presets:
        hint = nearest(preset, list(presets)) or f"; there are {', '.join(presets)}"
        raise InvalidInput(f"unknown preset {preset!r}{hint}")
    return dict(presets[preset])


def backbone_for(
    name: str,
    images: "Images | None",
    device: "torch.device",
    stop: Callable[[], bool],
    progress: Progress,
    *,
    weights: Path | None = None,
    precision: str = "float32",
    preprocessing: Preprocessing = "tf1",
    download: bool = False,
) -> "Backbone":
    """Load a backbone, or train it once, with its progress shown.

    `weights`, `precision` and `preprocessing` are inception's.
    """
    from gan_nas.data import cache_dir
    from gan_nas.metrics import load_backbone

    def show(done: int, total: int) -> None:
        progress("classifier images", done, total, {})

    spec = _with_weights(name, weights, download=download)
    return load_backbone(
        spec,
        images,
        cache_dir(),
        device,
        stop,
        show,
        precision=precision,
        preprocessing=preprocessing,
        download=download,
    )


def _with_weights(name: str, weights: Path | None, *, download: bool) -> str:
    for option, given in (("--weights", weights is not None), ("--download", download)):
        if given and name != "inception":
            raise InvalidInput(f"{option} is for --backbone inception, and it is {name}")
    if weights is not None and download:
        raise InvalidInput("--download fills torch.hub's cache, which --weights does not look at")
    return name if weights is None else f"inception:{weights}"


def default_directory(what: str, data: str, seed: int) -> Path:
    """Name a run after what it does, its data and its seed."""
    return Path("runs") / f"{what}-{Path(data).stem}-{seed}"


def options_again(
    *,
    data: str | None = None,
    data_root: Path | None = None,
    resolution: int | None = None,
    preset: str | None = None,
    backbone: str = "classifier",
    features_precision: str = "float32",
    device: str = "auto",
) -> str:
    """Return those options a following command must be given again; None and defaults are not."""
    given = {
        "--data": None if data == "digits" else data,
        "--data-root": data_root,
        "--resolution": resolution,
        "--preset": None if preset == "demo" else preset,
        "--backbone": None if backbone == "classifier" else backbone,
        "--features-precision": None if features_precision == "float32" else features_precision,
        "--device": None if device == "auto" else device,
    }
    return "".join(f" {o} {shlex.quote(str(v))}" for o, v in given.items() if v is not None)


def default_resolution(images: "Images") -> int:
    """Return the side to train at: the data's own, or twice that of digits.

    Three cells need a multiple of 8; the digits' own 8 pixels would leave the first a single one.
    """
    return 2 * images.side if images.name == "digits" else images.side
