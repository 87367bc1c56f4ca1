"""The command line: one command a file, gathered in commands.py.

A command prints its result on stdout and everything else on stderr. An error is one sentence, and
the exit code says what happened. Signals are heard, and want of memory is told, from before
anything is imported that takes time or memory.
"""

import sys

from gan_nas.cli.signals import ignore, obey
from gan_nas.cli.standard import keep_standard_streams
from gan_nas.cli.supervision import (
    APART,
    DIFFERENT,
    end_with_parent,
    memory_is_limited,
    say_out_of_memory,
    supervised,
)


def main() -> None:
    """Run the command line."""
    obey()
    keep_standard_streams()
    code = supervised(sys.argv[1:]) if memory_is_limited() else _code(sys.argv[1:])
    ignore()  # the interpreter takes its time to end, and the code stands
    sys.exit(code)


def work_supervised() -> None:
    """Run the command line in the child process of `supervised`."""
    end_with_parent()
    obey()
    keep_standard_streams()
    code = _code(sys.argv[1:])
    ignore()
    sys.exit(APART if code == DIFFERENT else code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every error becomes a sentence on stderr."""
    from gan_nas.cli.commands import run as run_command

    return run_command(arguments)


def _code(arguments: list[str]) -> int:
    try:
        from gan_nas.machine.allocator import keep_freed_memory
        from gan_nas.machine.instructions import avoid_amx
        from gan_nas.machine.threads import spin_briefly

        spin_briefly()  # before anything loads torch
        avoid_amx()
        keep_freed_memory()
        return run(arguments)
    except MemoryError:  # in an import, or while another error was put into words
        return say_out_of_memory()
    except ImportError as error:
        if not memory_is_limited():
            raise
        del error
        return say_out_of_memory()
