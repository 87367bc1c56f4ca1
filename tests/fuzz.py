"""Mutated files through every parser: each is read, or refused by one of our errors, at once.

`python tests/fuzz.py --inputs 1000000` tries so many in this process and `--commands 500` so many
through commands, each in a process of its own. The N-th input is a function of seed and N:
`--start N --inputs 1` tries that one again. The tests try a few.
"""

import argparse
import io
import json
import logging
import random
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import costs
import hostile_files
import numpy as np
import old_runs
import tables
import torch
from PIL import Image
from safetensors.torch import save_file

from gan_nas.data.image_folder import load
from gan_nas.data.image_stream import open_images
from gan_nas.errors import GanNasError
from gan_nas.files import seal, unseal
from gan_nas.formats.foreign import identify
from gan_nas.metrics.cifar_resnet import CifarResNet, load_cifar_resnet
from gan_nas.metrics.statistics import load_statistics
from gan_nas.networks.weights import load_generator
from gan_nas.runs import checkpoints, logs
from gan_nas.runs.results import TrainingResult
from gan_nas.runs.stored import read_outcome, read_result, stored_config, stored_data
from gan_nas.scoring.comparing import read_scores
from gan_nas.spaces.published import load_genome
from gan_nas.trials.card import card
from gan_nas.trials.recipes import find_recipe
from gan_nas.trials.table import read_table

SLOW = 2.0  # seconds of the processor, for each LARGE bytes of a file
LARGE = 8 << 20  # JSON that a few edits have made so long is no small file any more
NUMBERS = [0, -1, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 10**20, 10**400, 1e308, 0.5]
OTHERS = [None, True, "", "x", "\x00", "ünï", "x" * 5000, [], {}, [[]], {"": {}}, [{}] * 500]
WORDS = (b"{", b"[", b"\0" * 4, b"\xff" * 4, b"(", b"\n", b'"', b"\xff\xda", b"IDAT", b"9" * 500)


class Parser(NamedTuple):
    """What reads a file: the name it has, what is in it at first, and how it is mutated."""

    name: str
    content: bytes
    read: Callable[[Path], object]
    mutate: Callable[[bytes, random.Random], bytes]
    command: tuple[str, ...] | None = None


