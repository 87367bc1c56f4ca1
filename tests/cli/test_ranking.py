import pytest

from gan_nas.cli.ranking import show_ranking
from gan_nas.runs.results import Found, SearchResult
from gan_nas.search import load_method
from gan_nas.spaces.random_genomes import sample_genomes


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def searched(with_losses: bool) -> SearchResult:
    """Return what a search by DEGAS ends with; deriving again measures no losses."""
    rows = [
        Found(
            id=genome.genome_id,
            file=f"runs/g/{genome.genome_id}.json",
            words=genome.generator.words,
            parameters=1_321_475,
            macs=358_000_000,
            values={"log_odds": -12.5 - place} | ({"loss": 0.0871 + place} if with_losses else {}),
        )
        for place, genome in enumerate(sample_genomes("degas", 3, 1))
    ]
    return SearchResult(
        method="degas",
        run="runs/g",
        resolution=16,
        genomes=rows,
        seconds=75.0,
        supernet={"loss": 0.0695},
        facts={"entropy": {"alpha": 1.25}},
    )


@pytest.mark.parametrize("with_losses", [True, False])
def test_stages_are_ranked_by_their_log_odds(
    capsys: pytest.CaptureFixture[str], with_losses: bool
) -> None:
    result = searched(with_losses)
    show_ranking(load_method("degas"), result)
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in said.out
    for row, odds in zip(result.genomes, ("-12.500", "-13.500", "-14.500"), strict=True):
        first = next(i for i, line in enumerate(lines) if row.id in line)
        assert odds in lines[first]
        for line, words in zip(lines[first:], row.words, strict=False):
            assert words in line
        assert row.file in lines
    assert "stages" in lines[0]
    assert "log-odds, loss" in lines[0]
    assert ("loss 0.0871" in said.out) == with_losses
    assert "loss 0.0695" in said.out  # the supernet's
    for text in ("what pruning keeps comes first", "alpha 1.250", "Found in 1 min 15 s"):
        assert text in said.err
    assert "21 edges" not in said.err
