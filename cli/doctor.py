"""`gan-nas doctor`: what this machine has, and what to do about what it has not."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from rich.text import Text

from gan_nas.cli import options
from gan_nas.cli.printing import mebibytes, show, show_json, table
from gan_nas.machine.cores import available_cores
from gan_nas.spaces.frameworks import framework_of
from gan_nas.spaces.genome import Genome
from gan_nas.spaces.published import load_genome

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "safetensors", "pydantic", "matplotlib")


class Finding(NamedTuple):
    """One thing looked at: whether it is there, what it is, what to do."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def doctor(
    reference: options.OptionalGenomeReference = None,
    data_root: options.DataRoot = None,
    as_json: options.Json = False,
) -> None:
    """Check versions, devices, compiler, data sets and caches on this machine.

    With a genome it also says which operations of its training a GPU would sum in an order left to
    chance. Nothing is downloaded, and nothing that is missing is an error: digits on a CPU always
    work.
    """
    genome = None if reference is None else load_genome(reference)
    findings = [*_versions(), *_compute(), *_data(data_root), *_reproducibility()]
    if genome is not None:
        findings.append(_operations(genome))
    if as_json:
        show_json({"findings": [finding._asdict() for finding in findings]})
        return
    rows = table("", "what", "found", "what to do")
    rows.columns[1].no_wrap = True
    for finding in findings:
        mark = Text("ok", style="green") if finding.ok else Text("missing", style="yellow")
        rows.add_row(mark, finding.what, finding.found, finding.advice)
    show(rows)


def _versions() -> list[Finding]:
    from gan_nas import __version__

    findings = [
        Finding("gan-nas", True, __version__),
        Finding(
            "python",
            True,
            f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        ),
    ]
    for name in PACKAGES:
        try:
            findings.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            findings.append(Finding(name, False, "not installed", f"pip install {name}"))
    return findings


def _compute() -> list[Finding]:
    import torch

    from gan_nas.errors import MissingResource
    from gan_nas.machine.compiler import check_compiler

    threads, cores = torch.get_num_threads(), available_cores()
    findings = [
        Finding(
            "CPU",
            True,
            f"{threads} threads on {cores} cores, {torch.backends.cpu.get_cpu_capability()}",
        ),
        _bf16_on_cpu(),
    ]
    num_gpus = torch.cuda.device_count()
    for index in range(num_gpus):
        about = torch.cuda.get_device_properties(index)
        fast = "bf16" if torch.cuda.is_bf16_supported() else "no bf16: use --precision float32"
        found = f"{about.name}, {mebibytes(about.total_memory)}, {fast}"
        findings.append(Finding(f"cuda:{index}", True, found))
    if not num_gpus:
        built = (
            f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
        )
        advice = "demo presets suit a CPU; paper presets need a GPU and its driver"
        findings.append(Finding("GPU", False, f"none that torch can use ({built})", advice))
    device = torch.device("cuda" if num_gpus else "cpu")
    try:
        check_compiler(device)
        findings.append(Finding("compiler", True, "torch.compile can be used: --set compile=true"))
    except MissingResource as error:
        findings.append(Finding("compiler", False, "none", str(error)))
    return findings


def _bf16_on_cpu() -> Finding:
    """Look for the instructions that make bf16 worth while; without them it is slow but right."""
    flags = Path("/proc/cpuinfo")
    text = flags.read_text(errors="replace") if flags.exists() else ""
    names = [name for name in ("amx_bf16", "avx512_bf16") if name in text]
    if names:
        return Finding("bf16 on CPU", True, f"{', '.join(names)}: --precision bf16 pays off")
    return Finding("bf16 on CPU", False, "no such instructions", "keep --precision float32")


def _data(data_root_option: Path | None) -> list[Finding]:
    from gan_nas.data import cache_dir, data_root

    root, cache = data_root_option or data_root(), cache_dir()
    findings = [Finding("digits", True, "comes with gan-nas")]
    for name, folder, download in (
        ("cifar10", "cifar-10-batches-py", "163 MiB"),
        ("stl10", "stl10_binary", "2.5 GiB"),
    ):
        if (root / folder).is_dir():
            findings.append(Finding(name, True, str(root / folder)))
        else:
            advice = f"downloaded at first use ({download}), or set GAN_NAS_DATA_ROOT"
            findings.append(Finding(name, False, f"not in {root}", advice))
    findings.append(_inception())
    num = len(list(cache.glob("classifier-*.safetensors"))) if cache.is_dir() else 0
    findings.append(
        Finding("cache", True, f"{cache}: {num} classifiers", "" if num else "made at first use")
    )
    existing = next(path for path in (cache, *cache.parents) if path.is_dir())
    usable = os.access(existing, os.W_OK)
    free = mebibytes(shutil.disk_usage(existing).free)
    advice = "" if usable else "set GAN_NAS_CACHE to a folder that can be written"
    findings.append(Finding("disk", usable, f"{free} free at {existing}", advice))
    return findings


def _inception() -> Finding:
    """Look for the weights of IS and FID where torch.hub, and so torch-fidelity, keeps them."""
    from gan_nas.metrics.inception import cached_weights

    path = cached_weights()
    if path.is_file():
        return Finding("inception", True, str(path), "score --backbone inception gives IS and FID")
    advice = "gan-nas score --backbone inception --download fetches them (91 MB)"
    return Finding("inception", False, f"not in {path.parent}", advice)


def _reproducibility() -> list[Finding]:
    return [
        Finding(
            "determinism",
            True,
            "a run repeats itself bit for bit",
            "keep versions, settings, --threads and the model of a GPU equal",
        )
    ]


def _operations(genome: Genome) -> Finding:
    from gan_nas.training.config import TrainingConfig
    from gan_nas.training.determinism import look_at_operations

    side, channels = 48, 3  # which suits every space; operations are the same at others
    config = TrainingConfig(framework=framework_of(genome.discriminator))
    num, by_chance = look_at_operations(genome, config, side, channels)
    what = f"{genome.title} on a GPU"
    if not by_chance:
        return Finding(what, True, f"all {num} operations of a training are deterministic there")
    advice = "runs of it repeat themselves on a CPU alone"
    return Finding(what, False, f"left to chance: {', '.join(by_chance)}", advice)
