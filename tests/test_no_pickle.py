import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("gan_nas", "cli", "genomes", "tests")
FILES = [ROOT / "noxfile.py", *(f for name in FOLDERS for f in (ROOT / name).rglob("*.py"))]
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# torchvision's loader unpickles after its md5 check; no other way leads into these archives.
# Inception's weights are published as a .pth file: read after a hash check, with weights_only.
# So are the checkpoints of AutoGAN's and AdversarialNAS' authors, with weights_only.
# strange_files and the hostile ones write pickles, which commands have to refuse, and victims
# writes one that `import` takes; none of them reads any.
EXCEPTIONS = {
    ("tests/test_docs.py", "calls exec()"),  # blocks of our own pages
    ("gan_nas/data/cifar10.py", "torchvision's CIFAR loader unpickles"),
    ("gan_nas/formats/checkpoint.py", "torch.load and torch.save pickle"),
    ("gan_nas/metrics/inception.py", "torch.load and torch.save pickle"),
    ("tests/cli/test_score.py", "torch.load and torch.save pickle"),
    ("tests/cli/test_export.py", "torch.load and torch.save pickle"),
    ("tests/exports/test_programs.py", "torch.load and torch.save pickle"),
    ("tests/networks/test_published.py", "torch.load and torch.save pickle"),
    ("tests/metrics/test_inception.py", "torch.load and torch.save pickle"),
    ("tests/strange_files.py", "torch.load and torch.save pickle"),
    ("tests/hostile.py", "torch.load and torch.save pickle"),
    ("tests/hostile_files.py", "torch.load and torch.save pickle"),
    ("tests/victims.py", "torch.load and torch.save pickle"),
    ("tests/strange_files.py", "imports pickle"),
}


def complaints(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                roots = {alias.name.split(".")[0] for alias in names}
                if roots & UNPICKLERS:
                    yield f"imports {', '.join(roots)}"
            case ast.ImportFrom(module=str(module), names=names):
                if module.split(".")[0] in UNPICKLERS:
                    yield f"imports {module}"
                if module == "torch" and any(alias.name in ("load", "save") for alias in names):
                    yield "torch.load and torch.save pickle"
                if module.startswith("torchvision.datasets") and any(
                    alias.name.startswith("CIFAR") for alias in names
                ):
                    yield "torchvision's CIFAR loader unpickles"
            case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save"):
                yield "torch.load and torch.save pickle"
            case ast.Attribute(attr=("CIFAR10" | "CIFAR100")):
                yield "torchvision's CIFAR loader unpickles"
            case ast.Call(func=ast.Name(id=("eval" | "exec") as name)):
                yield f"calls {name}()"
            case ast.Call(func=ast.Attribute(attr="cuda")):
                yield "calls .cuda(); the device is an argument"
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                yield "allows numpy to unpickle"
            case ast.ExceptHandler(type=None):
                yield "has a bare except"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_unpickles_evaluates_or_hides_errors(path: Path) -> None:
    with tokenize.open(path) as file:
        found = {(str(path.relative_to(ROOT)), complaint) for complaint in complaints(file.read())}
    assert found <= EXCEPTIONS


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, dill",
        "from joblib import load",
        "from torch import load",
        "torch.load(path)",
        "eval(text)",
        "exec(text)",
        "net.cuda()",
        "np.load(path, allow_pickle=True)",
        "from torchvision.datasets import CIFAR10",
        "torchvision.datasets.CIFAR10(root)",
        "try:\n  f()\nexcept:\n  pass",
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert list(complaints(source))


@pytest.mark.parametrize("source", ["net.eval()", "load_file(path)", "torch.cuda.is_available()"])
def test_the_search_leaves_harmless_lines_alone(source: str) -> None:
    assert not list(complaints(source))
