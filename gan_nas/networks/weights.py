"""A generator file: safetensors that need nothing beside them to sample and score.

The metadata tell the genome, the builder's arguments and where the weights come from. Files come
from strangers too, so everything is checked before it is believed, and sizes before anything is
read into memory.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json
from safetensors import SafetensorError
from torch import Tensor, nn

from gan_nas.errors import Incompatible, InvalidInput, explain, shorten
from gan_nas.files import (
    open_regular,
    read_bytes,
    read_text,
    seal,
    unseal,
    write_atomically,
)
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.header import HEADER_LIMIT
from gan_nas.formats.left import generator_file
from gan_nas.networks.builder import build_generator
from gan_nas.networks.states import (
    check_shapes,
    load_module_state,
    module_state,
    pack,
    shapes_of,
    unpack,
)
from gan_nas.spaces.genome import Genome, parse_genome

FORMAT_VERSION: Final = 1
METADATA_KEY = "gan_nas"
FILE_LIMIT = 1 << 32
# A folder for the Hugging Face Hub (exports/hub.py): the generator file, and what it is in JSON.
FOLDER_WEIGHTS, FOLDER_CONFIG = "model.safetensors", "config.json"
CONFIG_LIMIT = 1 << 22
ITEM = 8  # bytes of a number, at most


class GeneratorFile(BaseModel):
    """What a generator file says about its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = FORMAT_VERSION
    genome: Genome
    resolution: int = Field(ge=1, le=1024, description="pixels along a side of an image")
    image_channels: int = Field(ge=1, le=4)
    lineage: dict[str, JsonValue] = Field(description="data, fingerprint, method, steps, seed ...")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="names, dtypes, shapes and values")


def save_generator(
    path: Path,
    tensors: Mapping[str, Tensor],
    genome: Genome,
    resolution: int,
    image_channels: int,
    lineage: Mapping[str, Any],
) -> GeneratorFile:
    """Write a generator file atomically and return its metadata."""
    about = GeneratorFile(
        genome=genome,
        resolution=resolution,
        image_channels=image_channels,
        lineage=dict(lineage),
        sha256=weights_sha256(tensors),
    )
    # One key only: safetensors do not write several in a fixed order.
    data = pack(tensors, {METADATA_KEY: seal(about.model_dump(mode="json"))})
    write_atomically(path, lambda temporary: temporary.write_bytes(data))
    return about


def load_generator_file(path: Path) -> tuple[GeneratorFile, dict[str, Tensor]]:
    """Read a generator file, or the one of an exported folder, a result or a run, onto the CPU.

    Raises InvalidInput for a file that is missing, cut, altered or something else; Incompatible
    for one of another format or schema version, of tensors that its genome's network has not, or
    with another one's config.json beside it.
    """
    about, _, tensors = _read(path)
    return about, tensors


class Generator(nn.Module):
    """A generator file's network: latents (N, latent_dim) to images (N, C, S, S) in [-1, 1].

    `about` is what the file says; its genome, side, lineage and length of latents are at hand.
    """

    def __init__(self, network: nn.Module, about: GeneratorFile) -> None:
        super().__init__()
        self.network, self.about = network, about

    @property
    def genome(self) -> Genome:
        """Return what was built."""
        return self.about.genome

    @property
    def resolution(self) -> int:
        """Return the images' height and width in pixels."""
        return self.about.resolution

    @property
    def lineage(self) -> dict[str, JsonValue]:
        """Return where the weights come from."""
        return self.about.lineage

    @property
    def latent_dim(self) -> int:
        """Return the length of a latent."""
        return self.about.genome.generator.latent_dim

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return next(self.network.parameters()).device

    def forward(self, z: Tensor) -> Tensor:
        """Map latents N(0, 1), from any device, to float32 images."""
        images: Tensor = self.network(z.to(self.device))
        return images.float()


def load_generator(path: Path | str, device: torch.device | str = "cpu") -> Generator:
    """Rebuild the generator of a file, an exported folder, a result or a run, in eval mode."""
    about, network, tensors = _read(Path(path))
    network.to_empty(device="cpu")
    load_module_state(network, tensors)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Generator(network, about).eval()


def read_metadata(path: Path) -> GeneratorFile:
    """Read what a generator file says of itself, without its weights."""
    return _opened(path)[0]


def _opened(path: Path) -> tuple[GeneratorFile, dict[str, Any]]:
    """Return what a file, or the one of an exported folder, says of itself, and its header."""
    refuse_foreign(path, Wanted.GENERATOR, Kind.GENERATOR)
    header = _header(weights_file(path))
    about = _metadata(weights_file(path), header)
    if path.is_dir():
        _check_config(path / FOLDER_CONFIG, about)
    return about, header


