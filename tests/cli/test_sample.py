from pathlib import Path

from commands import Command
from PIL import Image


def test_sample_draws_the_same_grid_for_a_seed(
    gan_nas: Command, trained: Path, tmp_path: Path
) -> None:
    pictures = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}.png"
        answer = gan_nas("sample", trained, "-n", 6, "--columns", 3, "--seed", seed, "-o", path)
        assert answer.out == f"{path}\n"
        with Image.open(path) as picture:
            assert picture.size == (3 * (64 + 2) + 2, 2 * (64 + 2) + 2)
            pictures.append(picture.tobytes())
    assert pictures[0] == pictures[1] != pictures[2]
    assert gan_nas("sample", trained, "-n", 2, "--json").json["file"] == str(
        trained.with_suffix(".png")
    )


def test_sample_refuses_other_files(gan_nas: Command, trained: Path, tmp_path: Path) -> None:
    assert gan_nas("sample", trained, "-o", tmp_path / "grid.jpg").code == 2
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(trained.read_bytes()[:-100])
    answer = gan_nas("sample", cut)
    assert answer.code == 2
    assert "damaged" in answer.err
    assert gan_nas("sample", tmp_path / "absent.safetensors").code == 2
