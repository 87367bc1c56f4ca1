"""The ways to fill a slot: cells are written once, with slots, and filled to train or to search.

A slot has a token (what a genome decides there, such as "norm") and candidates by name. A fill
turns both into a module:

- `fixed(choices)` puts the chosen candidate itself there: no wrapper, no extra key.
- `Choice` holds all candidates and runs the active one: weight sharing.

A supernet's key minus the candidates' names is the derived network's key.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn

Candidates = Mapping[str, Callable[[], nn.Module]]
Choices = Mapping[str, str]


class Fill(Protocol):
    """What turns a slot into a module."""

    def __call__(self, token: str, candidates: Candidates) -> nn.Module:
        """Return the module that stands in the slot."""
        ...


def fixed(choices: Choices) -> Fill:
    """Return the fill of a derived network: `choices` maps each token to a candidate's name."""
    return lambda token, candidates: candidates[choices[token]]()


class Choice(nn.Module):
    """All candidates of a slot, one of them active."""

    def __init__(self, token: str, candidates: Candidates) -> None:
        super().__init__()
        self.token = token
        for name, make in candidates.items():
            self.add_module(name, make())
        self.active = next(iter(candidates))

    def forward(self, *inputs: Any) -> Any:
        """Run the active candidate."""
        return self.get_submodule(self.active)(*inputs)


def choose(module: nn.Module, choices: Choices) -> None:
    """Activate the named candidate in every Choice below `module`."""
    for slot in module.modules():
        if isinstance(slot, Choice):
            slot.active = choices[slot.token]


def selected(module: nn.Module) -> nn.Module:
    """Return the op that stands in a slot now."""
    return module.get_submodule(module.active) if isinstance(module, Choice) else module


def inherited_state(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """Return the active sub-network's tensors under the keys of the derived network."""
    if isinstance(module, Choice):
        return inherited_state(selected(module), prefix)
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    state = {prefix + name: tensor for name, tensor in own}
    for name, child in module.named_children():
        state |= inherited_state(child, f"{prefix}{name}.")
    return state
