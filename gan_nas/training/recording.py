"""Steps that a GPU records once and then repeats at a single launch (CUDA graphs).

Launching the hundreds of kernels of a training step one by one takes a CPU longer than a GPU takes
to run them. What is recorded is the kernels, with the addresses they read and write: what changes
from step to step has to come in through tensors, and whatever else a step depends on is a constant,
after whose change it is recorded anew.
"""

import weakref
from collections.abc import Callable
from typing import Concatenate, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Given = Tensor | torch.Generator | None

WARM_UP = 3  # steps made as usual before one is recorded: libraries and Adam settle in them


class Recorded(Generic[T]):
    """Work on a GPU that is made as usual at first, then recorded, then repeated.

    `work` gets its `owner`, then tensors of the same shapes at every call, at most one stream of
    random numbers, or None, and returns one tensor; its effects on other tensors are repeated, too,
    those on anything else are not. `constants` tells, of the owner, what it depends on beside that,
    as something to compare.

    The numbers are those of calling `work` itself.
    """

    def __init__(
        self,
        owner: T,
        work: Callable[Concatenate[T, ...], Tensor],
        constants: Callable[[T], object],
    ) -> None:
        self._owner = weakref.ref(owner)  # which holds this: a circle would keep a GPU's memory
        self._call, self._constants = work, constants
        self._known: object = None
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream: torch.cuda.Stream | None = None
        self._inputs: tuple[Given, ...] = ()
        self._result: Tensor

    def __call__(self, *given: Given) -> Tensor:
        """Do the work; the tensor returned is overwritten by the next call."""
        owner = self._owner()
        assert owner is not None
        known = self._constants(owner), tuple(map(_shape, given))
        if known != self._known:
            self._known, self._calls, self._graph = known, 0, None
        if self._graph is None and self._calls < WARM_UP:
            self._calls += 1
            return self._aside(given)
        if self._graph is None:
            self._graph = self._record(given)
        for kept, new in zip(self._inputs, given, strict=True):
            if isinstance(kept, Tensor) and isinstance(new, Tensor):
                kept.copy_(new)
            elif isinstance(kept, torch.Generator) and isinstance(new, torch.Generator):
                kept.manual_seed(new.initial_seed())  # streams are at their beginning
        self._graph.replay()
        return self._result

    def _work(self, *given: Given) -> Tensor:
        owner = self._owner()
        assert owner is not None
        return self._call(owner, *given)

    def _aside(self, given: tuple[Given, ...]) -> Tensor:
        """Do the work on the stream that will be recorded, as libraries have a state for each."""
        if self._stream is None:
            self._stream = torch.cuda.Stream(_device(given))  # type: ignore[no-untyped-call]
        around = torch.cuda.current_stream(_device(given))
        self._stream.wait_stream(around)
        with torch.cuda.stream(self._stream):
            result = self._work(*given)
        around.wait_stream(self._stream)
        result.record_stream(around)
        return result

    def _record(self, given: tuple[Given, ...]) -> torch.cuda.CUDAGraph:
        """Record the work without doing it."""
        graph = torch.cuda.CUDAGraph()
        self._inputs = tuple(map(_copied, given))
        for kept in self._inputs:
            if isinstance(kept, torch.Generator):
                graph.register_generator_state(kept)
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._result = self._work(*self._inputs)
        return graph


def _shape(given: Given) -> object:
    return given.shape if isinstance(given, Tensor) else type(given)


def _copied(given: Given) -> Given:
    if isinstance(given, Tensor):
        return torch.empty_like(given)
    return torch.Generator(given.device) if isinstance(given, torch.Generator) else None


def _device(given: tuple[Given, ...]) -> torch.device:
    return next(tensor.device for tensor in given if isinstance(tensor, Tensor))
