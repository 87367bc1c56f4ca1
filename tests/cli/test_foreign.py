from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Answer, Command
from strange_files import CODE, STRANGE, TYPED, make

from gan_nas.spaces.published import published_genome

# Where a command takes a path: how it is called.
DIGITS = ("--data", "digits")
PLACES: dict[str, Callable[[Path | str, Path], tuple[str | Path, ...]]] = {
    "build": lambda path, _: ("build", path),
    "genomes": lambda path, _: ("genomes", path),
    "retrain": lambda path, _: ("retrain", path),
    "retrain help": lambda path, _: ("retrain", path, "--help-config"),
    "reconstruct": lambda path, _: ("reconstruct", path),
    "bench": lambda path, _: ("bench", path),
    "compare A": lambda path, _: ("compare", path, "sngan-cifar10"),
    "compare B": lambda path, _: ("compare", "sngan-cifar10", path),
    "sample": lambda path, _: ("sample", path),
    "score": lambda path, _: ("score", path),
    "reference": lambda path, trained: ("score", trained, *DIGITS, "-n", "20", "--reference", path),
    "classifier": lambda path, trained: (
        "score",
        trained,
        *DIGITS,
        "--backbone",
        f"classifier:{path}",
    ),
    "weights": lambda path, trained: (
        *("score", trained, *DIGITS, "--backbone", "inception"),
        *("--weights", path),
    ),
    "bench score": lambda path, _: ("bench", "score", "--weights", path),
    "derive": lambda path, _: ("derive", path),
    "derive help": lambda path, _: ("derive", path, "--help-config"),
    "inherit": lambda path, _: ("retrain", "sngan-cifar10", "--width", "4", "--inherit", path),
    "from": lambda path, _: ("retrain", "--from", path),
    "export": lambda path, _: ("export", path, "--to", "hub", "-o", "exported"),
    "import": lambda path, _: ("import", path, "--genome", "sngan-cifar10"),
}
# What is of the right kind, and then refused for what is in it or not.
RIGHT_KIND: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("build", "genomes", "retrain", "retrain help", "reconstruct", "bench", "sample", "export"),
        ("run",),
    ),
    "compare A": ("scores.json", "run"),
    "compare B": ("scores.json", "run"),
    "score": ("plain.zip", "arrays.npz", "nothing", "folder", "run"),
    "reference": ("arrays.npz", "weights.safetensors"),
    "classifier": ("weights.safetensors",),
    "weights": ("state.pth", "old.pt", "plain.pkl", "protocol0.ckpt", "command.pkl", "script.pt"),
    "derive": ("nothing", "folder", "run"),
    "inherit": ("nothing", "folder", "run"),
    "from": ("nothing", "folder", "run"),
}
RIGHT_KIND["bench score"] = (*RIGHT_KIND["weights"], "objects.npy")
RIGHT_KIND["weights"] = RIGHT_KIND["import"] = RIGHT_KIND["bench score"]
RIGHT_KIND["derive help"] = RIGHT_KIND["derive"]


def is_one_sentence(answer: Answer) -> bool:
    lines = [line for line in answer.err.splitlines() if not line.startswith("warning: ")]
    return answer.out == "" and lines[-1].startswith("error: ") and "Traceback" not in answer.err


@pytest.mark.parametrize(("number", "place"), list(enumerate(PLACES)))
def test_every_command_says_what_a_strange_file_is(
    gan_nas: Command, trained: Path, tmp_path: Path, number: int, place: str
) -> None:
    """What is of the right kind, and a third of the rest: every place has another."""
    for name in {*list(STRANGE)[number % 3 :: 3], *RIGHT_KIND.get(place, ()), "run"}:
        path = make(tmp_path, name)
        answer = gan_nas(*PLACES[place](path, trained))
        assert answer.code in ((2, 4, 5) if name == "run" else (2,)), (name, answer)
        assert is_one_sentence(answer), (name, answer)
        assert str(path) in answer.err
        if name not in RIGHT_KIND.get(place, ()):
            assert STRANGE[name][1] in answer.err, (name, answer)


@pytest.mark.parametrize("text", [*TYPED, CODE.replace("3", "9"), "1,0,1", "0," * 14 + "0"])
@pytest.mark.parametrize("place", PLACES)
def test_every_command_says_what_was_typed_in_place_of_a_path(
    gan_nas: Command, trained: Path, place: str, text: str
) -> None:
    answer = gan_nas(*PLACES[place](text, trained))
    assert answer.code == 2
    assert is_one_sentence(answer)
    assert TYPED.get(text, "") in answer.err


def test_the_code_of_autogan_is_built_compared_and_shown(gan_nas: Command) -> None:
    top1 = published_genome("autogan-cifar10-top1")
    for code in (CODE, CODE[1:-1], CODE[1:-1].replace(" ", ""), CODE.replace(",", "")):
        built = gan_nas("build", code, "--json").json
        assert built["genome_id"] == top1.genome_id
        assert built["generator"]["parameters"] == 4_405_251
        assert gan_nas("compare", code, "autogan-cifar10-top1").code == 0
    assert top1.genome_id in gan_nas("genomes", CODE).out


def test_the_code_of_autogan_is_trained(
    gan_nas: Command, training_options: list[str], tmp_path: Path
) -> None:
    options = [*training_options, "--width", "4", "--run", str(tmp_path / "run")]
    answer = gan_nas("retrain", CODE, *options)
    assert answer.code == 0
    assert (tmp_path / "run" / "generator.safetensors").is_file()
    refused = gan_nas("sample", CODE)
    assert refused.code == 2
    assert "a list of 14 integers: an architecture without weights, train it first" in refused.err
