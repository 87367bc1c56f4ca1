"""Checkpoints as AutoGAN's authors write them, of random weights."""

import json
import re
from functools import cache
from pathlib import Path

import torch
from plain_autogan import PlainGenerator, plain_key
from torch import Tensor

# The names of the authors' tensors -> the roles of the golden values, as read off their classes.
NAMES = json.loads((Path(__file__).parent / "golden" / "autogan_names.json").read_text())


def drawn(shape: tuple[int, ...], name: str = "weight") -> Tensor:
    """Draw a tensor; a running variance is positive."""
    values = torch.randn(shape) * (shape[0] if shape else 1) ** -0.5
    return 1 + values.abs() if name.endswith("running_var") else values


@cache
def plain_state(case: str) -> tuple[PlainGenerator, dict[str, Tensor]]:
    """Return AutoGAN's plain generator, and its weights under the authors' names."""
    plain = PlainGenerator(16, 4).eval()
    for name, tensor in plain.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(drawn(tuple(tensor.shape), name))
    roles = {plain_key(name): tensor for name, tensor in plain.state_dict().items()}
    names = NAMES[re.sub(r" \d$", "", case)]
    return plain, {name: roles[role] if role else torch.tensor(7) for name, role in names.items()}
