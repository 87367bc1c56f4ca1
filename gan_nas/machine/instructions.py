"""Which of a processor's instructions oneDNN may use."""

import os
from collections.abc import MutableMapping

VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
BELOW_AMX = "AVX512_CORE_FP16"  # an upper bound: processors that have less keep what they have


def avoid_amx(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keep oneDNN from AMX, unless the user set its bound; before torch computes anything.

    With torch 2.14 its bf16 convolutions for AMX give wrong second derivatives (the weights of a
    3x3 on one channel at 8 px: off by more than their norm), which a gradient penalty needs, and
    crash where all taps of a kernel fall beside the image. AVX-512's are right to 0.4 %.
    """
    if not any(name in environment for name in VARIABLES):
        environment[VARIABLES[0]] = BELOW_AMX
