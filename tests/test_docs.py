"""What README and docs tell to type works; what they name is there; all of it is run or parsed.

A block of commands or Python is run in the order of its page, in a folder of the page's own, with
sizes reduced. One that cannot be run says why in a comment above it, `<!-- not run: REASON -->`,
and is parsed alone: its commands, options and settings exist. `ID` and `...` in a path stand for
whatever is there.
"""

import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import reference
import strangers
import tiny
import torch
import victims
from commands import COMMANDS, STUDY, sets
from PIL import Image
from typer.main import get_command

import gan_nas as gn
from gan_nas.cli.commands import SUB_COMMANDS, app, run
from gan_nas.configs import resolve
from gan_nas.search import load_method
from gan_nas.spaces.published import published_names
from gan_nas.training.config import presets_for

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text("utf-8")
GROUP: Any = get_command(app)
LANGUAGES = {"sh", "python", "text", "toml"}
SHELL = {"mkdir", "pip", "nox", "cd", "python", "git", "torchrun", "ray", "sbatch"}
CHEAP = {"genomes", "compare", "schema", "table"}  # of these, blocks without runs are
HEAVY = r"\b(train|score|search|load_images|read_scores)\("


class Block(NamedTuple):
    """A fenced block: its language, its text, why it is not run, which file it is part of."""

    page: Path
    language: str
    text: str
    comment: str

    @property
    def is_run(self) -> bool:
        return not self.comment.startswith("not run: ")

    @property
    def is_cheap(self) -> bool:
        """Tell whether it takes a moment and needs nothing of the blocks before it."""
        if self.language == "python":
            return not re.search(HEAVY, self.text)
        words = [list(line) for line in lines_of(self)]
        return all(w[0] == "gan-nas" and w[1] in CHEAP for w in words) and not any(
            re.search(r"/|\.json|toy", word) for w in words for word in w
        )


