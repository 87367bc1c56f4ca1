from pathlib import Path

from commands import Command


def test_doctor_finds_data_sets_and_says_what_to_do(gan_nas: Command, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    answer = gan_nas("doctor", "--data-root", tmp_path, "--json")
    assert answer.code == 0
    found = {finding["what"]: finding for finding in answer.json["findings"]}
    assert found["digits"]["ok"]
    assert found["cifar10"]["ok"]
    assert not found["stl10"]["ok"]
    assert "GAN_NAS_DATA_ROOT" in found["stl10"]["advice"]
    assert {"python", "torch", "CPU", "compiler", "cache", "determinism"} <= found.keys()


def test_doctor_prints_a_table_and_never_fails(gan_nas: Command, tmp_path: Path) -> None:
    answer = gan_nas("doctor", "--data-root", tmp_path / "absent")
    assert answer.code == 0
    assert "missing" in answer.out


def test_doctor_says_which_operations_of_a_genome_a_gpu_leaves_to_chance(
    gan_nas: Command,
) -> None:
    answer = gan_nas("doctor", "adversarialnas-cifar10", "--json")
    (found,) = (one for one in answer.json["findings"] if "on a GPU" in one["what"])
    assert found["ok"]
    assert "operations of a training are deterministic" in found["found"]
    assert gan_nas("doctor", "no-such-genome").code == 2
