"""A generator as a model of ONNX, for other runtimes and languages; needs the extra gan-nas[onnx].

PyTorch's exporter needs onnx and onnxscript, the check of what it wrote onnxruntime. All three are
imported when they are used.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_nas.errors import MissingResource
from gan_nas.exports.about import KEY, Exported, to_text
from gan_nas.exports.program import Checked, check, exported_program
from gan_nas.files import write_atomically
from gan_nas.networks.weights import Generator

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
LATENTS, IMAGES, BATCH = "latents", "images", "batch"  # input, output and the axis both have
OPSET = 20


def save_onnx(generator: Generator, path: Path, about: Exported) -> Checked:
    """Write an ONNX model: `latents` (batch, latent_dim) to `images` (batch, C, S, S) in [-1, 1].

    It is run by onnxruntime on the CPU first and compared with the generator. The description is in
    the model's metadata, under gan_nas.
    """
    check_installed()
    program = torch.onnx.export(
        exported_program(generator),
        (),
        dynamo=True,
        input_names=[LATENTS],
        output_names=[IMAGES],
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None
    model: Any = program.model
    for value in (*model.graph.inputs, *model.graph.outputs, *_between(model.graph)):
        value.metadata_props.clear()
        if value.shape is not None:
            for axis, size in enumerate(value.shape):
                if not isinstance(size, int):
                    value.shape[axis] = BATCH
    for node in model.graph:
        node.metadata_props.clear()  # which tell of the code that it was made by
    model.metadata_props[KEY] = to_text(about)
    content: bytes = program.model_proto.SerializeToString(deterministic=True)
    checked = check(generator, _Session(content).run, "onnxruntime")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return checked


def check_installed() -> None:
    """Raise MissingResource unless all that is needed is installed."""
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise MissingResource(
            f"ONNX needs {' and '.join(missing)}, which is not installed: "
            "pip install 'gan-nas[onnx]'"
        )


class _Session:
    """A model in onnxruntime, on as many threads as PyTorch has here."""

    def __init__(self, content: bytes) -> None:
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )

    def run(self, z: Tensor) -> Tensor:
        """Map latents to images."""
        (images,) = self._session.run([IMAGES], {LATENTS: z.numpy()})
        return torch.from_numpy(images)


def _between(graph: Any) -> list[Any]:
    return [value for node in graph for value in node.outputs]
