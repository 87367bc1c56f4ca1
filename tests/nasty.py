"""Names that strangers may give: what a shell, a terminal or rich would obey."""

import os

OF_SHELLS = (
    "two words",
    "it's",
    'a "quote"',
    "$HOME `id` $(id)",
    "-x",
    "--help",
    "a;b&c|d>e<f*g?h!i#j~k",
    "~",
    "back\\slash\\",
    "%s %d %%",
    "ünï→码",
)
OF_TERMINALS = (
    "\x1b]0;title\x07",
    "\x1b[31mred",
    "[red]x[/red]",
    "[/]",
    ":boom:",
    "two\nlines",
    "-\nends with lines\n\n",
    "tab\tand\rreturn",
    "\u202egnp.exe",
    "zero\u200bwidth\u2060\ufeff",
    "no\xa0break\u3164",
    "\x7f\x9b31m",
    os.fsdecode(b"latin-1 \xe9\xff 'quoted'"),
    "\\033 \x1b33",
)
NAMES = OF_SHELLS + OF_TERMINALS


def is_safe(printed: str) -> bool:
    """Tell whether a terminal shows it as it is; newlines are the program's own."""
    return all(line.isprintable() for line in printed.split("\n"))
