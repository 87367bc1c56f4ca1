"""`gan-nas export`: a generator for other programs, and for other people."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gan_nas.cli import options
from gan_nas.cli.printing import remark, show, show_json, suggest
from gan_nas.errors import InvalidInput, nearest

if TYPE_CHECKING:
    from gan_nas.exports.program import Checked

FORMATS = {"onnx": ".onnx", "pt2": ".pt2", "hub": ""}  # and how their names end


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="GENERATOR|RUN",
            help="A generator.safetensors, an exported folder, or a finished training, of which "
            "the generator of the best scores is taken.",
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help=f"{options.one_of(list(FORMATS))}.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A file that ends in .onnx or .pt2, or a folder."
        ),
    ],
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Its scores, of score -o; else those of its training, if any."
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--license", metavar="ID", help="Of the weights, as the Hub names it, such as mit."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Export a generator for ONNX, for PyTorch without gan-nas, or for the Hugging Face Hub.

    onnx is a model of any batch size from latents to images in [-1, 1], checked with onnxruntime
    (needs the package's extra onnx); pt2 is a program that torch.export.load reads. Both compute in
    the papers' order, differ by at most 1e-5 or by rounding, and hold genome, lineage, scores and
    their passport. hub is a folder with config.json, model.safetensors, samples and a model card in
    README.md, which gan_nas.load_generator and every command that takes a generator read.

    Example: gan-nas export runs/first --to hub -o my-gan --license mit
    """
    if to not in FORMATS:
        hint = nearest(to, list(FORMATS)) or f"; there are {', '.join(FORMATS)}"
        raise InvalidInput(f"unknown format {to!r}{hint}")
    if output.suffix != FORMATS[to] and to != "hub":
        raise InvalidInput(f"{output} does not end in {FORMATS[to]}, as a file of {to} does")
    if to == "hub" and output.exists() and not output.is_dir():
        raise InvalidInput(f"{output} is a file, and hub is a folder: name another path")

    from gan_nas.exports.about import describe, generator_path, measured_by, told_beside
    from gan_nas.exports.hub import check_licence, save_hub
    from gan_nas.networks.weights import load_generator
    from gan_nas.scoring.comparing import read_scores

    check_licence(licence)
    if to == "onnx":
        from gan_nas.exports.onnx import check_installed

        check_installed()
    path = generator_path(source)
    told = measured_by(read_scores(scores)) if scores else None
    generator = load_generator(path)
    beside = told_beside(path, generator.about)
    about = describe(generator, told or beside.measured, licence or beside.licence)
    checked: Checked | None = None
    if to == "onnx":
        from gan_nas.exports.onnx import save_onnx

        checked = save_onnx(generator, output, about)
    elif to == "pt2":
        from gan_nas.exports.program import save_pt2

        checked = save_pt2(generator, output, about)
    else:
        save_hub(generator, path, output, about)
    if as_json:
        found = {"file": str(output), "source": str(path), "genome_id": about.genome_id}
        difference = {} if checked is None else {"largest_difference": checked.difference}
        show_json({**found, "scored": about.measured is not None, **difference})
        return
    if checked is not None:
        remark(f"its images differ from the generator's by at most {checked.difference:.1g}")
    if about.measured is None:
        remark("no scores are told of it: --scores names a file of gan-nas score -o")
    show(str(output))
    if to == "hub":
        suggest(look=("sample", output), score=("score", output))
