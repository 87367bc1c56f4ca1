"""The command that makes a run once more, elsewhere: a preset, and all that differs from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_nas.configs import Settings, defaults, resolve
from gan_nas.errors import GanNasError
from gan_nas.reports.records import Record
from gan_nas.search import load_method
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import published_genome, published_names
from gan_nas.studies import load_study
from gan_nas.training.config import TrainingConfig, presets_for

Presets = Mapping[str, Mapping[str, Any]]
JUDGES = ("residual", "inception")  # backbones that are named as they are, but for the usual one
OPTIONS = {"seed": "--seed", "space": "--space", "evaluator": "--evaluator"}  # of any command
Words = tuple[str | Path, ...]


def repeated(record: Record) -> Words | None:
    """Return the words after `gan-nas` that make a run again; None where they are not known.

    A genome that is not published is named after its id: it has to be saved first.
    """
    try:
        return (*_command(record), *_data(record), *_machine(record), "--run", _elsewhere(record))
    except (GanNasError, IndexError, KeyError, TypeError, ValueError):
        return None  # of a method that is not installed, or settings of another version


def file_of(genome: Genome) -> str:
    """Return the reference of a genome in a command: a published name, or a file's."""
    for name in published_names():
        if published_genome(name).genome_id == genome.genome_id:
            return name
    return f"{genome.genome_id}.json"


def _command(record: Record) -> Words:
    config = dict(record.config)
    if record.kind == "search":
        method = load_method(record.method)
        given: Words = ()
        if config.pop("generator", None) is not None:  # whose discriminators were searched
            given = ("--genome", file_of(record.genomes[0]))
        settings = _settings(method.Config, method.presets, config)
        return ("search", "--method", record.method, *given, *settings)
    if record.kind == "study":
        study = load_study(record.method)
        return ("study", record.method, *_settings(study.Config, study.presets, config))
    genome = record.genomes[0]
    if record.kind == "reconstruction":
        degas = load_method("degas")
        config.pop("latent_dim", None)  # the genome's
        settings = _settings(degas.Config, degas.presets, config)
        return ("reconstruct", file_of(genome), *settings)
    side = ("--resolution", str(record.side))
    framework = TrainingConfig.model_validate(config).framework
    presets = presets_for(genome.generator.space, framework)
    settings = _settings(TrainingConfig, presets, config)
    return ("retrain", file_of(genome), *side, "--framework", framework, *settings)


def _settings(model: type[Settings], presets: Presets, stored: Mapping[str, Any]) -> Words:
    """Return the preset with the fewest differences from the settings, and these differences."""
    wanted = resolve(model, dict(stored)).model_dump(mode="json")
    best, fewest = None, _differences(wanted, defaults(model))
    for name, preset in presets.items():
        given = resolve(model, dict(preset)).model_dump(mode="json")
        found = _differences(wanted, given)
        if best is None or len(found) < len(fewest):
            best, fewest = name, found
    words: list[str | Path] = [] if best in (None, "demo") else ["--preset", str(best)]
    precision = fewest.pop("precision", wanted.get("precision"))
    if precision is not None:  # which follows the device where it is not said
        words += ["--precision", str(precision)]
    for name, value in fewest.items():
        said = _said(value)
        words += [OPTIONS[name], said] if name in OPTIONS else ["--set", f"{name}={said}"]
    return tuple(words)


def _differences(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in wanted.items() if name not in given or given[name] != value
    }


def _said(value: Any) -> str:
    """Say a value as --set takes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_said, value)) if isinstance(value, list) else str(value)


def _data(record: Record) -> Words:
    """Return which images, and how one's own became squares."""
    words: list[str | Path] = []
    if record.data not in ("", "digits"):
        words += ["--data", record.data if not record.data.startswith("-") else Path(record.data)]
    prepared = record.settings.get("preparation")
    for name, value in (prepared if isinstance(prepared, dict) else {}).items():
        if name in ("crop", "resize", "background") and isinstance(value, str):
            words += [f"--{name}", value]
        if name == "skip_odd" and value is True:
            words.append("--skip-odd")
    return tuple(words)


def _machine(record: Record) -> Words:
    """Return the device and the number of threads, which decide the last digits."""
    versions = record.settings.get("versions")
    threads = versions.get("threads") if isinstance(versions, dict) else None
    device = record.settings.get("device")
    words: list[str] = ["--device", device] if isinstance(device, str) else []
    judge = record.settings.get("judge")
    if isinstance(judge, str) and judge in JUDGES:
        words += ["--backbone", judge]
    return (*words, *(("--threads", str(threads)) if type(threads) is int else ()))


def _elsewhere(record: Record) -> Path:
    return Path(f"{record.name}-again")
