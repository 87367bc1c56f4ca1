"""The options that several commands share, and their help."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gan_nas.spaces.frameworks import FRAMEWORKS
from gan_nas.spaces.published import published_names
from gan_nas.trials import EXECUTORS

DATA_NAMES = ("digits", "cifar10", "stl10")  # gan_nas.data needs torch
PRESETS = ("demo", "small", "paper", "published")


def one_of(names: Sequence[str]) -> str:
    """Say a, b or c."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def among(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return what completes a word: those of the names that it begins. Paths are the shell's."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


GENOME_IN_WORDS = (
    "A genome file, a published name, AutoGAN's 14 integers, a matrix.npy, or a run, its "
    "result.json or a generator.safetensors"
)
_GENOME = typer.Argument(
    metavar="GENOME", help=f"{GENOME_IN_WORDS}.", autocompletion=among(published_names)
)
GenomeReference = Annotated[str, _GENOME]
OptionalGenomeReference = Annotated[str | None, _GENOME]
GeneratorPath = Annotated[
    Path,
    typer.Argument(
        metavar="GENERATOR",
        help="A generator.safetensors, a training's run or result.json, or an exported folder.",
    ),
]
Channels = Annotated[int, typer.Option(metavar="N", min=1, max=4, help="1 grey, 3 colour.")]
OptionalResolution = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=8,
        max=512,
        help="Pixels along a side, a multiple of 8; else those of the genome's run, else 32.",
    ),
]
OptionalChannels = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, max=4, help="1 grey, 3 colour; else those of the genome's run, else 3."
    ),
]
Width = Annotated[
    int | None, typer.Option(metavar="N", help="Width of both networks; else the genome's.")
]
Preset = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Starting values of the settings, see --help-config.",
        autocompletion=among(lambda: PRESETS),
    ),
]
Data = Annotated[
    str,
    typer.Option(
        metavar="DATA",
        help="digits, cifar10, stl10, or the path of a folder, zip or npz of images.",
        autocompletion=among(lambda: DATA_NAMES),
    ),
]
ImpliedData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="digits, cifar10, stl10, or the path of a folder, zip or npz of images; else what the "
        "preset is made for: digits for demo.",
        autocompletion=among(lambda: DATA_NAMES),
    ),
]
SameData = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="Images; else the file's data set, or the run's."),
]
Crop = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="Of one's own images: center takes the largest centred square, none squeezes. Needed "
        "where they have several sizes; else what is not square is cropped.",
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(
        metavar="FILTER",
        help="How real images come to another side: box, bilinear, bicubic or lanczos, as "
        "Pillow's; else bilinear, as the papers' loaders do it, and digits by box.",
    ),
]
Background = Annotated[
    str | None,
    typer.Option(metavar="COLOUR", help="Under transparent pixels: a name or #rrggbb; else white."),
]
SkipOdd = Annotated[
    bool,
    typer.Option("--skip-odd", help="Leave out files that are unlike the others or unreadable."),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where data sets lie; else $GAN_NAS_DATA_ROOT, else the cache."
    ),
]
RunDirectory = Annotated[
    Path | None,
    typer.Option(
        "--run",
        metavar="DIR",
        help="Run directory. Else the same command goes on with its run in runs/, which it finds "
        "by its settings, and any other one begins the next number there.",
    ),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Decides every random draw.")]
FrameworkName = Annotated[
    str | None,
    typer.Option(
        "--framework",
        metavar="NAME",
        help=f"How to train: {one_of(FRAMEWORKS)}; else what the genome's discriminator is "
        "made for.",
        autocompletion=among(lambda: FRAMEWORKS),
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        "--augment",
        metavar="HOW",
        help="none, flip (mirrors real images at random) or diffaugment (colour, translation and "
        "cutout of reals and fakes); else the preset's.",
    ),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    str,
    typer.Option(metavar="TYPE", help="auto (the preset's, or bf16 on a GPU), float32 or bf16."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set any field that --help-config lists; repeatable."
    ),
]
HelpConfig = Annotated[bool, typer.Option("--help-config", help="List all settings and stop.")]
BackboneName = Annotated[
    str,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="What scores rest on: classifier (trained on the data), residual (another one), "
        "classifier:PATH (a CIFAR ResNet), inception (that of IS and FID) or inception:PATH.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights", metavar="FILE", help="Weights of --backbone inception; else torch.hub's."
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch those weights (91 MB) if they are missing.")
]
FeaturesPrecision = Annotated[
    str,
    typer.Option(
        "--features-precision",
        metavar="TYPE",
        help="Of inception's convolutions: float32 or bf16.",
    ),
]
AnyPassport = Annotated[
    bool, typer.Option("--any-passport", help="Compare scores that were made differently.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=1024,
        help="CPU threads, which decide last digits and so what a search finds; else the run's "
        "own, or one, or more where they are a fifth faster.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=256,
        help="Trainings at once, each in a process of its own, which share the CPU's cores or take "
        "the GPUs in turn; else one, or one on each visible GPU.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="NAME",
        help=f"Where these jobs are: {one_of(tuple(EXECUTORS))}; local are processes of this "
        "machine, ray and slurm need an extra of that name (docs/many-machines.md).",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", help="Try once more what failed: it goes on from its last good checkpoint."
    ),
]
TensorBoard = Annotated[
    bool,
    typer.Option(
        "--tensorboard",
        help="Write scalars and samples into each run's folder tensorboard, too (the extra "
        "gan-nas[tensorboard]).",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show settings, sizes and predicted time, and stop.")
]
MaxParams = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Most parameters of a generator found, or of a discriminator where these are "
        "searched, such as 1.5M or 300k.",
    ),
]
MaxMacs = Annotated[
    str | None,
    typer.Option(metavar="N", help="Most multiply-adds of the same network, such as 2G."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
