import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Answer, Command

from gan_nas.data import load_images
from gan_nas.metrics.inception_timing import seeded_state
from gan_nas.networks.weights import load_generator, load_generator_file, save_generator
from gan_nas.scoring.generating import generate
from gan_nas.scoring.protocols import PROTOCOLS

FRECHET = "frechet_distance[rotation]"


def test_score_names_backbone_protocol_and_the_real_score(
    gan_nas: Command, trained: Path, folder: Path
) -> None:
    unnamed = gan_nas("score", trained, "-n", 330)
    assert (unnamed.code, unnamed.out) == (2, "")
    assert f"trained on '{folder}', which is read only if you say so" in unnamed.err
    scored = gan_nas("score", trained, "-n", 330, "--seed", 3, "--data", folder, "--json")
    assert scored.code == 0
    assert scored.json["scores"].keys() == scored.json["real"].keys()
    assert FRECHET in scored.json["scores"]
    passport = scored.json["passport"]
    assert (passport["num_fake"], passport["seed"], passport["reference"]) == (330, 3, str(folder))
    assert passport["protocol"] is None
    few = gan_nas("score", trained, "-n", 50, "--data", folder)
    assert few.code == 0
    assert "50 images are few for 64 features" in few.err
    assert "take at least 320" in few.err
    assert "real, held out" in few.out


