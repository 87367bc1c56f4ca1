from commands import Command


def test_bench_times_every_stage(gan_nas: Command) -> None:
    options = ("--resolution", 16, "--width", 4, "--repeats", 1)
    measured = gan_nas("bench", "sngan-cifar10", *options, "--json").json
    assert len(measured["rows"]) == 4
    assert all(row["discriminator_ms"] > 0 for row in measured["rows"])
    assert measured["samples_per_second"] > 0


def test_bench_knows_its_presets(gan_nas: Command) -> None:
    answer = gan_nas("bench", "--preset", "dmeo")
    assert answer.code == 2
    assert "did you mean demo" in answer.err


def test_bench_trains_a_genome_at_the_presets_own_widths(gan_nas: Command) -> None:
    options = ("--preset", "paper", "--resolution", 8, "--repeats", 1)
    measured = gan_nas("bench", "autogan-cifar10-top1", *options, "--json").json
    # The paper's widths are the published genome's, 256 and 128, so that it keeps its name.
    assert measured["rows"][-1]["what"] == "retrain autogan-cifar10-top1"
