"""The ways to fill a slot: cells are written once, with slots, and filled to train or to search.

A slot has a token (what a genome decides there, such as "norm") and candidates by name. A fill
turns both into a module:

- `fixed(choices)` puts the chosen candidate itself there: no wrapper, no extra key.
- `Choice` holds all candidates and runs the active one: weight sharing.
- `MixedOp` holds all candidates of an edge, to be summed with weights (mixing.py).

A token may be mapped to None: nothing that stands there would reach the output.
A supernet's key minus the candidates' names is the derived network's key.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn

Candidates = Mapping[str, Callable[[], nn.Module]]
Choices = Mapping[str, str | None]


class Fill(Protocol):
    """What turns a slot into a module."""

    def __call__(self, token: str, candidates: Candidates) -> nn.Module:
        """Return the module that stands in the slot."""
        ...


class Absent(nn.Module):
    """A branch that is not there."""

    def forward(self, x: Tensor | None) -> None:
        """Return nothing to add."""


def fixed(choices: Choices) -> Fill:
    """Return the fill of a derived network: `choices` maps each token to a candidate's name."""

    def fill(token: str, candidates: Candidates) -> nn.Module:
        name = choices[token]
        return Absent() if name is None else candidates[name]()

    return fill


class Choice(nn.Module):
    """All candidates of a slot, one of them active."""

    def __init__(self, token: str, candidates: Candidates) -> None:
        super().__init__()
        self.token = token
        for name, make in candidates.items():
            self.add_module(name, make())
        self.active: str | None = next(iter(candidates))

    def forward(self, *inputs: Any) -> Any:
        """Run the active candidate, if any."""
        return None if self.active is None else self.get_submodule(self.active)(*inputs)


class MixedOp(Choice):
    """All candidates of an edge, to be summed with weights (mixing.py), or the active one."""


def mixed(token: str, candidates: Candidates) -> nn.Module:
    """Fill a slot of a differentiable supernet; where there is no choice, nothing is mixed."""
    return MixedOp(token, candidates) if len(candidates) > 1 else Choice(token, candidates)


def choose(module: nn.Module, choices: Choices) -> None:
    """Activate the named candidate in every Choice below `module`."""
    for slot in module.modules():
        if isinstance(slot, Choice):
            slot.active = choices[slot.token]


def selected(module: nn.Module) -> nn.Module:
    """Return the op that stands in a slot now."""
    if not isinstance(module, Choice):
        return module
    return Absent() if module.active is None else module.get_submodule(module.active)


def inherited_state(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """Return the active sub-network's tensors under the keys of the derived network."""
    if isinstance(module, Choice):
        return inherited_state(selected(module), prefix)
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    state = {prefix + name: tensor for name, tensor in own}
    for name, child in module.named_children():
        state |= inherited_state(child, f"{prefix}{name}.")
    return state
