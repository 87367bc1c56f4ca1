"""Everything that is checked, for people and machines alike: `pip install nox && nox`.

Torch's plain wheels take 5.6 GB and 100 s to install, so one environment holds them: that of
`wheel`, into which the freshly built wheel goes. `package`, `types` and `tests` run in it and look
at that very wheel; in the root the folder gan_nas/ would hide the installed gan_nas.cli.
"""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"

ROOT = Path(__file__).parent


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(reuse_venv=True, default=False)
def wheel(session: nox.Session) -> None:
    """Build the source archive and from it the wheel, and install it; the others need it."""
    for leftover in ("build", "dist"):  # a build ships deleted modules that it finds there
        shutil.rmtree(ROOT / leftover, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", silent=True)
    (built,) = map(str, (ROOT / "dist").glob("*.whl"))
    session.install(built)
    session.install("--force-reinstall", "--no-deps", built)  # same version, other content


@nox.session(venv_backend="none", requires=["wheel"])
def package(session: nox.Session) -> None:
    """Check the installed wheel from outside the repository."""
    with session.chdir(session.create_tmp()):
        run(session, "python", "-I", str(ROOT / "tests" / "package" / "check_wheel.py"))


@nox.session(venv_backend="none", requires=["wheel"])
def types(session: nox.Session) -> None:
    """Check types with mypy in strict mode; on Windows, too, lest we call what only POSIX has."""
    add(session, "types")
    config = str(ROOT / "pyproject.toml")
    with session.chdir(session.create_tmp()):
        for platform in ("linux", "win32"):
            where = ("--platform", platform, "--cache-dir", f".mypy_cache_{platform}")
            run(session, "mypy", "--config-file", config, *where, "-p", "gan_nas")


@nox.session(venv_backend="none", requires=["wheel"])
def tests(session: nox.Session) -> None:
    """Run the fast tests in two processes; what follows -- goes to pytest."""
    add(session, "tests")
    # Stealing keeps both busy to the end: single tests take up to half a minute.
    run(session, "pytest", "-m", "not slow", "-n", "2", "--dist", "worksteal", *session.posargs)


@nox.session(venv_backend="none", requires=["wheel"])
def docs(session: nox.Session) -> None:
    """Build the documentation into build/docs, warnings being errors."""
    project = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
    needed = project["optional-dependencies"]["docs"]
    run(session, "python", "-m", "pip", "install", "--quiet", *needed)
    pages = ROOT / "build" / "docs"
    run(session, "sphinx-build", "-W", "--keep-going", "-q", "-E", str(ROOT / "docs"), str(pages))
    session.log(f"{pages / 'index.html'} is the first page")


@nox.session(venv_backend="none", requires=["wheel"], default=False)
def coverage(session: nox.Session) -> None:
    """Tell which lines and branches the fast tests leave out, in the commands they call, too."""
    add(session, "tests")
    add(session, "coverage")
    report = ("--cov", "--cov-report", "term-missing:skip-covered")
    run(session, "pytest", "-m", "not slow", "-n", "2", *report, *session.posargs)


@nox.session(venv_backend="none", requires=["wheel"], default=False)
def slow(session: nox.Session) -> None:
    """Run the tests that take long; what follows -- goes to pytest."""
    add(session, "tests")
    add(session, "executors")
    run(session, "pytest", "-m", "slow", *session.posargs)


@nox.session(venv_backend="none", requires=["wheel"], default=False)
def torture(session: nox.Session) -> None:
    """Kill every command a thousand times and let it go on; what follows -- goes to the script."""
    add(session, "tests")
    script = str(ROOT / "tests" / "torture.py")
    folder = session.create_tmp()
    run(session, "python", script, "--folder", folder, *(session.posargs or ("--kills", "1000")))


@nox.session(venv_backend="none", requires=["wheel"], default=False)
def fuzz(session: nox.Session) -> None:
    """Read a million mutated files, and what promises much; what follows -- goes to the script."""
    add(session, "tests")
    tests = ROOT / "tests"
    run(session, "python", str(tests / "costs.py"))
    asked = session.posargs or ("--inputs", "1000000", "--commands", "500")
    run(session, "python", str(tests / "fuzz.py"), *asked)


@nox.session(venv_backend="none", requires=["wheel"], default=False)
def edits(session: nox.Session) -> None:
    """Edit all that runs keep and go on with them; what follows -- goes to the script."""
    add(session, "tests")
    run(session, "python", str(ROOT / "tests" / "edited_runs.py"), *session.posargs)


def group(name: str) -> list[str]:
    """List the requirements of a dependency group."""
    return list(nox.project.dependency_groups(nox.project.load_toml(ROOT / "pyproject.toml"), name))


def add(session: nox.Session, name: str) -> None:
    """Install a dependency group beside the wheel."""
    run(session, "python", "-m", "pip", "install", "--quiet", *group(name))


def run(session: nox.Session, program: str, *arguments: str) -> None:
    """Run a program of the environment that holds the wheel, one thread in each process."""
    path = (ROOT / session.env_dir).with_name("wheel") / "bin" / program
    session.run(str(path), *arguments, external=True, env={"OMP_NUM_THREADS": "1"})
