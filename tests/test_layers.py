import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A module imports only from what stands before it; a folder's files may import each other.
ORDER = re.findall(
    r"\w+",
    """
    allocator instructions machine threads errors files npy foreign versions streams progress
    configs protocols spaces genome frameworks sampling diff published slots spectral ops mixing
    stage_ops stages cells networks critic builder cost simulation losses objectives
    reconstruction data metrics states checkpoints logs run_folders stored results runs weights
    reference real_images scoring plots gan timing forecast training_config training search
    judging bench bench_load bench_scores cli
    """,
)


def modules_imported(path: Path) -> set[str]:
    """List what follows `gan_nas.` in a file's imports, those inside functions included."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import; write it out"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("gan_nas.")} - {"__version__"}


def test_every_file_imports_only_from_floors_below_its_own() -> None:
    files = [*(ROOT / "gan_nas").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    for path in files:
        module = path.relative_to(ROOT / "gan_nas" if "gan_nas" in path.parts else ROOT).parts[0]
        module = module.removesuffix(".py")
        if module == "__init__":
            assert not modules_imported(path), "gan_nas/__init__.py imports nothing of ours"
            continue
        assert module in ORDER, f"{path.name} has no floor yet: give {module} a place in ORDER"
        for name in modules_imported(path) - {module}:
            assert name in ORDER, f"{path} imports gan_nas.{name}, which has no place in ORDER"
            assert ORDER.index(name) < ORDER.index(module), f"{path} imports {name} from above"
