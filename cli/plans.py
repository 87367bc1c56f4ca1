"""What a run is about to be: its settings in words, its plan, and a warning before long ones."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from gan_nas.cli.printing import (
    WARNING,
    big,
    duration,
    mebibytes,
    remark,
    show,
    show_json,
    table,
)
from gan_nas.configs import Settings, describe_fields, find_preset, resolve
from gan_nas.escapes import visible
from gan_nas.machine.cores import available_memory
from gan_nas.spaces.frameworks import Framework, suited
from gan_nas.spaces.genome import Genome

if TYPE_CHECKING:
    import torch

    from gan_nas.data import Images
    from gan_nas.runs.results import Plan

LONG = 3600.0  # seconds


def show_settings(
    model: type[Settings], presets: Mapping[str, Mapping[str, Any]], preset: str, as_json: bool
) -> None:
    """List every setting: its default and meaning, then its value in all presets side by side.

    What a preset leaves at the default is dim there; presets of equal values are one.
    """
    chosen = resolve(model, find_preset(presets, preset)).model_dump(mode="json")
    values = {
        name: resolve(model, of_one).model_dump(mode="json") for name, of_one in presets.items()
    }
    fields = describe_fields(model)
    if as_json:
        rows = [
            field._asdict()
            | {"preset": chosen[field.name]}
            | {"presets": {name: values[name][field.name] for name in values}}
            for field in fields
        ]
        show_json({"preset": preset, "settings": rows})
        return
    lines = table("setting", "default", "meaning", numbers=["default"])
    lines.columns[0].no_wrap = True
    for field in fields:
        sentence = " ".join(field.description.split())
        meaning = Text.assemble(f"{sentence} ", (f"({field.type})", "dim"))
        lines.add_row(field.name, field.default, meaning)
    different = {
        name: of_one
        for place, (name, of_one) in enumerate(values.items())
        if of_one not in list(values.values())[:place]
    }
    # The one that was asked for comes first, under its own name.
    columns = {preset: chosen} | {n: v for n, v in different.items() if v != chosen}
    beside = table("setting", *columns, numbers=columns)
    for column in beside.columns:
        column.overflow = "fold"
    for field in fields:
        words = [_word(of_one[field.name]) for of_one in columns.values()]
        cells = [Text(word, "dim" if word == field.default else "") for word in words]
        beside.add_row(field.name, *cells)
    show(lines, "", beside)
    remark(
        f"Set any with --set KEY=VALUE; presets: {', '.join(presets)}. Dim is the default.",
        style="dim",
    )


def show_plan(plan: "Plan", directory: Path, images: "Images", side: int, as_json: bool) -> None:
    """Print what a run would do and need, of which data, and its settings."""
    import torch

    threads = torch.get_num_threads()
    data = {"data": images.summary, "resolution": side}
    if as_json:
        about = {"run": str(directory), "threads": threads, **data}
        show_json(about | plan.model_dump(mode="json"))
        return
    facts = Table.grid(padding=(0, 2))
    facts.add_row("run", str(directory))
    facts.add_row("data", visible(images.summary))
    facts.add_row("resolution", f"{side} px")
    facts.add_row("CPU threads", str(threads))
    for name, size in plan.sizes.items():
        facts.add_row(name.replace("_", " "), _size(size))
    if plan.steps:
        facts.add_row("steps", f"{plan.steps:,}")
        facts.add_row("images", f"{plan.images:,}")
    facts.add_row("memory", mebibytes(plan.memory_bytes))
    foretold = duration(plan.predicted_seconds) if plan.steps else "unknown: it foretells no steps"
    facts.add_row("predicted time", foretold)
    settings = Table.grid(padding=(0, 2))
    for name, value in plan.config.items():
        settings.add_row(name, _word(value))
    show(facts, "", settings)


def remark_on_discriminator(genome: Genome, framework: Framework) -> None:
    """Say which discriminator a framework trains, where it cannot train the genome's."""
    own, given = suited(genome, framework).discriminator, genome.discriminator
    if own != given:
        remark(
            f"{framework} trains against its own discriminator ({own.words}), not the genome's "
            f"({given.words})",
            style="dim",
        )


def remark_on_plan(plan: "Plan", device: "torch.device") -> None:
    """Say before it starts that a run will take more than an hour, or more memory than is free."""
    needed, free = plan.memory_bytes, free_memory(device)
    if free is not None and needed > free:
        remark(
            f"warning: this run will need about {mebibytes(needed)} and {mebibytes(free)} of "
            "memory are free: lower batch_size and generator_batch_size, or the width",
            style=WARNING,
        )
    seconds = plan.predicted_seconds
    if seconds > LONG:
        remark(
            f"This run will take about {duration(seconds)} on this device; it can be interrupted "
            "at any time, the same command goes on.",
            style=WARNING,
        )


def free_memory(device: "torch.device") -> int | None:
    """Return the bytes that this process can still get on a device, None where nobody tells."""
    if device.type == "cpu":
        return available_memory()

    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def _size(size: int | dict[str, int]) -> str:
    if isinstance(size, int):
        return f"{size:,}"
    return f"{size['parameters']:,} parameters, {big(size['macs'])} multiply-adds"


def _word(value: Any) -> str:
    """Say a value as one would type it after --set KEY=."""
    match value:
        case None | bool():
            return str(value).lower()
        case list():
            return ",".join(map(_word, value))
        case dict():
            return json.dumps(value)
    return str(value)