def blocks_of(page: Path) -> list[Block]:
    pattern = r"(?:^<!-- (.*?) -->\n)?^```(\S*)\n(.*?)^```$"
    found = re.findall(pattern, page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [
        Block(page, language, text, comment)
        for comment, language, text in found
        if not language.startswith("{")
    ]


def lines_of(block: Block, variables: dict[str, str] | None = None) -> Iterator[list[str]]:
    """Yield the words of each command, NAME=VALUE lines read and filled in, prefixes left out."""
    known = {} if variables is None else variables
    text = block.text.replace("\\\n", " ")
    for line in re.split(r"\n|&&", text):
        words = shlex.split(line, comments=True)
        while words and (found := re.fullmatch(r"([A-Z_]+)=(.*)", words[0])):
            known[found[1]] = found[2]
            words = words[1:]
        for name, value in known.items():
            words = [word.replace(f"${name}", value) for word in words]
        if words:
            yield words


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMAND_BLOCKS = [block for block in BLOCKS if block.language == "sh"]
CHEAP_BLOCKS = [
    b
    for b in BLOCKS
    if b.language in ("sh", "python") and b.is_run and b.is_cheap and not b.comment
]
RUN_PAGES = [page for page in PAGES if any(b.is_run for b in blocks_of(page)) and page != PAGES[0]]


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Read a command's words as the command line does; return its name and its parameters."""
    name = " ".join(words[:2]) if " ".join(words[:2]) in SUB_COMMANDS else words[0]
    assert name in GROUP.commands, f"there is no gan-nas {name}"
    arguments = words[len(name.split()) :]
    with GROUP.make_context("gan-nas", ["--", name], resilient_parsing=True) as group:
        context = GROUP.commands[name].make_context(name, arguments, parent=group)
    return name, context.params


def settings_of(name: str, given: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    """Return the Config that a command's --set is for, and its preset; None where it has none."""
    preset = given.get("preset", "demo")
    if name == "search":
        method = load_method(given["method"])
        return method.Config, method.presets[preset]
    if name == "study":
        study = reference.load_study(given["name"])
        return study.Config, study.presets[preset]
    if name == "reconstruct":
        degas = load_method("degas")
        return degas.Config, degas.presets[preset]
    if name in ("retrain", "derive"):
        presets = presets_for("autogan", given.get("framework"))
        return reference.TrainingConfig, presets[preset]
    return None


def ids(block: Block) -> str:
    return f"{block.page.stem}-{blocks_of(block.page).index(block)}"


def test_every_block_says_what_it_is_and_why_it_is_not_run() -> None:
    for block in BLOCKS:
        assert block.language in LANGUAGES, block
        assert not block.comment or re.match(r"not run: \w|file: \w", block.comment), block


@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=ids)
def test_every_command_option_and_setting_of_a_block_exists(block: Block, plugin: Path) -> None:
    variables: dict[str, str] = {}
    for before in COMMAND_BLOCKS:  # a page's variables hold to its end
        if before.page == block.page and before is not block:
            list(lines_of(before, variables))
        elif before is block:
            break
    for words in lines_of(block, variables):
        if words[0] != "gan-nas":
            assert words[0] in SHELL, f"{words[0]} is neither a command of ours nor allowed"
            assert words[0] == "mkdir" or not block.is_run, words
            continue
        name, given = parsed(words[1:])
        sets = given.get("sets") or ()
        if sets:
            found = settings_of(name, given)
            assert found, words
            assert resolve(found[0], found[1], sets)


def test_every_example_of_a_help_parses() -> None:
    page = Path("help.md")
    examples = re.findall(r"```sh\n(.*?)```", reference.commands(), re.DOTALL)
    assert len(examples) > 5
    for example in examples:
        for words in lines_of(Block(page, "sh", example, "")):
            own = words[1 : words.index(">")] if ">" in words else words[1:]
            assert parsed(own) or "..." in own


def test_the_first_screen_has_the_two_set_up_commands_and_the_whole_is_short() -> None:
    first_screen = "\n".join(README.splitlines()[:25])
    assert "pip install . && gan-nas search --method autogan" in first_screen
    assert "pip install nox && nox" in first_screen
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_all_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    everywhere = {o for c in (GROUP, *GROUP.commands.values()) for p in c.params for o in p.opts}
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    own = set() if page.stem == "many-machines" else options - everywhere - {"--debug", "--help"}
    assert own == set()
    known = reference.owners()
    for code in reference.CODE_SPAN.findall(text):
        if code.startswith("gan-nas "):
            assert code.split()[1] in {*GROUP.commands, "COMMAND", "..."}, f"there is no {code}"
        elif found := reference.setting_of(code, known):
            field = known[found["owner"]].model_fields.get(found["name"])
            assert field, f"{code}: {found['owner']} has no such setting"
        elif re.match(r"(gan_nas|cli|tests|genomes|docs)/", code) and not re.search("[*<]", code):
            assert (ROOT / code.split()[-1]).exists(), f"there is no {code}"
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        assert "://" in link or (page.parent / link).exists(), f"there is no {link}"


PAPERS = re.split(r"^## ", (ROOT / "docs/papers.md").read_text("utf-8"), flags=re.MULTILINE)
PAPER_TRAININGS = {
    "AutoGAN": ("autogan", None),
    "AdversarialNAS": ("adversarialnas", None),
    "DEGAS": ("degas", "ctgan"),
    "MMD-AdversarialNAS": ("adversarialnas", "mmd"),
    "R3GAN": ("autogan", "r3gan"),
}


def test_values_in_the_tables_of_papers_are_those_of_their_presets() -> None:
    known, checked = reference.owners(), 0
    for section in PAPERS:
        title = section.partition("\n")[0]
        for row in re.findall(r"^\|.*$", section, re.MULTILINE):
            for code in reference.CODE_SPAN.findall(row):
                found = reference.setting_of(code, known)
                if not found or found["value"] is None:
                    continue
                owner, name = found["owner"], found["name"]
                if owner == "training":
                    presets: Any = presets_for(*PAPER_TRAININGS[title])  # type: ignore[arg-type]
                else:
                    presets = load_method(owner).presets
                preset = presets["eagan" if owner == "evolution" else "paper"]
                said = resolve(known[owner], preset, [f"{name}={found['value']}"])
                assert getattr(said, name) == getattr(resolve(known[owner], preset), name), code
                checked += 1
    assert checked > 60


def test_the_reference_has_every_command_option_setting_and_public_name() -> None:
    commands, settings, api = reference.commands(), reference.settings(), reference.api()
    for name in COMMANDS:
        assert f"## gan-nas {name}\n" in commands
        for parameter in GROUP.commands[name].params:
            for option in parameter.opts:
                assert not option.startswith("-") or option in commands
    for owner, config in reference.owners().items():
        for name in config.model_fields:
            assert f"```{{confval}} {owner}.{name}\n" in settings
    assert set(re.findall(r"^## (\w+)$", api, re.MULTILINE)) == set(gn.__all__)


OF_THE_PLUGIN = [
    strangers.PLUGIN / "pyproject.toml",
    *sorted((strangers.PLUGIN / "gan_nas_toy").glob("[!_]*.py")),
]


@pytest.mark.parametrize("path", OF_THE_PLUGIN, ids=lambda path: path.name)
def test_the_guides_are_the_tests_own_package_line_by_line(path: Path) -> None:
    name = path.relative_to(strangers.PLUGIN).as_posix()
    texts = [block.text for block in BLOCKS if block.comment == f"file: {name}"]
    assert _filled(*texts) == _filled(path.read_text("utf-8"))


def _filled(*texts: str) -> list[str]:
    return [line for text in texts for line in text.splitlines() if line]


class Typist:
    """Types the blocks of a page, with sizes reduced."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def types(self, block: Block) -> None:
        if block.language == "python":
            text = block.text
            for whole, part in SMALLER_PYTHON.items():
                text = re.sub(whole, part, text)
            exec(compile(text, str(block.page), "exec"), self.names)  # noqa: S102 - our own pages
            return
        for words in lines_of(block, self.variables):
            if words[0] != "gan-nas":
                subprocess.run(words, check=True)
                continue
            if "--watch" in words:  # redraws a terminal, for ever
                continue
            arguments = [self._found(word) for word in words[1:]]
            code = run([*arguments, *_smaller(arguments)])
            assert code == 0 or (code == 1 and arguments[0] == "compare"), words

    def _found(self, word: str) -> str:
        """Replace ID and ... in a path by what is there."""
        if word == "folder-of-images":
            make_images(Path(word))
        if word == "checkpoint.pth":
            victims.authors_checkpoint(Path(), word)
        if word == "cifar10":  # is not here
            return "digits"
        pattern = re.sub(r"\bID\b|\.\.\.", "*", word)
        if pattern == word:
            return word
        return str(max(Path().glob(pattern), key=lambda path: path.stat().st_mtime))


def make_images(folder: Path) -> None:
    """Write a few grey images of 8 pixels."""
    folder.mkdir()
    for number, pixels in enumerate(tiny.digits().held_out[:60]):
        Image.fromarray(pixels[0].numpy()).save(folder / f"{number}.png")


TRAINING = {**tiny.TRAINING, "steps": 2, "num_scored": 60}
SMALLER_PYTHON = {
    r"resized\(16, 16\)": "resized(4, 4)",
    r'training_preset\(genome, "demo"\)': f'training_preset(genome, "demo", **{TRAINING})',
    r"gn\.score\(generator, digits\)": "gn.score(generator, digits, num=20)",
    r'method\.presets\["demo"\]\)': f'(method.presets["demo"] | {tiny.DEGAS}))',
}
STUDIES = {
    "strategies": {"runs": 10, "budget": 3, "strategies": ("evolution",)},
    "proxy": {"zero_cost": False},
    "noise": {},
}


def _smaller(words: list[str]) -> list[str]:
    """Return options that make a command short; what is set last counts."""
    name, given = parsed(words)
    if name == "search":
        searched = tiny.SETTINGS[given["method"]]
        others = ("evaluator", "resolution") if given["evaluator"] != "shared" else ("resolution",)
        if given["evaluator"] == "shared":
            searched = searched | {"supernet_images": 40}
        elif given["method"] == "evolution":
            searched = searched | tiny.ALONE
        return sets({k: v for k, v in searched.items() if k not in others})
    if name in ("retrain", "derive"):
        width = ["--width", "4"] if given.get("reference") in published_names() else []
        return [*width, *sets(TRAINING)] if name == "retrain" or given["retrain"] else []
    if name == "study":
        return sets(STUDIES.get(given["name"], STUDY))
    return ["-n", "60"] if name == "score" and not Path(words[1]).is_dir() else []


@pytest.mark.parametrize("block", CHEAP_BLOCKS, ids=ids)
def test_a_cheap_block_runs(block: Block, tmp_path: Path) -> None:
    with chdir(tmp_path):
        Typist().types(block)


def test_the_python_example_trains_draws_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = [b.text for b in blocks_of(PAGES[0]) if b.language == "python"]
    smaller = {**tiny.TRAINING, "steps": 2, "num_scored": 20}
    for whole, part in (
        ("resized(16, 16)", "resized(4, 4)"),
        ('"demo")', f'"demo", **{smaller})'),
        ("digits).", "digits, num=20)."),
    ):
        assert whole in example
        example = example.replace(whole, part)
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text(example, encoding="utf-8")
    found = runpy.run_path("example.py")
    images, generator = found["images"], found["generator"]
    assert (images.shape, images.dtype) == ((64, 1, 16, 16), torch.float32)
    assert images.abs().max() <= 1
    assert isinstance(generator, gn.Generator)
    assert not generator.training
    assert generator.genome == gn.load_genome("autogan-cifar10-top1").resized(4, 4)
    assert (generator.resolution, generator.lineage["data"]) == (16, "digits")
    assert "frechet_distance[classifier]" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("page", [PAGES[0], *RUN_PAGES], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_in_their_order(page: Path, plugin: Path, tmp_path: Path) -> None:
    typist = Typist()
    with chdir(tmp_path):
        for block in blocks_of(page):
            if block.language in ("sh", "python") and not block.comment:
                typist.types(block)
    torch.set_num_threads(1)


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="gan-nas[docs] is not installed")
    program = [sys.executable, "-P", "-m", "sphinx", "-W", "-q", "-E"]
    built = subprocess.run(
        [*program, ROOT / "docs", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, "")
    assert {f"{page.stem}.html" for page in PAGES[1:]} <= {p.name for p in tmp_path.iterdir()}
