"""A generator as a folder for the Hugging Face Hub, which `gan_nas.load_generator` reads.

config.json tells what it is, model.safetensors is the generator file, samples.png shows images, and
README.md is the model card: https://huggingface.co/docs/hub/model-cards.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gan_nas.data.writing import CHANNELS
from gan_nas.errors import InvalidInput, shorten
from gan_nas.exports.about import Exported, Measured, to_text
from gan_nas.files import read_bytes, write_atomically, write_folder, write_text
from gan_nas.formats.foreign import Kind, identify
from gan_nas.networks.cost import generator_cost
from gan_nas.networks.weights import (
    FILE_LIMIT,
    FOLDER_CONFIG,
    FOLDER_WEIGHTS,
    Generator,
    weights_file,
)
from gan_nas.runs.plots import save_grid
from gan_nas.scoring.generating import generate
from gan_nas.scoring.protocols import by_importance

CARD, SAMPLES = "README.md", "samples.png"
NUM_SAMPLES = 64
UNKNOWN = "unknown"  # what the Hub calls a licence that is not stated
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,59}")
TASK = "unconditional-image-generation"
METHOD_WORDS = {
    "retrain": "trained by `gan-nas retrain`",
    "import": "taken over by `gan-nas import` from a checkpoint of the authors",
    "build": "freshly drawn by `gan-nas build`, not trained",
}


def check_licence(licence: str | None) -> None:
    """Raise InvalidInput for what cannot be a licence's name on the Hub."""
    if licence is not None and not LICENCE.fullmatch(licence):
        raise InvalidInput(
            f"{shorten(licence)} is no licence as the Hugging Face Hub names them: write it like "
            "mit, apache-2.0, cc-by-4.0 or other"
        )


def refuse_others(folder: Path) -> None:
    """Raise InvalidInput for a folder that holds something and is no exported generator."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if identify(folder).kind != Kind.GENERATOR:
        raise InvalidInput(
            f"{folder} holds other files, which a generator's would be written over: name a new "
            "folder"
        )


def save_hub(generator: Generator, source: Path, folder: Path, about: Exported) -> None:
    """Write the folder of a generator that was loaded from `source`; a new one is whole or absent.

    One that was exported before is written over, other files in it are kept. Raises InvalidInput
    for any other folder that holds something, such as the run's own.
    """
    refuse_others(folder)
    weights = read_bytes(weights_file(source), FILE_LIMIT)

    def write(where: Path) -> None:
        write_atomically(where / FOLDER_WEIGHTS, lambda temporary: temporary.write_bytes(weights))
        write_text(where / FOLDER_CONFIG, to_text(about))
        has_picture = about.image_channels in CHANNELS
        if has_picture:
            size, device = generator.latent_dim, generator.device
            batches = generate(generator, NUM_SAMPLES, size, 0, device)
            save_grid(torch.cat(list(batches)), where / SAMPLES)
        write_text(where / CARD, model_card(about, has_picture=has_picture))

    write_folder(folder, write)


def model_card(about: Exported, *, has_picture: bool) -> str:
    """Write the model card, in Markdown after metadata in YAML."""
    return f"---\n{_front_matter(about)}---\n\n{_text(about, has_picture)}"


def _front_matter(about: Exported) -> str:
    """Return the card's metadata, a line for each key; JSON is YAML, too."""
    fields: dict[str, Any] = {
        "license": about.licence or UNKNOWN,
        "library_name": "gan-nas",
        "pipeline_tag": TASK,
        "tags": ["gan", "neural-architecture-search", about.genome.generator.space],
    }
    if data := _data(about):
        fields["datasets"] = [data]
    if about.measured is not None:
        fields["model-index"] = [{"name": about.genome.title, "results": [_index(about.measured)]}]
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items())


def _index(measured: Measured) -> dict[str, Any]:
    passport = measured.passport
    return {
        "task": {"type": TASK},
        "dataset": {
            "name": Path(passport.reference).name,
            "type": Path(passport.reference).name,
            "split": passport.split,
        },
        "metrics": [
            {"type": name, "name": name, "value": measured.scores[name]}
            for name in by_importance(measured.scores)
        ],
    }


def _text(about: Exported, has_picture: bool) -> str:
    genome, side, channels = about.genome, about.resolution, about.image_channels
    cost = generator_cost(genome.generator, side, channels)
    paper = genome.source.paper if genome.source else None
    method = METHOD_WORDS.get(str(about.lineage.get("method")), "of unknown origin")
    data = _data(about)
    parts = [
        f"# {genome.title}",
        f"A generator of images, {channels}x{side}x{side}, from latents of length "
        f"{about.latent_dim}; {cost.parameters:,} parameters, {cost.macs:,} multiply-adds an "
        f"image. Its architecture is the genome `{about.genome_id}` of the space "
        f"`{genome.generator.space}`" + (f", from {_plain(paper)}" if paper else "") + ". "
        f"Its weights were {method}" + (f" on {_plain(data)}." if data else "."),
        *([f"![{NUM_SAMPLES} images of seed 0]({SAMPLES})"] if has_picture else []),
        "## Use",
        "```python\nimport gan_nas as gn\nimport torch\n\n"
        'generator = gn.load_generator("PATH/OF/THIS/FOLDER")\n'
        "images = generator(torch.randn(8, generator.latent_dim))  "
        f"# (8, {channels}, {side}, {side}) in [-1, 1]\n```",
        "```\ngan-nas sample PATH/OF/THIS/FOLDER --seeds 0-99 -o images\n"
        "gan-nas score PATH/OF/THIS/FOLDER\n```",
        "## Scores",
        *_scores(about.measured),
        "## Licence",
        f"Of the weights: `{about.licence}`." if about.licence else "Of the weights: not stated.",
        "## Architecture",
        _json(json.loads(genome.to_json())),
        "## Lineage",
        _json(about.lineage),
        f"Weights' sha256 (names, types, shapes and values): `{about.sha256}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _scores(measured: Measured | None) -> list[str]:
    if measured is None:
        return ["None are told. `gan-nas score` makes them."]
    real = measured.real
    columns = ["score", "generated", *(["real, held out"] if real else [])]
    rows = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    for name in by_importance(measured.scores):
        values = [f"{measured.scores[name]:.4g}"]
        if real:
            values.append(f"{real[name]:.4g}" if name in real else "")
        rows.append(f"| `{name}` | " + " | ".join(values) + " |")
    passport = measured.passport
    real_images = "" if passport.num_real is None else f"{passport.num_real:,} of "
    against = real_images + _plain(Path(passport.reference).name)
    return [
        "\n".join(rows),
        f"{passport.num_fake:,} images against {against}; only numbers of the same "
        "passport can be compared:",
        _json(passport.model_dump(mode="json")),
    ]


def _data(about: Exported) -> str | None:
    """Return the data set's name; of a path, its last part."""
    data = about.lineage.get("data")
    return Path(data).name if isinstance(data, str) else None


def _plain(text: str) -> str:
    """Keep a text from being read as Markdown or as lines of its own."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _json(value: Mapping[str, Any]) -> str:
    return f"```json\n{json.dumps(dict(value), indent=2)}\n```"
