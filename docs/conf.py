"""Configures the documentation site, which `scripts/docs` builds.

The pages are the Markdown files of the repository. The source folder is its
root, so that relative links work here and there.

- The sidebar is made from the lists of `docs/README.md`.
- `<a id="x"></a>` becomes a target that links can be checked against.
- Classes of values get their fields' comments as documentation.
"""

import ast
import configparser
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import nst_tf

ROOT = Path(__file__).resolve().parent.parent

_config = configparser.ConfigParser()
_config.read(ROOT / "setup.cfg", encoding="utf-8")
_address = _config["metadata"].get("url", "")

project = "nst_tf"
author = project_copyright = _config["metadata"]["author"]
version = release = nst_tf.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "configs/README.md",
    "docs/*.md",
    "notebooks/README.md",
    "nst_tf/README.md",
    "nst_tf/data/README.md",
    "scripts/README.md",
    "tests/README.md",
    "tests/goldens/README.md",
]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4  # named as on GitHub
smartquotes_action = "qe"  # quotes and ellipses; `--` in a text is a flag
suppress_warnings = ["myst.header"]  # a preset's page begins at its own level

default_role = "literal"  # docstrings have code in single backquotes
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_custom_sections = ["Source"]
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"nst_tf {version}"
html_show_sphinx = html_copy_source = False
html_extra_path = ["site"]
html_static_path, html_css_files = ["static"], ["site.css"]
html_theme_options = {"source_repository": _address} if _address else {}

_DEVELOPMENT = """\
```{toctree}
:hidden:
:caption: Development

CONTRIBUTING
CHANGELOG
nst_tf/README
tests/README
tests/goldens/README
scripts/README
nst_tf/data/README
```
"""


def setup(app: Any) -> None:
    """Connects the functions below; called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("autodoc-process-docstring", _document, priority=1)
    app.connect("autodoc-process-signature", _sign)
    app.connect("html-page-context", _join)


def _read(_app: Any, page: str, source: list[str]) -> None:
    """Changes the text of a page before it is parsed."""
    source[0] = re.sub(r'<a id="([\w-]+)"></a>(`[^`]+`)', r"\2{#\1}", source[0])
    if page == root_doc:
        source[0] += "\n" + "\n".join([*_make_sidebar(), _DEVELOPMENT])


def _make_sidebar() -> list[str]:
    """Makes a table of contents of each list of `docs/README.md`."""
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    parts = re.split(r"^(?:# |\*\*)([A-Z]\w+)(?:\*\*)?$", text, flags=re.M)
    made = ["```{toctree}", ":hidden:", "", "docs/README", "```", ""]
    for caption, body in zip(parts[1::2], parts[2::2], strict=True):
        links = re.findall(r"\]\((\S+)\.md\)", body)
        pages = [
            link.removeprefix("../") if link[0] == "." else f"docs/{link}"
            for link in links
        ]
        head = ["```{toctree}", ":hidden:", f":caption: {caption}", ""]
        made.append("\n".join([*head, *pages, "```", ""]))
    return made


def _document(
    _app: Any, what: str, _name: str, kind: Any, _options: Any, lines: list[str]
) -> None:
    """Escapes bars; adds the fields of a class of values, with comments."""
    lines[:] = [
        re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or r"\|", line)
        for line in lines
    ]
    if what != "class" or "Attributes:" in lines or "Args:" in lines:
        return
    source = textwrap.dedent(inspect.getsource(kind))
    texts = source.splitlines()
    fields = []
    for node in ast.parse(source).body[0].body:
        if isinstance(node, ast.AnnAssign):
            type_ = ast.unparse(node.annotation).strip("'")
            comment = texts[node.end_lineno - 1].partition("  # ")[2]
            words = ". ".join(filter(None, [f"`{type_}`", comment]))
            fields.append(f"    {node.target.id}: {words}")
    if fields:
        lines += ["Attributes:", *fields, ""]


def _sign(
    _app: Any, _what: str, _name: str, function: Any, *_: Any
) -> tuple[str, str] | None:
    """Writes `**settings` where the signature for editors lists them all."""
    if not hasattr(function, "__wrapped__"):
        return None
    signature = inspect.signature(inspect.unwrap(function))
    parameters = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in signature.parameters.values()
    ]
    return str(inspect.Signature(parameters)), ""


def _join(
    _app: Any, _page: str, _template: str, context: dict[str, Any], _tree: Any
) -> None:
    """Marks flags in code, which no line may break after their hyphens."""
    context["body"] = re.sub(
        r'(?<=<span class="pre">)--?\w+',
        r'<span class="flag">\g<0></span>',
        context.get("body", ""),
    )