@pytest.fixture(scope="module")
def on_digits(folder: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator whose lineage says digits, which have classes."""
    del folder  # for its cache
    path = tmp_path_factory.mktemp("digits") / "generator.safetensors"
    about, tensors = load_generator_file(trained)
    told = {"data": "digits", "data_fingerprint": load_images("digits").fingerprint}
    sizes = (about.resolution, about.image_channels)
    save_generator(path, tensors, about.genome, *sizes, about.lineage | told)
    return path


def test_a_protocol_that_is_followed_is_named(
    gan_nas: Command, on_digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = PROTOCOLS["autogan"].model_copy(update={"num_fake": 330, "num_splits": 2})
    monkeypatch.setitem(PROTOCOLS, "autogan", small)
    scored = gan_nas("score", on_digits, "--protocol", "autogan")
    assert scored.code == 0
    assert "warning" not in scored.err
    assert "protocol autogan: AutoGAN's and AdversarialNAS'" in scored.out
    changed = gan_nas("score", on_digits, "--protocol", "autogan", "--splits", 3, "--json")
    assert changed.json["passport"]["protocol"] is None


def test_all_measures_come_from_one_command_with_repeats(gan_nas: Command, on_digits: Path) -> None:
    options = ("-n", 160, "--metrics", "is,fid,kid,prdc,fid-infinity", "--repeats", 3)
    scored = gan_nas("score", on_digits, *options, "--json")
    assert scored.code == 0
    names = {
        "classifier_score",
        *(f"{name}[classifier]" for name in ("precision", "recall", "density", "coverage")),
        *(f"kernel_distance[classifier]{end}" for end in ("", "_deviation")),
        *(f"frechet_distance_infinity[classifier]{end}" for end in ("", "_error")),
        "frechet_distance[classifier]",
    }
    assert scored.json["scores"].keys() == scored.json["errors"].keys() == names
    assert scored.json["real"].keys() == names
    assert scored.json["passport"]["repeats"] == 3
    assert scored.json["errors"]["classifier_score"] > 0
    table = gan_nas("score", on_digits, *options)
    assert "±" in table.out
    assert "160 images of 16 px, 3 times, seed 0" in table.out
    few = gan_nas("score", on_digits, "-n", 149, "--metrics", "fid-infinity")
    assert few.code == 2
    assert "149 images are too few for fid-infinity; take at least 150" in few.err
    assert "did you mean kid" in gan_nas("score", on_digits, "--metrics", "fid,kidd").err


def stats(gan_nas: Command, path: Path, *options: Any) -> Path:
    assert gan_nas("stats", "digits", "-o", path, *options).code == 0
    return path


def test_a_file_of_statistics_is_the_reference(
    gan_nas: Command, on_digits: Path, tmp_path: Path
) -> None:
    path = stats(gan_nas, tmp_path / "digits.npz", "--resolution", 16)
    expected = gan_nas("score", on_digits, "-n", 60, "--json").json
    scored = gan_nas("score", on_digits, "-n", 60, "--reference", path, "--json")
    assert scored.code == 0
    assert scored.json["scores"] == pytest.approx(expected["scores"], rel=1e-5)
    assert scored.json["passport"]["num_real"] == 1437
    assert "do not tell" not in scored.err
    with np.load(path) as file:
        np.savez(tmp_path / "ttur.npz", mu=file["mu"], sigma=file["sigma"])
    bare = gan_nas("score", on_digits, "-n", 60, "--reference", tmp_path / "ttur.npz", "--json")
    assert bare.code == 0
    assert bare.json["scores"] == pytest.approx(expected["scores"], rel=1e-5)
    assert "do not tell their backbone" in bare.err
    passport = bare.json["passport"]
    assert (passport["num_real"], passport["split"]) == (None, "unknown")


def test_statistics_of_something_else_are_refused(
    gan_nas: Command, on_digits: Path, folder: Path, tmp_path: Path
) -> None:
    small = stats(gan_nas, tmp_path / "small.npz", "--resolution", 8)
    foreign = tmp_path / "foreign.npz"
    assert gan_nas("stats", folder, "-o", foreign).code == 0
    (tmp_path / "cut.npz").write_bytes(small.read_bytes()[:-900])
    for name, code, said in (
        ("small", 4, "pixels along a side 8 there and 16 here"),
        ("foreign", 4, "do not fit: backbone 'rotation"),
        ("cut", 2, "is not a readable .npz file"),
        ("absent", 3, "do not exist"),
    ):
        path = tmp_path / f"{name}.npz"
        refused = gan_nas("score", on_digits, "-n", 60, "--reference", path)
        assert (refused.code, refused.out) == (code, ""), name
        assert said in refused.err
        assert str(path) in refused.err


def test_a_reference_of_another_split_is_not_the_protocols(
    gan_nas: Command, on_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = PROTOCOLS["autogan"].model_copy(update={"num_fake": 60})
    monkeypatch.setitem(PROTOCOLS, "autogan", small)
    for split, protocol in (("train", "autogan"), ("held-out", None)):
        options = ("--resolution", 16, "--split", split)
        path = stats(gan_nas, tmp_path / f"{split}.npz", *options)
        options = ("--protocol", "autogan", "--reference", path, "--json")
        passport = gan_nas("score", on_digits, *options).json["passport"]
        assert (passport["protocol"], passport["split"]) == (protocol, split)


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("command", ["score", "stats"])
def test_inception_without_weights_scores_nothing(
    gan_nas: Command, on_digits: Path, no_weights: Path, tmp_path: Path, command: str
) -> None:
    what = {"score": (on_digits, "-n", 10), "stats": ("digits", "-o", tmp_path / "x.npz")}[command]
    for options in ((), ("--weights", tmp_path / "none.pth")):
        refused = gan_nas(command, *what, "--backbone", "inception", *options)
        assert (refused.code, refused.out) == (3, "")
        file = options[1] if options else no_weights
        assert str(file) in refused.err
        assert "https://github.com/toshas/torch-fidelity" in refused.err
        assert "nothing was scored" in refused.err
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    refused = gan_nas(command, *what, "--backbone", "inception", "--weights", tmp_path / "bad.pth")
    assert (refused.code, refused.out) == (2, "")
    assert "is damaged or another file" in refused.err


@pytest.mark.parametrize("command", ["score", "stats"])
def test_options_of_inception_are_for_inception(
    gan_nas: Command, on_digits: Path, tmp_path: Path, command: str
) -> None:
    what = {"score": (on_digits, "-n", 10), "stats": ("digits", "-o", tmp_path / "x.npz")}[command]
    for options, said in (
        (("--weights", "x.pth"), "--weights is for --backbone inception, and it is classifier"),
        (("--download",), "--download is for --backbone inception"),
        (("--features-precision", "bf16"), "does not compute in 'bf16'"),
        (("--backbone", "inception", "--download", "--weights", "x"), "does not look at"),
    ):
        refused = gan_nas(command, *what, *options)
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err


def test_scores_are_written_as_json_alone(
    gan_nas: Command, on_digits: Path, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "scores.json"
    scored = gan_nas("score", on_digits, "-n", 20, "-o", path, "--json")
    assert json.loads(path.read_text()) == scored.json
    refused: Answer = gan_nas("score", on_digits, "-n", 20, "-o", tmp_path / "scores.txt")
    assert (refused.code, refused.out) == (2, "")
    assert "name a file that ends in .json" in refused.err
    assert [file.name for file in tmp_path.iterdir()] == ["deep"]


def test_a_protocol_of_held_out_images_has_them_of_a_folder_too(
    gan_nas: Command, folder: Path
) -> None:
    options = ("--data", folder, "--protocol", "sngan", "--json")
    passport = gan_nas("score", folder, *options).json["passport"]
    assert (passport["split"], passport["num_real"]) == ("held-out", 6)


def test_the_table_has_equal_numbers_beside_each_other(gan_nas: Command, on_digits: Path) -> None:
    fewer = gan_nas("score", on_digits, "-n", 400)
    assert "360 of them" in fewer.out
    assert "both of the last columns are scores of 360 images against 1,437 real" in fewer.out
    equal = gan_nas("score", on_digits, "-n", 330)
    assert "of them" not in equal.out
    assert "both columns are scores of 330 images against 1,437 real ones" in equal.out
    assert equal.out.count("±") == 4
    twice = gan_nas("score", on_digits, "-n", 400, "--repeats", 2, "--json").json
    comparison = twice["comparison"]
    assert comparison["real"] == twice["real"]
    assert comparison["generated_deviations"].keys() == twice["errors"].keys()


@pytest.fixture(scope="module")
def made(on_digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generator's first 60 images."""
    generator = load_generator(on_digits)
    images = torch.cat(list(generate(generator, 60, generator.latent_dim, 0, "cpu")))
    path = tmp_path_factory.mktemp("made") / "images.npz"
    np.savez(path, images.numpy())
    return path


def test_anybodys_images_are_scored_as_they_are(
    gan_nas: Command, on_digits: Path, made: Path
) -> None:
    expected = gan_nas("score", on_digits, "-n", 60, "--device", "cpu", "--json").json
    scored = gan_nas("score", made, "--device", "cpu", "--data", "digits", "--json")
    assert scored.code == 0
    assert "the protocol default asks for 10,000 images and these are 60" in scored.err
    assert (scored.json["scores"], scored.json["real"]) == (expected["scores"], expected["real"])
    passport = scored.json["passport"]
    assert (passport["num_fake"], passport["seed"], passport["quantise"]) == (60, None, "none")
    assert "as they are" in gan_nas("score", made, "--data", "digits", "-n", 33).out


BICUBIC = "Pillow bicubic in float to 299, (x - 128) / 128"


@pytest.mark.parametrize(
    ("protocol", "resize", "others", "said"),
    [
        pytest.param(
            *((), "TF1 bilinear to 299", ("--features-precision", "bf16"), "-bf16"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *(("--protocol", "cleanfid"), BICUBIC, ("--protocol", "pytorch-fid")),
            f"resizing '{BICUBIC}' there and 'PyTorch bilinear to 299",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_inception_from_a_file_scores_end_to_end_under_a_name_of_its_own(
    gan_nas: Command,
    on_digits: Path,
    made: Path,
    tmp_path: Path,
    protocol: tuple[str, ...],
    resize: str,
    others: tuple[str, ...],
    said: str,
) -> None:
    weights = tmp_path / "noise.pth"
    torch.save(seeded_state(), weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights = weights.rename(tmp_path / f"noise-{digest[:8]}.pth")
    inception = ("--backbone", "inception", "--weights", weights)
    few, reference = tmp_path / "few.npz", tmp_path / "reference.safetensors"
    with np.load(made) as file:
        np.savez(few, file["arr_0"][:4])
    assert gan_nas("stats", few, "-o", reference, *protocol, *inception).code == 0
    options = ("-n", 4, "--reference", reference, "--json")
    # Neither the data in the lineage nor a classifier is needed.
    what = few if protocol else on_digits
    scored = gan_nas("score", what, *protocol, *inception, *options)
    assert scored.code == 0
    assert "4 images are few for 2048 features" in scored.err
    assert scored.json["scores"].keys() == {"frechet_distance[inception]", "classifier_score"}
    assert scored.json["real"] == {}
    # They are the same four images: the distance is rounding beside the variance.
    assert scored.json["scores"]["frechet_distance[inception]"] < 1e-2
    passport = scored.json["passport"]
    assert (passport["backbone"], passport["weights"]) == ("inception", digest[:16])
    assert (passport["canonical"], passport["resize"]) == (False, resize)
    assert passport["reference"] == str(few)
    refused = gan_nas("score", what, *inception, *options, *others)
    assert (refused.code, refused.out) == (4, "")
    assert said in refused.err