def bytes_changed(content: bytes, draw: random.Random) -> bytes:
    """Change, cut, double or insert a few bytes."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        place = draw.randrange(len(data) + 1) if draw.random() < 0.5 else draw.randrange(200)
        match draw.randrange(6):
            case 0:
                data[place : place + 1] = draw.randbytes(1)
            case 1:
                data[place : place + 4] = draw.choice(
                    (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff")
                )
            case 2:
                del data[place:]
            case 3:
                data[place:place] = draw.choice(WORDS)
            case 4:
                size = draw.randrange(64)
                data[place:place] = data[place : place + size] * draw.choice((1, 1, 100))
            case 5:
                del data[place : place + draw.randrange(1, 64)]
    return bytes(data)


def value_changed(value: Any, draw: random.Random) -> Any:
    """Replace, remove or add one value somewhere in JSON."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(sorted(value))
        if draw.random() < 0.1:
            return {name: item for name, item in value.items() if name != key}
        if draw.random() < 0.05:
            return value | {draw.choice(("x", "", "\n", key + key)): draw.choice(OTHERS)}
        return value | {key: value_changed(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        if draw.random() < 0.1:
            return value[:place] + value[place + 1 :]
        if draw.random() < 0.1:
            return value * draw.choice((2, 50))
        return [*value[:place], value_changed(value[place], draw), *value[place + 1 :]]
    return draw.choice(NUMBERS if draw.random() < 0.5 else OTHERS)


def text_changed(content: bytes, draw: random.Random) -> bytes:
    """Change JSON as such, or as bytes."""
    if draw.random() < 0.2:
        return bytes_changed(content, draw)
    value = json.loads(content)
    for _ in range(draw.choice((1, 1, 3))):
        value = value_changed(value, draw)
    return json.dumps(value).encode()


def sealed_changed(content: bytes, draw: random.Random) -> bytes:
    """Change JSON that has a hash of itself, and seal it again."""
    value = json.loads(text_changed(json.dumps(unseal(content.decode())).encode(), Valid(draw)))
    return seal(value if isinstance(value, dict) else {"x": value}).encode()


class Valid(random.Random):
    """Draws like another, and never that JSON is changed as bytes."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(draw.random())
        self._is_first = True

    def random(self) -> float:
        if self.__dict__.pop("_is_first", False):
            return 1.0
        return super().random()


def header_changed(content: bytes, draw: random.Random) -> bytes:
    """Change the header of safetensors, and in it what a generator says of itself."""
    if draw.random() < 0.3:
        return bytes_changed(content, draw)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = header.get("__metadata__", {})
    if "gan_nas" in about and unseal(about["gan_nas"]) and draw.random() < 0.6:
        about["gan_nas"] = sealed_changed(about["gan_nas"].encode(), draw).decode()
    else:
        header = value_changed(header, draw)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def member_changed(content: bytes, draw: random.Random) -> bytes:
    """Change a member of a zip, or the zip."""
    if draw.random() < 0.3:
        return bytes_changed(content, draw)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw.choice(sorted(members))
    members[name] = bytes_changed(members[name], draw)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", draw.choice((0, 8))) as archive:
        for one, data in members.items():
            archive.writestr(draw.choice((one, one, one + "x")) if one == name else one, data)
    return file.getvalue()


def written(make: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    Image.fromarray(noise).save(file, kind, **more)
    return file.getvalue()


def images_in(path: Path) -> object:
    """Read a zip or npz of images to its end."""
    return list(open_images(path).batches())


def image(path: Path) -> object:
    """Read the only file of a folder as an image."""
    return images_in(path.parent)


def in_run(name: str, read: Callable[[Path], object]) -> tuple[bytes, Callable[[Path], object]]:
    """Return a file of a finished training, and what reads it among the others of the run."""
    run = old_runs.FIXTURES / "runs-1" / "retrain-finished"

    def among_others(path: Path) -> object:
        (path.parent / ".lock").touch()
        for other in run.iterdir():
            if other.is_file() and not (path.parent / other.name).exists():
                (path.parent / other.name).write_bytes(other.read_bytes())
        return read(path.parent)

    return (run / name).read_bytes(), among_others


def checkpoint(path: Path) -> object:
    """Read a checkpoint whose state is this file, under a manifest that fits."""
    folder = path.parent / "checkpoint" / "000000001"
    folder.mkdir(parents=True)
    data = path.read_bytes()
    (folder / "state.json").write_bytes(data)
    digests = {"state.json": sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(seal({"run_id": "x", "files": digests}))
    return checkpoints.newest(path.parent, "x")


def parsers() -> Iterator[Parser]:
    """Yield every parser with a small honest file."""
    genome = hostile_files.GENOME.to_json().encode()
    build = ("build", "{}")
    yield Parser("g.json", genome, lambda p: load_genome(str(p)), text_changed, build)
    matrix = io.BytesIO()
    np.save(matrix, np.ones((3, 7), np.int64))
    yield Parser("g.npy", matrix.getvalue(), lambda p: load_genome(str(p)), bytes_changed, build)
    code = b"[1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 3]"
    yield Parser("g.txt", code, lambda p: load_genome(str(p)), bytes_changed, build)
    generator = written(hostile_files.honest_generator, "g.safetensors")
    yield Parser(
        "g.safetensors",
        generator,
        load_generator,
        header_changed,
        ("sample", "{}", "-n", "2", "-o", "x.png"),
    )
    score = ("score", "g0.safetensors", "-n", "8", "--data", "digits", "--reference", "{}")
    for name, change in (("s.npz", member_changed), ("s.safetensors", header_changed)):
        content = written(hostile_files.honest_statistics, name)
        yield Parser(name, content, load_statistics, change, score)
    resnet = CifarResNet(1, 2).state_dict()
    content = written(lambda p: save_file(resnet, p), "c.safetensors")
    yield Parser("c.safetensors", content, load_cifar_resnet, header_changed)
    judged = ("score", "{}", "--data", "digits")
    npz = written(lambda p: np.savez(p, np.zeros((3, 4, 4, 1), np.uint8)), "i.npz")
    yield Parser("i.npz", npz, images_in, member_changed, judged)
    for kind, ending in zip(
        ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP"),
        ("bmp", "jpg", "png", "ppm", "tif", "webp"),
        strict=True,
    ):
        yield Parser(f"i.{ending}", picture(kind), image, bytes_changed)
    archive = written(zipped, "i.zip")
    yield Parser("i.zip", archive, images_in, member_changed, judged)
    train = ("retrain", "g0.json", "--data", "{}", "--dry-run")
    yield Parser("d.zip", archive, partial(load, cache=None), member_changed, train)
    scores = (Path(__file__).parent / "golden" / "scores_0_1.json").read_bytes()
    yield Parser("s.json", scores, read_scores, text_changed, ("compare", "{}", "{}"))
    few = find_recipe("tied-digits", ["only=2"])
    table = written(tables.made_up(few).save, "t.json")
    yield Parser(
        "t.json", table, lambda p: card(read_table(p)), sealed_changed, ("table", "show", "{}")
    )
    for name, read in (
        ("config.json", stored_data),
        ("config.json", stored_config),
        ("result.json", lambda run: read_result(run, TrainingResult)),
        ("log.jsonl", lambda run: logs.read(run / "log.jsonl")),
    ):
        data, among_others = in_run(name, read)
        yield Parser(name, data, among_others, bytes_changed if name[0] == "l" else text_changed)
    _, among_others = in_run("config.json", read_outcome)
    outcome = b'{"outcome": "collapsed", "why": "so", "good_step": 3}'
    yield Parser("outcome.json", outcome, among_others, text_changed)
    state = b'{"step": 1, "state": {"ledger": {}}, "log_bytes": 0}'
    yield Parser("state.json", state, checkpoint, text_changed)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(18):
            archive.writestr(f"{i}.png", hostile_files.png(8, 8, 0))
        labels = [[f"{i}.png", i % 2] for i in range(18)]
        archive.writestr("dataset.json", json.dumps({"labels": labels}))


def mutated(parser: Parser, seed: int, number: int) -> bytes:
    """Return the input of this number."""
    return parser.mutate(parser.content, random.Random(f"{seed} {number}"))


def cleared(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def tries(num: int, seed: int, folder: Path, start: int = 0) -> list[str]:
    """Read so many mutated inputs by their parsers in turn, and return what went wrong."""
    all_parsers, wrong = list(parsers()), []
    for number in range(start, start + num):
        parser = all_parsers[number % len(all_parsers)]
        cleared(folder)
        path = folder / parser.name
        path.write_bytes(mutated(parser, seed, number))
        begun = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                identify(path)
                parser.read(path)
        except GanNasError as error:
            if not str(error).isprintable():
                wrong.append(f"{number}, {parser.name}: not printable: {ascii(str(error))[:200]}")
        except Exception as error:  # whatever it is, a user would be told of a bug
            wrong.append(f"{number}, {parser.name}: {type(error).__name__}: {str(error)[:200]}")
        seconds = time.process_time() - begun
        if seconds > SLOW * max(1, ceil(path.stat().st_size / LARGE)):
            wrong.append(f"{number}, {parser.name}: {seconds:.1f} s")
    return wrong


def commands(num: int, seed: int, folder: Path, start: int = 0) -> list[str]:
    """Give so many mutated inputs to commands, each in a process of its own."""
    costs.prepare()
    hostile_files.GENOME.save(folder / "g0.json")
    hostile_files.honest_generator(folder / "g0.safetensors")
    (folder / "x").mkdir()
    some = [parser for parser in parsers() if parser.command]
    bases: dict[str, costs.Cost] = {}
    wrong = []
    for number in range(start, start + num):
        parser = some[number % len(some)]
        path = folder / "x" / parser.name
        words = [word.format(path) for word in parser.command or ()]
        if parser.name not in bases:
            path.write_bytes(parser.content)
            bases[parser.name] = costs.cost(words, folder)
        path.write_bytes(mutated(parser, seed, number))
        found, base = costs.cost(words, folder), bases[parser.name]
        path.unlink()
        seconds, memory = found.seconds - base.seconds, found.memory - base.memory
        if (
            found.code not in (0, 1, 2, 4)
            or seconds > costs.MOST_SECONDS
            or memory > costs.MOST_MEMORY
        ):
            spent = f"{seconds:.1f} s, {memory / hostile_files.MIB:.0f} MiB"
            wrong.append(f"{number}, {parser.name}: ends with {found.code}, {spent}: {found.said}")
    return wrong


def main() -> None:
    """Try so many inputs, and say what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=0)
    parser.add_argument("--commands", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable()  # of each damaged log and checkpoint
    begun, wrong = time.monotonic(), 0
    for what, num in ((tries, asked.inputs), (commands, asked.commands)):
        for first in range(asked.start, asked.start + num, 1000):
            with tempfile.TemporaryDirectory() as folder:
                size = min(1000, asked.start + num - first)
                for line in what(size, asked.seed, Path(folder), first):
                    wrong += 1
                    print(f"{what.__name__}: {line}", flush=True)
    print(
        f"{asked.inputs:,} inputs and {asked.commands:,} commands, {wrong} wrong, "
        f"{time.monotonic() - begun:.0f} s"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
