"""Start training from given weights: a generator file's, or those a finished training ended with.

They are taken over as they are, or not at all: every tensor must have the shape that is needed.
Other data are always possible, and so is another genome or another side of the images where it
leaves all shapes equal; in the spaces of this package the stem's weights follow the side. A file
holds no discriminator, which then is drawn as usual; a run's last checkpoint has the one of the
last weights. The optimisers and the moving average begin anew, the average at these weights.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import JsonValue
from torch import Tensor

from gan_nas.data import Images
from gan_nas.errors import InvalidInput, shorten
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.left import generator_file
from gan_nas.networks.builder import build_discriminator, build_generator
from gan_nas.networks.states import module_state, shapes_of
from gan_nas.networks.weights import load_generator_file, weights_sha256
from gan_nas.runs.checkpoints import folders
from gan_nas.runs.folders import CONFIG
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.run import read_finished
from gan_nas.runs.stored import as_written, stored_config
from gan_nas.spaces.frameworks import suited
from gan_nas.spaces.genome import Genome, parse_genome
from gan_nas.training.config import TrainingConfig
from gan_nas.training.units import LAST, Start

SUMMARY = ("method", "data", "data_fingerprint", "steps", "images")  # of a file's lineage
LONGEST = 300  # characters of a text in it


class Given(NamedTuple):
    """Weights to start from, of which genome and for which images, and where they come from."""

    source: Path
    genome: Genome
    resolution: int
    image_channels: int
    generator: dict[str, Tensor] | None
    """None where they are no longer there and a run goes on from its own checkpoint."""
    discriminator: dict[str, Tensor] | None
    origin: dict[str, JsonValue]
    """What tells them from others, without a path."""


def load_start(
    source: Path | str,
    genome: Genome,
    images: Images,
    config: TrainingConfig,
    *,
    resolution: int | None = None,
) -> Start:
    """Return the weights of a generator file, or of a finished training's directory, for `train`.

    The other arguments are those of `train`. A training gives its last weights and their
    discriminator, if that fits. Raises InvalidInput where a tensor has another shape than is
    needed, or for anything else than a generator file or such a run.
    """
    side = resolution or images.default_resolution
    return start_with(read_given(source), suited(genome, config.framework), side, images.channels)


def read_given(source: Path | str, run: Path | None = None) -> Given:
    """Read a generator file or a finished training.

    What is no longer there is not needed by a `run` that began from it and has a checkpoint.
    """
    source = Path(source)
    if not source.is_dir():
        source = generator_file(source)  # of a result; a run gives its last weights, not the best
    kind = refuse_foreign(source, Wanted.GENERATOR, Kind.GENERATOR, Kind.RUN, Kind.FOLDER)
    if not os.path.lexists(source):
        return _kept(source, run)
    discriminator = None
    if source.is_dir() and kind != Kind.GENERATOR:
        discriminator = _last_discriminator(source)
        about, generator = load_generator_file(source / LAST)
    else:
        about, generator = load_generator_file(source)
    origin: dict[str, JsonValue] = {
        "sha256": about.sha256,
        "genome_id": about.genome.genome_id,
        "resolution": about.resolution,
        "image_channels": about.image_channels,
        **_summary(about.lineage),
    }
    shape = about.resolution, about.image_channels
    return Given(source, about.genome, *shape, generator, discriminator, origin)


def start_with(given: Given, genome: Genome, resolution: int, image_channels: int) -> Start:
    """Return what a genome's networks take over, for images of side `resolution`.

    Raises InvalidInput naming the first tensor of the generator that does not fit.
    """
    source: dict[str, JsonValue] = {"source": _name(given.source)}
    if given.generator is None:
        return Start({}, None, given.origin | source, keeps_statistics=True)
    with torch.device("meta"):
        generator = build_generator(genome.generator, resolution, image_channels)
        discriminator = build_discriminator(genome.discriminator, resolution, image_channels)
    found, wanted = shapes_of(given.generator), shapes_of(module_state(generator))
    for name in (*wanted, *found):
        if found.get(name) != wanted.get(name):
            there = f"has shape {found[name]}" if name in found else "is missing"
            here = f"shape {wanted[name]}" if name in wanted else "no such tensor"
            reason = _reason(given, genome, resolution, image_channels)
            raise InvalidInput(
                f"the weights in {given.source} do not fit: {name} {there} there and {here} is "
                f"needed, {reason}"
            )
    taken = given.discriminator
    if taken is None or shapes_of(taken) != shapes_of(module_state(discriminator)):
        one: dict[str, JsonValue] = {"networks": ["generator"]}
        return Start(given.generator, None, given.origin | one | source, keeps_statistics=True)
    both: dict[str, JsonValue] = {
        "networks": ["generator", "discriminator"],
        "discriminator_sha256": weights_sha256(taken),
    }
    return Start(given.generator, taken, given.origin | both | source, keeps_statistics=True)


def _kept(source: Path, run: Path | None) -> Given:
    """Return what a run knows of the weights that it began from; they themselves are gone."""
    if run is None or not (run / CONFIG).exists() or not folders(run):
        raise InvalidInput(
            f"{source} is not there, a generator file or a finished training is needed; only a run "
            "that began from it and has a checkpoint goes on without, if its directory is named"
        )
    stored = stored_config(run)
    origin = stored.get("inherited")
    known = origin if isinstance(origin, dict) else {}
    side, channels = known.get("resolution"), known.get("image_channels")
    if type(side) is not int or type(channels) is not int:
        raise InvalidInput(f"{source} is not there, and the run in {run} did not begin from a file")
    genome = parse_genome(json.dumps(stored.get("genome")), f"the genome in {run / CONFIG}")
    return Given(source, genome, side, channels, None, None, known)


def _last_discriminator(directory: Path) -> dict[str, Tensor]:
    """Read the discriminator of a finished training's last weights."""
    method = stored_config(directory).get("method")
    if method != "retrain":
        raise InvalidInput(
            f"{directory} is a run of {shorten(method)}, and a generator file or the directory of "
            "a finished training is needed"
        )
    checkpoint = read_finished(directory, TrainingResult).checkpoint
    with as_written(directory):
        return checkpoint.tensors["discriminator"]


def _summary(lineage: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a few plain values of a lineage, which may be a stranger's; of a path, its name."""
    known = {name: lineage[name] for name in SUMMARY if isinstance(lineage.get(name), str | int)}
    if isinstance(data := known.get("data"), str):
        known["data"] = Path(data).name
    return {k: v[:LONGEST] if isinstance(v, str) else v for k, v in known.items()}


def _reason(given: Given, genome: Genome, resolution: int, image_channels: int) -> str:
    """Say why a tensor has another shape, and what to do."""
    if given.genome.generator != genome.generator:
        ids = f"{given.genome.genome_id} and {genome.genome_id} is asked for"
        return f"since they are of genome {ids}; name no genome, or train this one from scratch"
    if given.image_channels != image_channels:
        return (
            f"since their images' channels are {given.image_channels} and those of the data "
            f"{image_channels}; take other data, or train from scratch"
        )
    return (
        f"since it follows the side of the images, {given.resolution} px there and "
        f"{resolution} px here; train at {given.resolution} px, or from scratch"
    )


def _name(source: Path) -> str:
    """Return the last part of a path, as JSON takes it."""
    return os.fsencode(source.absolute().name).decode("utf-8", "backslashreplace")
