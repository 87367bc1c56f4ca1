"""Networks that several processes compute together, each its part of the batch.

A split network takes the whole batch and returns all of its results, in every process. Inside, each
computes an equal part of it; outside, everything (draws of latents, images, losses, penalties) is
done by all, on the whole and alike, so that no loss needs to know of it: not one over pairs of
scores, nor one that takes a gradient at images. Two conjugate steps lead in and out, like f and g
of Megatron-LM (Shoeybi et al. 2019, sec. 3): a process takes its rows, and the rows' gradients are
gathered; rows are gathered, and each takes its rows of the gradients. The gradient of a weight is
then the sum of those of all processes (`Ranks.add_gradients`).

Inside, two things look at the whole batch: batch norm, whose statistics are put together, and
dropout, which draws for all and takes its rows.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gan_nas.errors import InvalidInput
from gan_nas.machine.ranks import Ranks
from gan_nas.networks.ctgan import Critic, Verdict


def split(network: nn.Module, ranks: Ranks) -> nn.Module:
    """Return a network whose calls are split; it has no parameters of its own.

    Alone, it is the network itself.
    """
    if ranks.size == 1:
        return network
    return SplitCritic(network, ranks) if isinstance(network, Critic) else Split(network, ranks)


class Split(nn.Module):
    """A network that maps a batch (N, ...) to one."""

    def __init__(self, network: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self._compute, self.ranks = network.__call__, ranks  # no child: its parameters are its own

    def forward(self, x: Tensor, *others: Any) -> Tensor:
        """Map a whole batch, with whatever else the network takes."""
        part = _Rows.apply(x, self.ranks)
        with WholeBatch(self.ranks):
            y = self._compute(part, *others)
        return _Gathered.apply(y, self.ranks)


class SplitCritic(Critic):
    """CT-GAN's critic, whose two halves are also called one by one."""

    def __init__(self, critic: Critic, ranks: Ranks) -> None:
        nn.Module.__init__(self)
        self._look, self._verdict, self.ranks = critic.look, critic.verdict, ranks

    def look(self, images: Tensor) -> Tensor:
        """Do what the critic's does."""
        part = _Rows.apply(images, self.ranks)
        with WholeBatch(self.ranks):
            h = self._look(part)
        return _Gathered.apply(h, self.ranks)

    def verdict(self, h: Tensor, random: torch.Generator | None = None) -> Verdict:
        """Do what the critic's does."""
        part = _Rows.apply(h, self.ranks)
        with WholeBatch(self.ranks):
            found = self._verdict(part, random)
        return Verdict(*(_Gathered.apply(y, self.ranks) for y in found))


class WholeBatch(TorchFunctionMode):
    """Computes of a part of a batch what depends on all of it."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self.ranks = ranks

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function, or what stands for it."""
        given = kwargs or {}
        if function is nn.functional.batch_norm:
            return batch_norm(self.ranks, *args, **given)
        if function is Tensor.uniform_:
            return _drawn(self.ranks, function, *args, **given)
        return function(*args, **given)


def batch_norm(
    ranks: Ranks,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Do what `F.batch_norm` does, of a part (N, C, ...) of a batch, by the whole's statistics.

    Parts are of equal size. The variance of the whole is the mean of the parts' own and the
    variance of their means (Chan et al. 1979): nothing cancels.
    """
    if not training:
        return nn.functional.batch_norm(
            x, running_mean, running_var, weight, bias, training, momentum, eps
        )
    wide = x.float() if x.dtype == torch.bfloat16 else x
    axes = [0, *range(2, x.dim())]
    var, mean = torch.var_mean(wide, axes, correction=0)
    of_parts = _Everywhere.apply(torch.stack([mean, var])[None], ranks)  # (parts, 2, C)
    means, mean = of_parts[:, 0], of_parts[:, 0].mean(0)
    var = of_parts[:, 1].mean(0) + (means - mean).square().mean(0)
    if running_mean is not None and running_var is not None:
        count = ranks.size * x.numel() // x.shape[1]
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    scale = (var + eps).rsqrt()
    shape = 1, -1, *[1] * (x.dim() - 2)
    y = (wide - mean.view(shape)) * (scale if weight is None else scale * weight).view(shape)
    return (y if bias is None else y + bias.view(shape)).to(x.dtype)


class _Rows(torch.autograd.Function):
    """Takes this process' rows of what all have; the gradient is gathered."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        if len(x) % ranks.size:
            raise InvalidInput(
                f"a batch of {len(x)} cannot be split evenly over {ranks.size} processes: let the "
                f"settings' batches be multiples of {ranks.size}"
            )
        size = len(x) // ranks.size
        return x[ranks.rank * size : (ranks.rank + 1) * size].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Gathered.apply(gradient, ctx.ranks), None


class _Gathered(torch.autograd.Function):
    """Gathers the rows of all processes; each takes its rows of the gradient, which all have."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.gathered(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Rows.apply(gradient, ctx.ranks), None


class _Everywhere(torch.autograd.Function):
    """Gathers rows that each process uses for its part; the gradient is the sum of all uses."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return ranks.gathered(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Rows.apply(_Summed.apply(gradient, ctx.ranks), ctx.ranks), None


class _Summed(torch.autograd.Function):
    """Adds what all processes have, each of which uses the sum for its part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        total = x.clone()
        ranks.add(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _Summed.apply(gradient, ctx.ranks), None


def _drawn(ranks: Ranks, draw: Callable[..., Tensor], x: Tensor, *args: Any, **given: Any) -> Any:
    """Draw for all rows, and keep those of this process; x (N, ...) is dense, N its slowest."""
    whole = torch.empty_strided(
        (ranks.size * len(x), *x.shape[1:]), x.stride(), dtype=x.dtype, device=x.device
    )
    draw(whole, *args, **given)
    return x.copy_(whole[ranks.rank * len(x) : (ranks.rank + 1) * len(x)])
