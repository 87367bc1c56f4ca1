import json
import os
import subprocess
from pathlib import Path

import pytest
from commands import Command, sets
from nasty import NAMES, OF_TERMINALS, is_safe
from tiny import SEARCH, TRAINING

from gan_nas.networks.weights import load_generator_file, save_generator
from gan_nas.spaces.genome import Source

QUICK = sets(TRAINING | {"steps": 1, "score_every": 1, "num_scored": 40})
SHELLS = '-it\'s "a" $HOME `id` %s;&|*~'
TERMINALS = "-\x1b]0;t\x07\n[red]:boom:\u202e"
NO_UTF8 = os.fsdecode(b"\xff\xfe")


def suggested(err: str) -> dict[str, list[str]]:
    """Let a shell take apart the commands that were suggested, by what they do."""
    found = {}
    for line in err.splitlines():
        purpose, gap, command = line.partition("  ")
        if gap and command.strip().startswith("gan-nas "):
            done = subprocess.run(
                ["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True
            )
            found[purpose] = os.fsdecode(done.stdout).split("\0")[1:-1]
    return found


def test_what_is_suggested_works_from_search_to_score(
    gan_nas: Command,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    name = SHELLS + TERMINALS
    Path(name).symlink_to(folder)
    run = f"-run{name}{NO_UTF8}"
    few = {"reward": "frechet", "top_k": 1, "discriminator_steps": 3, "controller_steps": 1}
    settings = sets(SEARCH | few)
    searched = gan_nas("search", "--method", "autogan", f"--data={name}", f"--run={run}", *settings)
    assert searched.code == 0, searched.err
    after_search = suggested(searched.err)
    assert set(after_search) == {"train them all", "train the best"}

    trained = gan_nas(*after_search["train the best"], *QUICK)
    assert trained.code == 0, trained.err
    after_training = suggested(trained.err)
    assert set(after_training) == {"look", "score"}

    derived = gan_nas(*after_search["train them all"], "--top-k", 1, *QUICK)
    assert derived.code == 0, derived.err
    after_deriving = suggested(derived.err)
    assert set(after_deriving) == {"look", "score"}

    answers = [searched, trained, derived]
    for commands in (after_training, after_deriving):
        answers += [gan_nas(*commands["look"], "-n", 4), gan_nas(*commands["score"], "-n", 20)]
    for answer in answers:
        assert answer.code == 0, answer.err
        assert is_safe(answer.out)
        assert is_safe(answer.err)


def test_derive_suggests_what_it_was_asked_for(
    gan_nas: Command, finished_search: Path, folder: Path
) -> None:
    options = ("--top-k", "2", "--max-params", "1G", "--data", folder)
    answer = gan_nas("derive", finished_search, *options)
    assert answer.code == 0
    assert suggested(answer.err)["train them all"] == [
        *("derive", str(finished_search), "--retrain"),
        *("--top-k", "2", "--max-params", "1G", "--data", str(folder)),
    ]


def test_a_data_path_that_is_no_utf8_is_refused_before_the_work(
    gan_nas: Command, folder: Path, trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / NO_UTF8
    path.symlink_to(folder)
    for command in (
        ("search", "--method", "autogan", "--data", path),
        ("retrain", "sngan-cifar10", "--data", path),
        ("score", trained, "--data", path),
    ):
        answer = gan_nas(*command)
        assert answer.code == 2
        assert "is not UTF-8, as what runs write must be: rename it" in answer.err
    scored = gan_nas("score", path, "--data", folder, "--json")
    assert scored.json["name"] == f"{tmp_path}/\\xff\\xfe"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_interrupted_command_is_suggested_as_it_was_typed(
    gan_nas: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from gan_nas.cli import build
    from gan_nas.errors import Interrupted

    def interrupt(reference: str) -> None:
        raise Interrupted("stopped")

    monkeypatch.setattr(build, "load_genome", interrupt)
    answer = gan_nas("build", "--", name)
    assert answer.code == 75
    assert is_safe(answer.err)
    line = answer.err.partition("go on  ")[2].removesuffix("\n")  # a name may hold lines
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert os.fsdecode(done.stdout).split("\0")[:-1] == ["gan-nas", "build", "--", name]


@pytest.mark.parametrize(
    "name",
    [
        "".join(OF_TERMINALS[:3]),
        *(pytest.param(name, marks=pytest.mark.slow) for name in OF_TERMINALS[3:]),
    ],
)
def test_genomes_and_generators_of_any_name_are_shown_safely(
    gan_nas: Command, trained: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name.replace("/", "_")
    folder.mkdir()
    genome, generator = folder / "g.json", folder / "g.safetensors"
    assert gan_nas("genomes", "--sample", "autogan", "-o", folder).code == 0
    drawn = next(folder.glob("*.json")).rename(genome)
    generator.write_bytes(trained.read_bytes())
    for command in (
        ("genomes", drawn),
        ("genomes", "--sample", "autogan", "-o", folder),
        ("genomes", "--sample", "autogan", "-o", folder, "--json"),
        ("build", genome, "-o", folder / "fresh.safetensors"),
        ("build", genome, "-o", folder / "fresh.safetensors", "--json"),
        ("compare", genome, genome),
        ("sample", generator, "-n", "4"),
        ("sample", generator, "-n", "4", "--json"),
        ("retrain", genome, "--dry-run", "--width", "4", "--run", folder / "run"),
        ("retrain", genome, "--dry-run", "--width", "4", "--run", folder / "run", "--json"),
        ("doctor", "--data-root", folder),
    ):
        answer = gan_nas(*command)
        assert answer.code == 0, (command, answer.err)
        assert is_safe(answer.out), command
        assert is_safe(answer.err), command


@pytest.mark.parametrize("text", OF_TERMINALS[:-2])
def test_what_strangers_wrote_into_scores_and_metadata_is_shown_safely(
    gan_nas: Command, trained: Path, tmp_path: Path, text: str
) -> None:
    passport = dict.fromkeys(("image_side", "num_fake", "num_splits", "num_real", "seed"), 1)
    texts = ("backbone", "weights", "resize", "reference", "reference_fingerprint", "precision")
    passport |= dict.fromkeys([*texts, "torch", "gan_nas"], text)  # type: ignore[arg-type]
    passport |= {"backbone_side": 8, "quantise": "floor"}  # type: ignore[dict-item]
    scores = {"name": text, "scores": {text: 1.0, "fid": 2.0}, "errors": {}, "real": {}}
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text(json.dumps(scores | {"passport": passport}))
    b.write_text(json.dumps(scores | {"passport": passport | {"reference": text * 2}}))
    told = [gan_nas("compare", a, b), gan_nas("compare", a, b, "--any-passport")]
    told += [gan_nas("compare", a, b, "--any-passport", "--json"), gan_nas("compare", a, a)]
    assert [answer.code for answer in told] == [4, 0, 0, 0], told

    about, tensors = load_generator_file(trained)
    lineage = about.lineage | {"data": text, "method": text}
    path = tmp_path / "g.safetensors"
    genome = about.genome.model_copy(update={"source": Source(note=text, where=text)})
    save_generator(path, tensors, genome, about.resolution, about.image_channels, lineage)
    told += [gan_nas("sample", path, "-n", 4), gan_nas("score", path)]
    genome.save(tmp_path / "genome.json")
    told += [gan_nas("genomes", tmp_path / "genome.json")]
    told += [gan_nas("genomes", tmp_path / "genome.json", "--json")]
    assert [answer.code for answer in told[4:]] == [0, 2, 0, 0], told

    bad = tmp_path / "bad.json"
    for content in ({text: 1}, {"name": text}, {"generator": {text: text, "space": text}}):
        bad.write_text(json.dumps({"discriminator": {}} | content))
        told.append(gan_nas("build", bad))
        assert told[-1].code == 2
    for answer in told:
        assert is_safe(answer.out)
        assert is_safe(answer.err)
