from pathlib import Path

import torch
from torch import Tensor

from gan_nas.metrics.cache import cached


def test_what_was_computed_once_is_read_and_damage_is_mended(tmp_path: Path) -> None:
    calls = 0

    def compute() -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        return {"x": torch.arange(4, dtype=torch.float64)}

    for _ in range(2):
        assert torch.equal(cached(tmp_path, "kind", "key", compute)["x"], compute()["x"])
    assert calls == 3  # two of them by the test itself
    cached(tmp_path, "kind", "another key", compute)
    assert calls == 4
    (path,) = [p for p in tmp_path.iterdir() if b'\\"key\\"' in p.read_bytes()][:1]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert torch.equal(cached(tmp_path, "kind", "key", compute)["x"], compute()["x"])
    path.write_bytes(b"")
    assert torch.equal(cached(tmp_path, "kind", "key", compute)["x"], compute()["x"])
    assert cached(None, "kind", "key", compute)
