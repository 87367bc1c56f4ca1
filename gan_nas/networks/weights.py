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

from gan_nas.errors import Incompatible, InvalidInput, explain
from gan_nas.files import open_regular, read_bytes, seal, unseal, write_atomically
from gan_nas.formats.foreign import Kind, Wanted, refuse_foreign
from gan_nas.formats.left import generator_file
from gan_nas.networks.builder import build_generator
from gan_nas.networks.states import load_module_state, pack, unpack
from gan_nas.spaces.genome import Genome, parse_genome

FORMAT_VERSION: Final = 1
METADATA_KEY = "gan_nas"
HEADER_LIMIT = 1 << 20  # bytes; the tensors of a generator are listed in a tenth of it
FILE_LIMIT = 1 << 32


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
    """Read a generator file, or the one of a run, onto the CPU.

    Raises InvalidInput for a file that is missing, cut, altered or something else; Incompatible
    for one of another format or schema version.
    """
    path = generator_file(path)
    about = read_metadata(path)
    try:
        tensors = unpack(read_bytes(path, FILE_LIMIT))
    except SafetensorError as error:
        raise InvalidInput(f"{path} is damaged, perhaps cut short: {error}") from error
    if weights_sha256(tensors) != about.sha256:
        raise InvalidInput(f"{path} is damaged: its weights do not have the hash it states")
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
    """Rebuild the generator of a file, a result or a run on `device`, in eval mode."""
    about, tensors = load_generator_file(Path(path))
    with torch.device("meta"):
        network = build_generator(about.genome.generator, about.resolution, about.image_channels)
    network.to_empty(device="cpu")
    load_module_state(network, tensors)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Generator(network, about).eval()


def read_metadata(path: Path) -> GeneratorFile:
    """Read what a generator file says of itself, without its weights."""
    refuse_foreign(path, Wanted.GENERATOR, Kind.GENERATOR)
    metadata = _header(path).get("__metadata__")
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


def _object(text: str | bytes, path: Path) -> dict[str, Any]:
    """Parse a JSON object; pydantic's parser refuses deep nesting instead of recursing into it."""
    try:
        content = from_json(text)
    except ValueError as error:
        raise InvalidInput(f"{path} is damaged or not a safetensors file: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} is damaged or not a safetensors file")
    return content
