"""Several processes on one run, by torch.distributed: what torchrun starts.

Numbers go by gloo between CPUs and by NCCL between GPUs, words by gloo. No pickle: words are JSON.
A process that ends closes its connections, which the others notice in what they wait for next:
LostRank, with the last checkpoint as it was.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gan_nas import errors
from gan_nas.errors import GanNasError, LostRank, RunFailed
from gan_nas.machine.ranks import Ranks

T = TypeVar("T")

PATIENCE = timedelta(hours=6)  # of waiting for one that lives: longer than the longest score


class Group(Ranks):
    """All processes of the default group of torch.distributed, which must be there."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._is_alone = False

    def first(self, work: Callable[[], T]) -> T:
        """Let the first do some work, and return what came of it, which is JSON, everywhere."""
        if self._is_alone:
            return work()
        if not self.is_first:
            told = json.loads(self._broadcast(b""))
            if "error" in told:
                raise _error(told)
            return told["value"]
        self._is_alone = True
        try:
            value = work()
        except GanNasError as error:
            self._broadcast(json.dumps(_words(error)).encode())
            raise
        finally:
            self._is_alone = False
        self._broadcast(json.dumps({"value": value}).encode())
        return value

    def in_turn(self, work: Callable[[], T]) -> T:
        """Do some work after the first has done it, whose caches are then full."""
        if self._is_alone:
            return work()
        done: list[T] = []

        def begin() -> None:
            done.append(work())

        self.first(begin)
        return done[0] if done else work()

    def told(self, data: Callable[[], bytes]) -> bytes:
        """Return the bytes that the first has."""
        return data() if self._is_alone else self._broadcast(data() if self.is_first else b"")

    def any(self, flag: bool) -> bool:
        """Tell whether some process says so."""
        if self._is_alone:
            return flag
        votes = torch.tensor([int(flag)], device="cpu")
        self.add(votes)
        return bool(votes)

    def gathered(self, part: Tensor) -> Tensor:
        """Return the parts of all (N, ...), one after the other: (size * N, ...)."""
        if self._is_alone:
            return part
        turned = part.dim() == 4 and not part.is_contiguous()  # channels_last stays as it lies
        part = (part.permute(0, 2, 3, 1) if turned else part).contiguous()
        whole = part.new_empty((self.size * len(part), *part.shape[1:]), requires_grad=False)
        with _losses_said():
            dist.all_gather(list(_bytes(whole).chunk(self.size)), _bytes(part))
        return whole.permute(0, 3, 1, 2) if turned else whole

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by the sum of those of all, in place."""
        if not self._is_alone:
            with _losses_said():
                dist.all_reduce(tensor)

    def add_gradients(self, weights: Iterable[Tensor]) -> None:
        """Replace the gradients of weights, where they have some, by the sums of those of all.

        They go together: which weights a step has used is the same everywhere.
        """
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        if self._is_alone or not gradients:
            return
        with torch.no_grad():
            joined = torch.cat([gradient.flatten() for gradient in gradients])
            self.add(joined)
            parts = torch.split(joined, [gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view(gradient.shape))

    def asked(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Return what tells all whether one of them is to stop; `stop` tells each of itself."""
        return lambda: self.any(stop())

    def _broadcast(self, data: bytes) -> bytes:
        """Return what the first sends: its length, then the bytes."""
        length = torch.tensor([len(data)], device="cpu")
        with _losses_said():
            dist.broadcast(length, 0)
            content = torch.empty(int(length), dtype=torch.uint8, device="cpu")
            if self.is_first and data:
                content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
            dist.broadcast(content, 0)
        return data if self.is_first else content.numpy().tobytes()


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Be one of the processes that torchrun has started, as the environment says.

    Raises LostRank where they do not come together.
    """
    backend = "cpu:gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend += ",cuda:nccl"
    with _losses_said():
        dist.init_process_group(backend, timeout=PATIENCE)
    yield Group()
    dist.destroy_process_group()  # not after an error: it might wait for those that are lost


def _bytes(tensor: Tensor) -> Tensor:
    """Look at a contiguous tensor (N, ...) as bytes (N, ...): gloo does not know all types."""
    return tensor.detach().view(len(tensor), -1).view(torch.uint8)


@contextmanager
def _losses_said() -> Iterator[None]:
    """Say what is behind an error of torch.distributed."""
    try:
        yield
    except RuntimeError as error:
        raise LostRank(
            "another process of this run has ended or cannot be reached "
            f"({' '.join(str(error).split())[:120]}); what was saved last stays, run the same "
            "command again to go on"
        ) from error


def _words(error: GanNasError) -> dict[str, Any]:
    outcome = {"outcome": error.outcome} if isinstance(error, RunFailed) else {}
    return {"error": type(error).__name__, "text": str(error), **outcome}


def _error(told: Mapping[str, Any]) -> GanNasError:
    kind: type[GanNasError] = getattr(errors, told["error"])
    if issubclass(kind, RunFailed):
        return kind(told["text"], told["outcome"])
    return kind(told["text"])
