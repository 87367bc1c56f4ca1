"""All commands, and what their errors are in a sentence and an exit code: see EXIT_CODES."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, cast

import typer

from gan_nas.cli import (
    bench,
    bench_load,
    bench_score,
    build,
    compare,
    derive,
    doctor,
    draw,
    export,
    genomes,
    import_,
    reconstruct,
    report,
    retrain,
    runs,
    sample,
    schema,
    score,
    search,
    stats,
    study,
    table,
    table_check,
    table_export,
    table_make,
    table_pack,
    table_show,
)
from gan_nas.cli.group import Commands, configurable, joined, with_file
from gan_nas.cli.printing import (
    ERROR,
    NOTICE,
    quietly,
    remark,
    remark_lines,
    remark_log_records,
    suggest,
)
from gan_nas.errors import (
    GanNasError,
    Incompatible,
    Interrupted,
    InvalidInput,
    LostRank,
    MissingResource,
    RunFailed,
)
from gan_nas.machine.memory import is_out_of_memory
from gan_nas.machine.ranks import num_launched

EXIT_CODES: dict[type[GanNasError], int] = {
    InvalidInput: 2,
    MissingResource: 3,
    Incompatible: 4,
    RunFailed: 5,
    Interrupted: 75,
    LostRank: 75,
}
BUG, BROKEN_PIPE = 70, 141
SHARED_COMMANDS = ("retrain", "search")  # that torchrun may start several times

# The library knows of no options, so it cannot name them; only those of the command are named.
OPTIONS_IN_WORDS = {
    "another run directory": "--run",
    "any passport": "--any-passport",
    "run it again": "--again",
    "odd files be skipped": "--skip-odd",
    "ask for a crop": "--crop",
    "name the real ones": "--data",
    "name the side": "--resolution",
    "let them be downloaded": "--download",
}

LESS_MEMORY = {
    "--set": "lower batch_size and generator_batch_size by --set",
    "--width": "lower --width",
    "--resolution": "lower --resolution",
    "-n": "make fewer images by -n",
    "--dim": "lower --dim",
    "--dry-run": "see by --dry-run what a setting needs",
}

EXIT_CODES_IN_WORDS = (
    "Exit codes: 0 done; 1 compare found a difference; 2 wrong usage, setting or file; 3 no such "
    "device, data, weights or disk space; 4 things that do not belong together; 5 the run failed; "
    "70 a bug in gan-nas; 75 interrupted, the same command goes on; 130 the second Ctrl-C; 141 who "
    "read the output has left."
)

app = typer.Typer(
    name="gan-nas",
    help="Search, derive, train, score and compare GAN architectures.",
    epilog=EXIT_CODES_IN_WORDS,
    cls=Commands,
    rich_markup_mode="markdown",  # which wraps paragraphs, and leaves [brackets] alone
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    search.search,
    derive.derive,
    retrain.retrain,
    runs.runs,
    genomes.genomes,
    build.build,
    draw.draw,
    compare.compare,
    sample.sample,
    score.score,
    export.export,
    stats.stats,
    doctor.doctor,
    bench.bench,
    reconstruct.reconstruct,
    study.study,
    report.report,
    schema.schema,
):
    app.command()(configurable(command))
app.command("table")(configurable(table.table_list))
app.command("import")(configurable(import_.import_checkpoint))
SUB_COMMANDS: dict[str, Callable[..., None]] = {
    "bench score": bench_score.bench_score,
    "bench load": bench_load.bench_load,
    "table make": table_make.table_make,
    "table show": table_show.table_show,
    "table pack": table_pack.table_pack,
    "table check": table_check.table_check,
    "table export": table_export.table_export,
}
for name, sub_command in SUB_COMMANDS.items():
    app.command(name)(configurable(sub_command))

# Newer Typers carry click inside, older ones depend on it: this name is the same in both.
_UsageError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


def _print_version(wanted: bool) -> None:
    if wanted:
        from gan_nas import __version__

        print(f"gan-nas {__version__}")  # noqa: T201 - stdout is for results
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; allowed anywhere.")
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            help="Say nothing on stderr but warnings and errors: no progress, no advice; allowed "
            "anywhere.",
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and stop."
        ),
    ] = False,
) -> None:
    del debug, quiet, version


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every error becomes a sentence on stderr."""
    arguments, everywhere = _without(arguments, "--debug", "--quiet")
    with quietly(wanted="--quiet" in everywhere):
        return _run(arguments, debug="--debug" in everywhere)


