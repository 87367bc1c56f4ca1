"""From option texts to what the library takes; torch is imported when a function needs it."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gan_nas.cli.printing import remark
from gan_nas.cli.progress import progress_on_stderr
from gan_nas.cli.shell import as_path
from gan_nas.cli.signals import stopping
from gan_nas.configs import DATA_OF_PRESETS, Settings, find_preset, resolve
from gan_nas.errors import InvalidInput, MissingResource, nearest, shorten
from gan_nas.formats.left import Shape, images_of
from gan_nas.machine.cores import available_cores, idle_cores
from gan_nas.machine.ranks import launched_place, num_launched
from gan_nas.machine.repeatable import fix_workspaces
from gan_nas.machine.threads import number_is_given
from gan_nas.metrics.preprocessing import Preprocessing
from gan_nas.progress import Progress
from gan_nas.spaces.frameworks import FRAMEWORKS, Framework, framework_of
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.spaces.published import published_names
from gan_nas.spaces.registry import load_space

if TYPE_CHECKING:
    import torch

    from gan_nas.data import Images, Preparation
    from gan_nas.metrics.backbone import Backbone

DIGITS = "digits"
SIDE, CHANNELS = 32, 3  # what costs are counted at where no run tells
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}

S = TypeVar("S", bound=Settings)


def resized(genome: Genome, width: int | None) -> Genome:
    """Return the genome with both networks at `width`, checked like a genome file."""
    if width is None:
        return genome
    text = genome.resized(width, width).to_json()
    return parse_genome(text, f"{genome.title} at width {width}")


def size_of_images(
    resolution: int | None, channels: int | None, *references: str
) -> tuple[Shape, str]:
    """Return the size of images that costs are counted at, and words that say whose it is.

    What is not asked for is that of the first of the genomes which comes from a run, else 32x32 in
    colour.
    """
    if resolution is not None and channels is not None:
        return Shape(resolution, channels), ""
    names = published_names()
    own = {one: images_of(Path(one)) for one in references if one not in names}
    known = next(((size, one) for one, size in own.items() if size is not None), None)
    size, whose = known or (Shape(SIDE, CHANNELS), "")
    return Shape(resolution or size.side, channels or size.channels), whose and f", as {whose}"


def say_size(size: Shape) -> str:
    """Say 16x16 px, grey."""
    colours = {1: "grey", 3: "colour"}.get(size.channels, f"{size.channels} channels")
    return f"{size.side}x{size.side} px, {colours}"


def framework_for(name: str | None, genome: Genome | None, space: str) -> Framework:
    """Return the framework of this name; without one, that of the genome's discriminator.

    Without a genome it is that of those which are found in the space.
    """
    if name is None:
        return framework_of(genome.discriminator) if genome else load_space(space).framework
    if name not in FRAMEWORKS:
        hint = nearest(name, list(FRAMEWORKS)) or f"; there are {', '.join(FRAMEWORKS)}"
        raise InvalidInput(f"unknown framework {name!r}{hint}")
    return FRAMEWORKS[FRAMEWORKS.index(name)]


def whole_number(text: str | None) -> int | None:
    """Read 4405251, 4_405_251, 4,405,251, 1.5M, 300k or 2G; None stays None."""
    if text is None:
        return None
    whole = r"\d{1,3}(?:,\d{3})+|\d[\d_]*"  # a comma only where thousands end: 1,5M is not 15M
    found = re.fullmatch(rf"((?:{whole})(?:\.\d+)?)\s*([kmg]?)", text.strip().lower())
    number = float(re.sub("[_,]", "", found[1])) * UNITS[found[2]] if found else inf
    if number == inf:
        raise InvalidInput(f"{shorten(text)} is not a number such as 4405251, 300k, 1.5M or 2G")
    return round(number)


def compute_on(device: str, threads: int | None) -> "torch.device":
    """Return the device; auto is the first GPU, or the CPU where there is none.

    `threads` are those of the CPU. Without, they are those of the environment or, where the CPU is
    the device, as many as there are cores that others leave idle; what trains measures them
    afterwards. Of several processes each takes a GPU of its own.
    """
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    found = _found_device(device)
    if found.type == "cuda":
        fix_workspaces()
    if threads is None and found.type == "cpu" and not number_is_given():
        torch.set_num_threads(idle_cores())
    return found


def jobs_on(
    asked: int | None, device: "torch.device", named: str, threads: int | None = None
) -> int:
    """Return how many trainings go on at once: one on each GPU, unless a number or one was named.

    Jobs share the CPU's cores out, unless it is said how many threads each has.
    """
    import torch

    on_all = device.type == "cuda" and named in ("auto", "cuda")
    jobs = asked or (torch.cuda.device_count() if on_all else 1)
    if jobs > 1 and device.type == "cpu" and threads is None and not number_is_given():
        torch.set_num_threads(max(1, min(torch.get_num_threads(), available_cores() // jobs)))
    return jobs


def _found_device(device: str) -> "torch.device":
    import torch

    num_gpus = torch.cuda.device_count()
    if num_gpus and device in ("auto", "cuda") and num_launched() > 1:
        device = f"cuda:{launched_place()}"
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
    """Resolve the settings of a run; precision auto is the preset's, if it names one.

    Otherwise it is bf16 on a GPU and float32 on a CPU; a model of others may have none.
    """
    automatic = {"precision": "bf16" if device.type == "cuda" else "float32"}
    if "precision" not in model.model_fields:
        automatic = {}
    options["precision"] = None if precision == "auto" else precision
    return resolve(model, automatic | find_preset(presets, preset), sets or (), options)


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
    run: Path | None = None,
) -> "Backbone":
    """Load a backbone, or train it once, with its progress shown.

    `weights`, `precision` and `preprocessing` are inception's. A `run` that goes on is judged by
    the classifier that it keeps.
    """
    from gan_nas.data import cache_dir
    from gan_nas.metrics.loading import load_backbone
    from gan_nas.runs.stored import stored_judge

    spec = with_weights(name, weights, download=download)
    kept, wanted = ([], None) if run is None else stored_judge(run)
    return load_backbone(
        spec,
        images,
        cache_dir(),
        device,
        stop,
        progress,
        precision=precision,
        preprocessing=preprocessing,
        download=download,
        kept=kept,
        wanted=wanted,
    )


def with_weights(name: str, weights: Path | None, *, download: bool) -> str:
    """Return what `load_backbone` takes for a backbone and the file of its weights."""
    for option, given in (("--weights", weights is not None), ("--download", download)):
        if given and name != "inception":
            raise InvalidInput(f"{option} is for --backbone inception, and it is {name}")
    if weights is not None and download:
        raise InvalidInput("--download fills torch.hub's cache, which --weights does not look at")
    return name if weights is None else f"inception:{weights}"


def prepared(
    crop: str | None, resize: str | None, background: str | None, *, skip_odd: bool
) -> "Preparation":
    """Read the options that say how one's own images become squares."""
    from gan_nas.data import Preparation

    return Preparation.of(crop, resize, background, skip_odd=skip_odd)


