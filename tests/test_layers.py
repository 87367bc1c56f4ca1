import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A file imports from its own floor and from those before it. The first is of single files.
FILES = ("errors", "escapes", "files", "streams", "configs", "plugins", "progress", "versions")
FLOORS = re.findall(
    r"\w+",
    "formats machine tables spaces networks data metrics scoring runs training exports trials "
    "search studies reports bench cli __main__",
)


def imports(path: Path) -> Iterator[list[str]]:
    """Yield what follows `gan_nas.` in a file's imports, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import; write it out"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1:] for name in names if name.startswith("gan_nas."))


def sources() -> Iterator[tuple[Path, str]]:
    """Yield every source file with its floor: a folder's name, or a file's."""
    for folder in ("gan_nas", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / "gan_nas" if folder == "gan_nas" else ROOT).parts
            yield path, parts[0].removesuffix(".py")


def height(floor: str) -> int:
    assert floor in (*FILES, *FLOORS), f"{floor} has no floor yet: give it a place"
    return 0 if floor in FILES else 1 + FLOORS.index(floor)


def test_every_file_imports_only_from_its_own_floor_and_from_those_below() -> None:
    for path, floor in sources():
        if floor == "__init__":
            continue
        for name, *_ in imports(path):
            if name != "__version__":
                assert height(name) <= height(floor), f"{path} imports {name} from above"


def test_no_method_knows_another() -> None:
    folder = ROOT / "gan_nas/search"
    methods = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert methods >= {"autogan", "adversarialnas", "degas"}
    for method in methods:
        for path in (folder / method).rglob("*.py"):
            known = {name for floor, name, *_ in imports(path) if floor == "search"}
            assert not known & methods - {method}, f"{path} knows another method"