def _read(path: Path) -> tuple[GeneratorFile, nn.Module, dict[str, Tensor]]:
    """Return what a file says, its genome's network on the meta device, and the tensors.

    These are not read before the header promises what the network has.
    """
    path = generator_file(path)
    about, header = _opened(path)
    path = weights_file(path)
    with torch.device("meta"):
        network = build_generator(about.genome.generator, about.resolution, about.image_channels)
    _check_header(path, header, network)
    try:
        tensors = unpack(read_bytes(path, FILE_LIMIT))
    except SafetensorError as error:
        reason = shorten(str(error))
        raise InvalidInput(f"{path} is damaged, perhaps cut short: {reason}") from error
    if weights_sha256(tensors) != about.sha256:
        raise InvalidInput(f"{path} is damaged: its weights do not have the hash it states")
    return about, network, tensors


def _metadata(path: Path, header: Mapping[str, Any]) -> GeneratorFile:
    metadata = header.get("__metadata__")
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise InvalidInput(
            f"{path} is a safetensors file without a genome in it, a generator file of gan-nas "
            "is needed"
        )
    version = _object(text, path).get("format_version")
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise Incompatible(
            f"{path} has format version {version}, this gan-nas reads version {FORMAT_VERSION}; "
            "write it again with a matching release"
        )
    content = unseal(text)
    if content is None:
        raise InvalidInput(f"{path} is damaged: its metadata do not have the hash they state")
    parse_genome(json.dumps(content.get("genome")), f"the genome in {path}")
    try:
        return GeneratorFile.model_validate_json(json.dumps(content))
    except ValidationError as error:
        fields = list(GeneratorFile.model_fields)
        raise InvalidInput(f"{path} is not a generator file: {explain(error, fields)}") from error


def weights_file(path: Path) -> Path:
    """Return the generator file at a path: itself, or that of an exported folder."""
    return path / FOLDER_WEIGHTS if path.is_dir() else path


def _check_config(path: Path, about: GeneratorFile) -> None:
    """Refuse a config.json that tells of another generator than the weights beside it."""
    config = _object(read_text(path, CONFIG_LIMIT), path)
    genome = parse_genome(json.dumps(config.get("genome")), f"the genome in {path}")
    if (config.get("sha256"), genome) != (about.sha256, about.genome):
        raise Incompatible(
            f"{path} tells of another generator than {FOLDER_WEIGHTS} beside it: take both from "
            "one export"
        )


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Hash names, dtypes, shapes and bytes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().to("cpu").contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _header(path: Path) -> dict[str, Any]:
    """Read a safetensors header: 8 bytes of length, then JSON."""
    if not path.is_file():
        raise InvalidInput(f"{path} is not a file, a generator file is needed")
    with open_regular(path, FILE_LIMIT) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise InvalidInput(f"{path} is cut short or not a safetensors file")
        if length > HEADER_LIMIT:
            raise InvalidInput(
                f"{path} has a header of {length:,} bytes, a generator's has at most "
                f"{HEADER_LIMIT:,}"
            )
        return _object(file.read(length), path)


def _check_header(path: Path, header: Mapping[str, Any], network: nn.Module) -> None:
    """Compare names, shapes and size of a file with the network's."""
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    shapes = {name: _shape(entry) for name, entry in tensors.items()}
    own = module_state(network)
    check_shapes(shapes_of(own), shapes, f"the weights in {path} do")
    most = ITEM * sum(tensor.numel() for tensor in own.values()) + 8 + HEADER_LIMIT
    if path.stat().st_size > most:
        raise InvalidInput(f"{path} is damaged: it is longer than its tensors")


def _shape(entry: object) -> tuple[int, ...]:
    """Return the shape that a header states; that of no tensor where it states none."""
    shape = entry.get("shape") if isinstance(entry, dict) else None
    is_shape = isinstance(shape, list) and all(type(size) is int for size in shape)
    return tuple(shape) if is_shape and shape is not None else (-1,)


def _object(text: str | bytes, path: Path) -> dict[str, Any]:
    """Parse a JSON object; pydantic's parser refuses deep nesting instead of recursing into it."""
    try:
        content = from_json(text)
    except ValueError as error:
        reason = shorten(str(error))
        raise InvalidInput(f"{path} is damaged or not a safetensors file: {reason}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} is damaged or not a safetensors file")
    return content