def data_for(data: str | None, preset: str) -> str:
    """Return the data that were asked for; without, those that the preset is made for.

    Raises InvalidInput for digits where it is made for photographs: nothing in it suits them.
    """
    implied = DATA_OF_PRESETS.get(preset, DIGITS)
    if data is None:
        if implied != DIGITS:
            remark(f"The preset {preset} is made for {implied}: --data names others", style="dim")
        return implied
    if data == DIGITS != implied:
        raise InvalidInput(
            f"the preset {preset} is made for {implied} and its like, not for digits of 8 px: "
            "leave --data out, or take the preset demo"
        )
    return data


def load_data(
    name: str, data_root: Path | None, preparation: "Preparation", side: int | None
) -> "Images":
    """Load images, brought to `side` where they come from a path, and say what was understood."""
    from gan_nas.data import load_images

    with stopping() as stop, progress_on_stderr() as progress:
        images = load_images(
            name, data_root, side=side, preparation=preparation, stop=stop, progress=progress
        )
    remark(f"{name}: {images.summary}", style="dim")
    return images


def load_to_train(
    name: str, data_root: Path | None, preparation: "Preparation", resolution: int | None
) -> "tuple[Images, int | None]":
    """Load images to train on, and return the resolution that is asked for or follows from them.

    One's own images of a side that no cells can make are brought to the next, from the files.
    """
    from gan_nas.data import DATA_SETS

    images = load_data(name, data_root, preparation, resolution)
    images.check_varied()
    side = images.default_resolution
    if resolution is not None or name in DATA_SETS or side == images.side:
        return images, resolution
    return load_data(name, data_root, preparation, side), side


def load_data_of_run(run: Path, data: str | None, data_root: Path | None) -> "Images":
    """Load the images that a search was made on, or `data`, prepared in the same way."""
    from gan_nas.runs.stored import stored_data

    stored = stored_data(run)
    return load_data(data or stored.data, data_root, stored.preparation, stored.side)


def options_again(
    *,
    data: str | None = None,
    data_root: Path | None = None,
    preparation: "Preparation | None" = None,
    resolution: int | None = None,
    preset: str | None = None,
    backbone: str = "classifier",
    features_precision: str = "float32",
    device: str = "auto",
) -> tuple[str | Path, ...]:
    """Return those options a following command must be given again; None and defaults are not."""
    given: dict[str, str | int | Path | None] = {
        "--data": None if data in (None, "digits") else as_path(data),
        "--data-root": data_root,
        "--resolution": resolution,
        "--preset": None if preset == "demo" else preset,
        "--backbone": None if backbone == "classifier" else backbone,
        "--features-precision": None if features_precision == "float32" else features_precision,
        "--device": None if device == "auto" else device,
    }
    if preparation is not None:
        default = type(preparation)()
        for name in ("crop", "resize", "background"):
            value = getattr(preparation, name)
            given[f"--{name}"] = None if value == getattr(default, name) else value
    words = [(name, as_path(str(value))) for name, value in given.items() if value is not None]
    skip = ["--skip-odd"] if preparation is not None and preparation.skip_odd else []
    return tuple(word for pair in words for word in pair) + tuple(skip)
