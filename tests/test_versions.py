"""What a run's config says about the machine's software."""

import platform

import numpy
import torch

import gan_nas
from gan_nas.versions import versions


def test_versions_name_all_that_decides_the_last_bits() -> None:
    found = versions()
    assert list(found) == ["gan_nas", "python", "torch", "numpy", "threads"]
    assert found["gan_nas"] == gan_nas.__version__
    assert found["python"] == platform.python_version()
    assert found["torch"] == str(torch.__version__)
    assert found["numpy"] == numpy.__version__
    assert found["threads"] == torch.get_num_threads()
    assert type(found["torch"]) is str  # torch's own type of version is no plain text
