from pathlib import Path

import pytest
from commands import Command

from gan_nas.networks.weights import load_generator_file
from gan_nas.spaces.published import published_genome


def test_build_counts_what_the_paper_says(gan_nas: Command) -> None:
    built = gan_nas("build", "autogan-cifar10-top1", "--json").json
    genome = published_genome("autogan-cifar10-top1")
    assert built["genome_id"] == genome.genome_id
    assert built["generator_id"] == built["generator"]["id"] == genome.generator_id
    assert built["resolution"] == 32
    assert built["generator"]["parameters"] == 4_405_251
    assert built["discriminator"]["parameters"] == 1_053_824
    assert round(built["generator"]["macs"] / 1e9, 3) == 1.765
    assert built["generator"]["macs_run"] < built["generator"]["macs"]


def test_build_prints_both_networks(gan_nas: Command) -> None:
    answer = gan_nas("build", "sngan-cifar10", "--width", 16, "--channels", 1, "--resolution", 16)
    assert answer.code == 0
    for text in ("cells.2.block1", "PreActivation", "16x16x16", "ResidualBlock"):
        assert text in answer.out


def test_fresh_weights_are_decided_by_the_seed(gan_nas: Command, tmp_path: Path) -> None:
    hashes = []
    for number, seed in enumerate((1, 1, 2)):
        path = tmp_path / f"{number}.safetensors"
        options = ("--width", 4, "--seed", seed, "--resolution", 16, "-o", path)
        assert gan_nas("build", "sngan-cifar10", *options).code == 0
        about, _ = load_generator_file(path)
        assert about.resolution == 16
        hashes.append(about.sha256)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--width", "1000000000"], "generator.width = 1000000000: must be at most 2048"),
        (["--resolution", "33"], "must be a multiple of 8"),
        (["--resolution", "100000"], "invalid value for '--resolution'"),
    ],
)
def test_impossible_sizes_are_refused(gan_nas: Command, options: list[str], said: str) -> None:
    answer = gan_nas("build", "sngan-cifar10", *options)
    assert answer.code == 2
    assert said in answer.err
