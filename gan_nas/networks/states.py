"""What networks and optimisers remember, as named tensors, and these as safetensors."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from gan_nas.errors import Incompatible, shorten

Shapes = Mapping[str, tuple[int, ...]]
TensorGroups = dict[str, dict[str, Tensor]]  # group -> name -> tensor
# What optimisers remember of a parameter that they have updated.
REMEMBERED = {
    torch.optim.Adam: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.SGD: {"momentum_buffer"},
}
# Squares, and statistics of what is not saved, may overflow where all weights stay finite.
OVERFLOWING = ("exp_avg_sq", "running_mean", "running_var")


class Saved(NamedTuple):
    """A group of tensors that a checkpoint keeps: named once, read and loaded."""

    read: Callable[[], dict[str, Tensor]]
    load: Callable[[Mapping[str, Tensor]], None]
    may_diverge: bool = False
    """Whether it is saved though its numbers may not be finite."""


def saved_module(module: nn.Module) -> Saved:
    """Keep a module's parameters and buffers."""

    def load(tensors: Mapping[str, Tensor]) -> None:
        _copy(tensors, module_state(module), exactly=True)

    return Saved(partial(module_state, module), load)


def saved_optimizer(optimizer: torch.optim.Optimizer, module: nn.Module) -> Saved:
    """Keep the state of an optimizer of a module's parameters."""

    def load(tensors: Mapping[str, Tensor]) -> None:
        load_optimizer_state(optimizer, module.named_parameters(), tensors)

    return Saved(lambda: optimizer_state(optimizer, module.named_parameters()), load)


def saved_tensors(tensors: Mapping[str, Tensor]) -> Saved:
    """Keep these very tensors: what is loaded is copied into them."""

    def load(found: Mapping[str, Tensor]) -> None:
        _copy(found, dict(tensors), exactly=True)

    return Saved(lambda: dict(tensors), load)


def read_groups(groups: Mapping[str, Saved]) -> TensorGroups:
    """Return the tensors of all groups, sharing their memory."""
    return {name: group.read() for name, group in groups.items()}


