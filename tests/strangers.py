"""Distributions of strangers: installed into a folder as pip would, without network or build."""

import shutil
import tomllib
from pathlib import Path

PLUGIN = Path(__file__).parent / "plugin"


def install(folder: Path) -> Path:
    """Install the tests' own package, and return the folder, to be put on sys.path."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    shutil.copytree(PLUGIN / "gan_nas_toy", folder / "gan_nas_toy")
    return describe(folder, project["name"], project["version"], project["entry-points"])


def describe(
    folder: Path, name: str, version: str, entry_points: dict[str, dict[str, str]]
) -> Path:
    """Write what is known of an installed distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, entries in entry_points.items():
        lines += [f"[{group}]", *(f"{entry} = {value}" for entry, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder
