"""Reports: whole pages of any run, in which a stranger's text stays text."""

import itertools
import json
import re
import shlex
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import chromium
import old_runs
import pytest
from PIL import Image

from gan_nas.configs import resolve
from gan_nas.errors import InvalidInput
from gan_nas.reports.html import number, page, table, words
from gan_nas.reports.records import read_record
from gan_nas.reports.repeating import repeated
from gan_nas.reports.report import report
from gan_nas.search import load_method
from gan_nas.spaces.genome import parse_genome
from gan_nas.training.config import TrainingConfig, presets_for

RUNS = sorted(path.name for path in (old_runs.FIXTURES / "runs-1").iterdir())
SCRIPTS = re.compile(r"<script>(.*?)</script>", re.DOTALL)
NASTY = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\u202e$x_$"
EMPTY = {"meta", "img", "br", "link"}


class Parser(HTMLParser):
    """Reads a page strictly: every element is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check(text: str) -> Parser:
    """Check what holds of every report, and return it read."""
    read = Parser(text)
    (script,) = SCRIPTS.findall(text)
    policy = next(a["content"] for t, a in read.tags if "http-equiv" in a and t == "meta")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert sum(tag == "script" for tag, _ in read.tags) == 1
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), tag
        if tag == "img":
            assert attributes["alt"]
    return read


FAST = "retrain-finished"
EVERY = [name if name == FAST else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]


@pytest.mark.parametrize("name", EVERY)
def test_a_report_of_any_run_is_whole(name: str, tmp_path: Path) -> None:
    run = old_runs.copy(name, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    written = report([run], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    read = check(text)
    assert written.num_bytes == len(text.encode()) < 2_000_000
    said = " ".join(read.texts)
    finished = name.endswith("finished")
    assert ("finished" if finished else "under way or interrupted") in said
    record = read_record(run)
    assert record.run_id in said
    assert all(genome.genome_id in said for genome in record.genomes)
    assert record.genomes or name == "autogan-interrupted"
    assert all(setting in said for setting in record.config)
    assert {"table", "dl", *(["svg"] if record.genomes else [])} <= {tag for tag, _ in read.tags}
    assert sum(tag == "img" for tag, _ in read.tags) >= len(record.pictures[:8])
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_numbers_and_texts_of_any_size_make_a_page(tmp_path: Path) -> None:
    run = old_runs.copy(FAST, tmp_path / "run")
    huge, most = 10**400, 2**63 - 1  # what a log and a result may hold
    result = json.loads((run / "result.json").read_text()) | {"steps": most}
    result["scores"] = [{f"score {i}": 1.0 for i in range(3000)} | {"step": most, "images": most}]
    result["real"] = {"0_score": 1e308, "1_score": 1.0}
    (run / "result.json").write_text(json.dumps(result))
    config = json.loads((run / "config.json").read_text())
    config["config"] |= {"seed": huge, "x": "y" * 10**6}
    (run / "config.json").write_text(json.dumps(config))
    rows: list[Any] = [{"step": i, f"{i}_loss": i, f"{i}_score": i} for i in range(99)]
    rows += [{"step": i, "images": i, "d_loss": huge if i % 2 else float("nan")} for i in range(9)]
    rows += [{"trial": huge, "fidelity": huge, "distance": -huge, "status": "completed"}]
    rows += [{"trial": 2, "fidelity": float("inf"), "distance": float("nan"), "words": 5}]
    (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = report([run], tmp_path / "report.html")
    check((tmp_path / "report.html").read_text())
    assert written.num_bytes < 2_000_000


@pytest.mark.slow
def test_several_runs_are_compared(tmp_path: Path) -> None:
    runs = [old_runs.FIXTURES / "runs-1" / name for name in ("retrain-finished", "degas-finished")]
    other = old_runs.copy("retrain-finished", tmp_path / "other")
    result = json.loads((other / "result.json").read_text())
    result["passport"]["num_fake"] += 1
    (other / "result.json").write_text(json.dumps(result))
    report([*runs, other], tmp_path / "report.html")
    said = " ".join(check((tmp_path / "report.html").read_text()).texts)
    assert "Together" in said
    assert "do not rank them: num_fake" in said
    with pytest.raises(InvalidInput, match="0 runs: a report holds 1 to 50"):
        report([], tmp_path / "none.html")


def spoil(value: Any) -> Any:
    """Return JSON with a nasty text in the place of every text."""
    if isinstance(value, dict):
        return {key: spoil(item) for key, item in value.items()}
    if isinstance(value, list):
        return [spoil(item) for item in value]
    return NASTY if isinstance(value, str) else value


@pytest.mark.parametrize(
    "name", [FAST, pytest.param("adversarialnas-finished", marks=pytest.mark.slow)]
)
def test_a_stranger_can_write_no_markup(name: str, tmp_path: Path) -> None:
    """In names, settings, logs, notes of genomes, results, directories and pictures."""
    run = old_runs.copy(name, tmp_path / f"<b>{name}&'")
    config = json.loads((run / "config.json").read_text())
    method, genome = config["method"], config.get("genome")
    config = spoil(config) | {"method": method} | ({"genome": genome} if genome else {})
    if genome:
        config["genome"]["source"] = {"paper": NASTY, "note": NASTY}
    (run / "config.json").write_text(json.dumps(config | {NASTY: NASTY}))
    result = json.loads((run / "result.json").read_text())
    for key in ("name", "facts", "inherited_from", "run"):
        if key in result:
            result[key] = {"x": NASTY} if key in ("facts", "inherited_from") else NASTY
    for row in result.get("genomes", ()):
        row["words"] = [NASTY]
    (run / "result.json").write_text(json.dumps(result))
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    rows += [spoil(row) for row in rows] + [{"trial": 1, "id": NASTY, "words": [NASTY]}]
    (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "samples" / "<svg onload=alert(3)>.png").write_bytes(b"<svg/onload=alert(3)>")
    (run / "best.svg").write_text("<svg onload=alert(4)/>")
    report([run], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    read = check(text)
    assert not {"b"} & {tag for tag, _ in read.tags}
    assert "alert(1)" in " ".join(read.texts)
    assert "onload=alert(4)" not in text
    assert "\x00" not in text


def test_links_and_what_is_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a run directory"):
        report([tmp_path], tmp_path / "report.html")
    run = old_runs.copy("retrain-interrupted", tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"method": "table"}))
    with pytest.raises(InvalidInput, match="makes a table of trials"):
        report([run], tmp_path / "report.html")
    (run / "samples" / "x.png").symlink_to("/etc/passwd")
    with pytest.raises(InvalidInput, match=r"x.png is a link"):
        report([run], tmp_path / "report.html")


@pytest.mark.parametrize("name", [name for name in RUNS if name.endswith("finished")])
def test_the_command_to_repeat_a_run_resolves_to_its_settings(name: str) -> None:
    record = read_record(old_runs.FIXTURES / "runs-1" / name)
    command = repeated(record)
    assert command is not None
    said = shlex.split(shlex.join(map(str, command)))
    options: dict[str, list[str]] = {}
    for option, value in itertools.pairwise(said):
        if option.startswith("--"):
            options.setdefault(option, []).append(value)
    if record.kind == "training":
        genome = parse_genome(json.dumps(record.settings["genome"]))
        assert said[:2] == ["retrain", f"{genome.genome_id}.json"]
        presets: Any = presets_for(genome.generator.space, TrainingConfig().framework)
        model: Any = TrainingConfig
    else:
        method = load_method(record.method)
        assert said[:3] == ["search", "--method", record.method]
        presets, model = method.presets, method.Config
    preset = presets[options.get("--preset", ["demo"])[0]]
    given = {name: options.get(f"--{name}", [None])[0] for name in ("precision", "seed")}
    repeats = resolve(model, dict(preset), options.get("--set", ()), given)
    assert repeats == resolve(model, dict(record.config))


def test_a_table_sorts_by_numbers_and_says_what_is_missing() -> None:
    made = table(["a", "b"], [[number(1234), words("x")], [number(None), words(None)]])
    text = page("<title>", [made])
    read = check(text)
    assert [a.get("data-key") for tag, a in read.tags if tag == "td"] == [
        "1234.0",
        None,
        None,
        None,
    ]
    assert [text for text in read.texts if text in ("1,234", "x", "-")] == ["1,234", "x", "-", "-"]
    assert "<title>&lt;title&gt;</title>" in text


@pytest.mark.slow
@pytest.mark.skipif(chromium.found() is None, reason="no Chromium here")
def test_a_browser_shows_sorts_and_prints_it(tmp_path: Path) -> None:
    runs = [old_runs.copy(name, tmp_path / name) for name in RUNS]
    report(runs, tmp_path / "report.html")
    with chromium.Page(f"file://{tmp_path / 'report.html'}") as shown:
        assert shown.errors == []
        assert all(url.startswith(("file://", "data:")) for url in shown.requests)
        images = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert shown.ask(images) == 0
        column = "[...document.querySelectorAll('table')[0].tBodies[0].rows].map(r => r.cells[0]"
        before = shown.ask(f"{column}.textContent)")
        press = "document.querySelector('table th button').click()"
        shown.ask(press)
        assert shown.ask(f"{column}.textContent)") == sorted(before)
        shown.ask(press)
        assert shown.ask(f"{column}.textContent)") == sorted(before, reverse=True)
        shown.resize(400, 800)
        assert shown.ask("document.documentElement.scrollWidth") <= 400
        shown.screenshot(tmp_path / "narrow.png")
        with Image.open(tmp_path / "narrow.png") as picture:
            assert 360 < picture.width <= 400
        shown.print(tmp_path / "report.pdf")
        assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
        assert shown.errors == []