def load_groups(groups: Mapping[str, Saved], tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Go on from what `read_groups` returned; raises Incompatible when a group is missing."""
    for name, group in groups.items():
        if name not in tensors:
            raise Incompatible(f"there are no tensors called {name}")
        group.load(tensors[name])


def check_finite(groups: Mapping[str, Saved], tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise Incompatible for tensors with numbers that no checkpoint of these groups holds."""
    for group, saved in groups.items():
        for name, tensor in () if saved.may_diverge else tensors[group].items():
            bad = tensor.isnan() if name.endswith(OVERFLOWING) else ~tensor.isfinite()
            if bool(bad.any()):
                raise Incompatible(f"the numbers of {name} in {group} are not finite")


def module_state(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's parameters and buffers by name, sharing their memory."""
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}


def load_module_state(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a module in place: device, dtype and memory format stay the module's.

    Raises Incompatible when a tensor is missing, unexpected, of another shape, or of whole numbers
    in the place of others.
    """
    _copy(tensors, module_state(module))


def _copy(found: Mapping[str, Tensor], own: Mapping[str, Tensor], *, exactly: bool = False) -> None:
    """Copy tensors into others; `exactly` these, real numbers of another precision are refused."""
    check_shapes(shapes_of(own), shapes_of(found))
    for name, tensor in own.items():
        given = found[name].dtype
        alike = given.is_floating_point and tensor.is_floating_point() and not exactly
        if given != tensor.dtype and not alike:
            raise Incompatible(f"the weights {name} are {given} where {tensor.dtype} is needed")
        tensor.copy_(found[name])


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    """Return the shape of each tensor by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def check_shapes(needed: Shapes, found: Shapes, what: str = "the weights do") -> None:
    """Raise Incompatible when a tensor is missing, unexpected or of another shape.

    `what` begins the sentence.
    """
    complaints = [
        f"{len(names)} {how} ({_some(names)})"
        for how, names in (
            ("missing", needed.keys() - found.keys()),
            ("unexpected", found.keys() - needed.keys()),
        )
        if names
    ] + [
        f"{_some([name])} has shape {shorten(found[name])} where {needed[name]} is needed"
        for name in needed.keys() & found.keys()
        if needed[name] != found[name]
    ]
    if complaints:
        raise Incompatible(f"{what} not fit this network: {_some(complaints, '; ')}")


def optimizer_state(
    optimizer: torch.optim.Optimizer, named_parameters: Iterable[tuple[str, Tensor]]
) -> dict[str, Tensor]:
    """Return an optimizer's state as `parameter name.key` -> tensor.

    A parameter that was never updated has no state and stays without. Learning rates and the
    like are not state: they follow from the settings and the step.
    """
    state = {}
    for name, parameter in named_parameters:
        for key, value in optimizer.state.get(parameter, {}).items():
            assert isinstance(value, Tensor), f"{name}.{key} is not a tensor"
            state[f"{name}.{key}"] = value.detach()
    return state


def load_optimizer_state(
    optimizer: torch.optim.Optimizer,
    named_parameters: Iterable[tuple[str, Tensor]],
    tensors: Mapping[str, Tensor],
) -> None:
    """Replace an optimizer's state by tensors that `optimizer_state` returned.

    Moments get their parameter's device and memory format. Raises Incompatible when a tensor
    belongs to no parameter, or has another shape or type than its parameter, or when some of what
    the optimizer remembers of a parameter is missing.
    """
    parameters = dict(named_parameters)
    on_device = {
        parameter: bool(group.get("fused") or group.get("capturable"))
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    state: dict[Tensor, dict[str, Tensor]] = {}
    for full_name, tensor in tensors.items():
        name, _, key = full_name.rpartition(".")
        parameter = parameters.get(name)
        if parameter is None or parameter not in on_device:
            raise Incompatible(f"the optimizer state {full_name} belongs to no parameter here")
        needed = (torch.float32, torch.float64) if key == "step" else (parameter.dtype,)
        if tensor.dtype not in needed:
            raise Incompatible(
                f"the optimizer state {full_name} is {tensor.dtype} where {needed[0]} is needed"
            )
        if key == "step" and tensor.ndim == 0:
            # A fused or capturable optimizer counts on the parameter's device, others on the CPU.
            placed = tensor.to(parameter.device if on_device[parameter] else "cpu", copy=True)
        elif key != "step" and tensor.shape == parameter.shape:
            placed = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False)
            placed.copy_(tensor)
        else:
            raise Incompatible(
                f"the optimizer state {full_name} has shape {tuple(tensor.shape)} where "
                f"{() if key == 'step' else tuple(parameter.shape)} is needed"
            )
        state.setdefault(parameter, {})[key] = placed
    own = {name: parameter for name, parameter in parameters.items() if parameter in on_device}
    _check_whole(optimizer, own, state)
    optimizer.state.clear()
    optimizer.state.update(state)


def _check_whole(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, Tensor],
    state: Mapping[Tensor, Mapping[str, Tensor]],
) -> None:
    """Raise Incompatible unless all is there that an optimizer remembers of what it updates."""
    whole = REMEMBERED.get(type(optimizer))
    if whole is None:
        return
    of_all = bool(state) and isinstance(optimizer, torch.optim.SGD)  # fused, it takes all or none
    for name, parameter in parameters.items():
        found = state.get(parameter, {}).keys()
        if (found or of_all) and found != whole:
            odd = _some(f"{name}.{key}" for key in found ^ whole)
            raise Incompatible(f"the optimizer state is not whole: {odd} missing or unexpected")


def pack(tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """Return tensors as safetensors, which refuse shared memory and anything but plain strides."""
    plain = {
        name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    return save(plain, metadata)


def unpack(data: bytes) -> dict[str, Tensor]:
    """Read what `pack` wrote, onto the CPU; raises SafetensorError when it is damaged."""
    with torch.device("cpu"):
        return load(data)


def _some(names: Iterable[str], separator: str = ", ", count: int = 3) -> str:
    plain = {name: name.isprintable() and len(name) <= 200 for name in names}
    ordered = [name if plain[name] else shorten(name) for name in sorted(plain)]
    return separator.join(ordered[:count] + ["..."] * (len(ordered) > count))