def _without(arguments: Sequence[str], *everywhere: str) -> tuple[list[str], set[str]]:
    """Take out the options that are allowed anywhere, but not behind --; return both."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = {word for word in arguments[:end] if word in everywhere}
    return [*(w for w in arguments[:end] if w not in everywhere), *arguments[end:]], given


def _run(arguments: list[str], *, debug: bool) -> int:
    remark_log_records()
    words = joined(arguments, SUB_COMMANDS)
    try:
        _check_launch(words)
        words = with_file(words, parameters_of(words))
        code = app(words or ["--help"], prog_name="gan-nas", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not error.code:
            return 0  # a shell has been told how words go on
        _give_up_stdout()  # else click has made a SystemExit of the first
        return BROKEN_PIPE
    except Exception as error:
        if debug:
            remark_lines(traceback.format_exc(), style=ERROR)
        code, sentence = code_and_sentence(error, options_of(words))
        _give_up_stdout()
        if isinstance(error, Interrupted):
            remark(sentence, style=NOTICE)
            if num_launched() == 1:
                suggest(go_on=tuple(arguments))
        else:
            remark(f"error: {sentence}", style=ERROR, everywhere=True)
        return code
    return code if isinstance(code, int) else 0


def _check_launch(words: Sequence[str]) -> None:
    """Refuse commands that several processes cannot work on together."""
    if num_launched() > 1 and words and words[0] not in SHARED_COMMANDS:
        raise InvalidInput(
            f"torchrun has started {num_launched()} processes of gan-nas {words[0]}, which one "
            f"does alone: only {' and '.join(SHARED_COMMANDS)} share their work; leave torchrun out"
        )


def _give_up_stdout() -> None:
    """Drop what cannot be printed; the interpreter would fail on it again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def parameters_of(words: Sequence[str]) -> list[Any]:
    """Return the arguments and options of the command that these words call."""
    group: Any = typer.main.get_command(app)  # click's, which Typer may or may not carry inside
    command = group.commands.get(words[0]) if words else None
    return list(command.params) if command else []


def options_of(words: Sequence[str]) -> set[str]:
    """Return the names of the options of the command that these words call."""
    return {name for parameter in parameters_of(words) for name in parameter.opts}


def code_and_sentence(error: Exception, options: Collection[str] = ()) -> tuple[int, str]:
    """Return the exit code of an error and one sentence about it.

    `options` are those of the command that failed, others are not advised.
    """
    if is_out_of_memory(error):
        advice = [words for option, words in LESS_MEMORY.items() if option in options]
        return EXIT_CODES[MissingResource], (
            f"the memory does not suffice: {', '.join(advice) or 'free some and try again'}"
        )
    if isinstance(error, GanNasError):
        code = next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
        sentence = str(error)
        for words, option in OPTIONS_IN_WORDS.items():
            if option in options:
                sentence = sentence.replace(words, f"{words} ({option})")
        return code, sentence
    if isinstance(error, _UsageError):
        command = error.ctx.command_path if error.ctx else "gan-nas"
        return error.exit_code, f"{_lowered(error.format_message())}; see {command} --help"
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return EXIT_CODES[MissingResource], "the disk is full: free some space and try again"
        where = f"{error.filename}: " if error.filename else ""
        of = InvalidInput if error.errno == errno.ENAMETOOLONG else MissingResource
        return EXIT_CODES[of], f"{where}{error.strerror or error}"
    return BUG, f"this is a bug in gan-nas ({type(error).__name__}: {error}); --debug shows where"


def _lowered(message: str) -> str:
    first, *rest = message.strip().rstrip(".").splitlines()
    text = " ".join([first, *(line.strip() for line in rest)])
    return text[:1].lower() + text[1:]
