"""Simulate work on the meta device: the most bytes alive at once, and the multiply-adds.

Tensors on the meta device have shapes and no memory. A step made of them passes through autograd
as a real one does, so what it allocates, keeps for the backward pass and frees is known exactly,
whatever its size.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

META = torch.device("meta")

# What autocast computes in half precision, of what our networks call.
_LOWERED = {
    getattr(torch, name)
    for name in ("conv2d", "conv_transpose2d", "matmul", "mm", "bmm", "addmm", "baddbmm")
} | {torch.nn.functional.linear, Tensor.matmul, Tensor.mm, Tensor.bmm, Tensor.__matmul__}


class LiveBytes(TorchDispatchMode):
    """Follows the storages that come and go: `now` bytes, and the `most` there have been."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = self.macs = self._at_start = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self,
        function: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call an operation and note the storages of its results."""
        results = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function.overloadpacket)
        if formula is not None:
            self.macs += formula(*args, **(kwargs or {}), out_val=results) // 2
        for result in tree_iter(results):
            if isinstance(result, Tensor):
                self._note(result.untyped_storage())
        return results

    def start(self) -> None:
        """Forget the peak so far."""
        self.most = self._at_start = self.now

    @property
    def beyond(self) -> int:
        """Return how far the peak since `start` was above what was alive then."""
        return self.most - self._at_start

    def count(self, step: Callable[[], object]) -> int:
        """Make a step and return its multiply-adds."""
        before = self.macs
        step()
        return self.macs - before

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)  # one Python object as long as the storage lives
        if key in self._alive:
            return
        size = storage.nbytes()
        self._alive.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._forget, key, size).atexit = False

    def _forget(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size


class Idle(torch.optim.Optimizer):
    """An optimiser on the meta device: has the buffers of one that is fused, and changes nothing.

    Fused ones need no memory beyond; on the meta device torch has none of them.
    """

    def __init__(self, weights: Sequence[Tensor], lr: float, *, num_buffers: int) -> None:
        super().__init__(weights, {"lr": lr})
        self.num_buffers = num_buffers

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Give weights that have a gradient their buffers, once."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None and weight not in self.state:
                    buffers = {str(n): torch.empty_like(weight) for n in range(self.num_buffers)}
                    self.state[weight] = buffers


class HalfPrecision(TorchFunctionMode):
    """Does to operations on the meta device what autocast to bfloat16 does elsewhere."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function, with its inputs halved if it is one of those."""
        if function in _LOWERED:
            args = tuple(map(_halved, args))
        return function(*args, **(kwargs or {}))


def _halved(value: Any) -> Any:
    wide = isinstance(value, Tensor) and value.dtype == torch.float32
    return value.to(torch.bfloat16) if wide else value
