from pathlib import Path

from commands import Command


def test_score_names_backbone_protocol_and_the_real_score(
    gan_nas: Command, trained: Path, folder: Path
) -> None:
    scored = gan_nas("score", trained, "-n", 330, "--seed", 3, "--json")
    assert scored.code == 0
    assert scored.json["scores"].keys() == scored.json["real"].keys()
    assert "frechet_distance[rotation]" in scored.json["scores"]
    passport = scored.json["passport"]
    assert (passport["num_fake"], passport["seed"], passport["reference"]) == (330, 3, str(folder))
    again = gan_nas("score", trained, "-n", 330, "--seed", 3, "--data", folder, "--json")
    assert again.json == scored.json
    few = gan_nas("score", trained, "-n", 50)
    assert few.code == 0
    assert "take at least 320" in few.err
    assert "real, held out" in few.out


def test_score_needs_data_of_the_same_kind(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.safetensors"
    options = ("--width", 4, "--resolution", 16, "-o", fresh)
    assert gan_nas("build", "sngan-cifar10", *options, "--channels", 3).code == 0
    unknown = gan_nas("score", fresh, "-n", 10)
    assert unknown.code == 2
    assert "name some with --data" in unknown.err
    colour = gan_nas("score", fresh, "-n", 10, "--data", "digits")
    assert colour.code == 4
    assert "makes images of 3 channels and digits has 1" in colour.err
