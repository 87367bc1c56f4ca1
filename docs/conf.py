"""How Sphinx builds these pages: `nox -s docs`."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import reference

project = "gan-nas"
author = "the gan-nas contributors"
version = release = version_of("gan-nas")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
smartquotes = False  # options begin with two hyphens

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config,model_post_init"}
python_maximum_signature_line_length = 80
default_role = "code"  # docstrings name things in single backticks, as Markdown does

html_theme = "furo"
html_title = f"gan-nas {release}"
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]


def setup(app: Sphinx) -> None:
    """Let Sphinx read pages through what makes the reference."""
    app.connect("source-read", _read)


def _read(app: Sphinx, page: str, text: list[str]) -> None:
    """Add what is made from the code to its page, and links to all others."""
    del app
    if page in reference.GENERATED:
        text[0] += "\n" + reference.GENERATED[page]()
    else:
        text[0] = reference.linked(text[0])
    if not (HERE / "many-machines.md").exists():  # the contents name it before it is written
        text[0] = text[0].replace("\nmany-machines\n", "\n")
