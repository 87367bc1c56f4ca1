from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_nas.metrics.cache import FORMATS, cached


def test_what_was_computed_once_is_read_and_damage_is_mended(tmp_path: Path) -> None:
    calls = 0

    def compute() -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        return {"x": torch.arange(4, dtype=torch.float64)}

    for _ in range(2):
        assert torch.equal(cached(tmp_path, "real", "key", compute)["x"], compute()["x"])
    assert calls == 3  # two of them by the test itself
    cached(tmp_path, "real", "another key", compute)
    assert calls == 4
    (path,) = [p for p in tmp_path.iterdir() if b": key" in p.read_bytes()][:1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert torch.equal(cached(tmp_path, "real", "key", compute)["x"], compute()["x"])
    path.write_bytes(b"")
    assert torch.equal(cached(tmp_path, "real", "key", compute)["x"], compute()["x"])
    assert cached(None, "real", "key", compute)


@pytest.mark.parametrize("kind", FORMATS)
def test_numbers_of_older_code_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    calls: list[int] = []

    def compute() -> dict[str, Tensor]:
        calls.append(FORMATS[kind])
        return {"x": torch.arange(4, device="cpu")}

    first = FORMATS[kind]
    for number in (first, first, first + 1, first + 1, first):
        monkeypatch.setitem(FORMATS, kind, number)
        cached(tmp_path, kind, "key", compute)
    assert calls == [first, first + 1]


def test_kinds_do_not_share_files(tmp_path: Path) -> None:
    for i, kind in enumerate(FORMATS):
        number = torch.tensor([i], device="cpu")
        kept = cached(tmp_path, kind, "key", partial(dict, x=number))
        assert torch.equal(kept["x"], number)
    assert len(list(tmp_path.iterdir())) == len(FORMATS)


def test_what_was_kept_comes_in_the_order_of_its_making(tmp_path: Path) -> None:
    made = {name: torch.tensor([1.0], device="cpu") for name in ("fid", "a score", "b")}
    for _ in range(2):
        assert list(cached(tmp_path, "real", "key", lambda: made)) == list(made)


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    found = cached(tmp_path / "file", "moments", "key", lambda: {"x": torch.ones(2, device="cpu")})
    assert found["x"].tolist() == [1, 1]
    assert "set GAN_NAS_CACHE" in caplog.text
