"""Counter-based randomness: every random draw is a function of (seed, purpose, step).

Nothing has to be saved to go on after an interruption: the stream of any step is made anew.
"""

import hashlib

import torch


def stream_seed(seed: int, purpose: str, *counters: int) -> int:
    """Hash seed, purpose and counters into a 63-bit integer."""
    text = "/".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(
    seed: int, purpose: str, *counters: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return a generator on `device`, seeded by `stream_seed`; for the meta device, on the CPU."""
    if torch.device(device).type == "meta":
        device = "cpu"
    return torch.Generator(device=device).manual_seed(stream_seed(seed, purpose, *counters))
