"""The colours of operations, the same in all pictures: related ones have related hues (no torch).

Light ones are cheap. Colour says nothing that a name beside it does not.
"""

from functools import cache
from hashlib import sha256

OP_COLOURS = {
    "none": "#ffffff",
    "identity": "#d9d9d9",
    "skip_connect": "#d9d9d9",
    "skip": "#d9d9d9",
    "avg_pool": "#c7e9c0",
    "avg_pool_3x3": "#c7e9c0",
    "max_pool": "#74c476",
    "max_pool_3x3": "#74c476",
    "nearest": "#fdd0a2",
    "nearest_conv_1x1": "#fdd0a2",
    "nearest_conv_3x3": "#fdae6b",
    "bilinear": "#fd8d3c",
    "deconv": "#a63603",
    "deconv_4x4": "#e6550d",
    "deconv_6x6": "#a63603",
    "sep_conv_3x3": "#fbb4d6",
    "sep_conv_5x5": "#dd1c77",
    "conv_1x1": "#c6dbef",
    "conv_3x3": "#6baed6",
    "conv_5x5": "#2171b5",
    "dil_conv_3x3": "#bcbddc",
    "dil_conv_5x5": "#6a51a3",
}
OTHERS = ("#e5d8bd", "#b3cde3", "#fed9a6", "#ccebc5", "#decbe4", "#ffffcc", "#fddaec", "#ccc5b9")
DARK, LIGHT = "#1a1a1a", "#ffffff"  # of what is written


@cache
def colour_of(op: str) -> str:
    """Return an operation's colour as #rrggbb; of several words that of the last one known.

    Operations that no space here has get one of a few pale colours, by their names.
    """
    for word in reversed(op.split()):
        if word in OP_COLOURS:
            return OP_COLOURS[word]
    return OTHERS[sha256(op.encode("utf-8", "backslashreplace")).digest()[0] % len(OTHERS)]


def ink_on(colour: str) -> str:
    """Return in what to write on a colour."""
    red, green, blue = rgb(colour)
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else LIGHT


def rgb(colour: str) -> tuple[int, int, int]:
    """Return the three bytes of #rrggbb."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue
