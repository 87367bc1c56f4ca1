"""The options that several commands share, and their help."""

from pathlib import Path
from typing import Annotated

import typer

GenomeReference = Annotated[
    str, typer.Argument(metavar="GENOME", help="A genome file, a published name, or a matrix.npy.")
]
GeneratorPath = Annotated[
    Path, typer.Argument(metavar="GENERATOR", help="A generator.safetensors of a run.")
]
Resolution = Annotated[
    int, typer.Option(metavar="N", min=8, max=512, help="Pixels along a side, a multiple of 8.")
]
Channels = Annotated[int, typer.Option(metavar="N", min=1, max=4, help="1 grey, 3 colour.")]
Width = Annotated[
    int | None, typer.Option(metavar="N", help="Width of both networks; else the genome's.")
]
Preset = Annotated[
    str, typer.Option(metavar="NAME", help="Starting values of the settings, see --help-config.")
]
Data = Annotated[
    str,
    typer.Option(
        metavar="DATA", help="digits, cifar10, stl10, or the path of a folder or zip of images."
    ),
]
SameData = Annotated[
    str | None,
    typer.Option("--data", metavar="DATA", help="Images; else those the file or run was made of."),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where data sets lie; else $GAN_NAS_DATA_ROOT, else the cache."
    ),
]
RunDirectory = Annotated[
    Path | None, typer.Option("--run", metavar="DIR", help="Run directory; one is named if absent.")
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Decides every random draw.")]
FrameworkName = Annotated[
    str | None,
    typer.Option(
        "--framework",
        metavar="NAME",
        help="How to train: hinge-sn, wgan-gp or ctgan; else what the genome's discriminator is "
        "made for.",
    ),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    str, typer.Option(metavar="TYPE", help="auto (bf16 on a GPU), float32 or bf16.")
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
        help="What scores rest on: classifier (trained on the data), classifier:PATH (a CIFAR "
        "ResNet), inception (that of IS and FID) or inception:PATH.",
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
        help="CPU threads, which decide last digits; else the run's own, or the fastest.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show settings, sizes and predicted time, and stop.")
]
MaxParams = Annotated[
    str | None,
    typer.Option(metavar="N", help="Most parameters of a generator found, such as 1.5M or 300k."),
]
MaxMacs = Annotated[
    str | None,
    typer.Option(metavar="N", help="Most multiply-adds of a generator found, such as 2G."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
