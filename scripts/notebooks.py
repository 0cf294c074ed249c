"""Writes into the notebooks where the project is: badge and install cell.

    python scripts/notebooks.py

The address is `url` in setup.cfg, and stands nowhere else. As long as there is
none, the install cell asks for it, and there is a sentence in place of a badge.
"""

import configparser
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COLAB = "https://colab.research.google.com"
HOST = "https://github.com/"  # whose notebooks Colab opens by their address
BADGE_LINE = 2  # of the first cell, after the title and an empty line
INSTALL = "install"  # the id of the cell


def address() -> str:
    """The project's public address; empty if it is not known."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["metadata"].get("url", "").rstrip("/")


def badge(name: str, url: str) -> str:
    """The line under the title of a notebook.

    Args:
        name: Of its file.
        url: Of the project; empty if it is not known.
    """
    if not url.startswith(HOST):
        return (
            "To run this on Colab, upload it there, and write the address of "
            "the project's repository into the first form."
            if not url
            else f"To run this on Colab, upload it there; it comes from {url}."
        )
    place = f"{url.removeprefix(HOST)}/blob/main/notebooks/{name}"
    image = f"{COLAB}/assets/colab-badge.svg"
    return f"[![Open In Colab]({image})]({COLAB}/github/{place})"


def install(url: str) -> str:
    """The cell that installs the package, where it is not installed.

    Without versions and without the extra "gpu": Colab's TensorFlow, which
    finds the GPU, stays.

    Args:
        url: Of the project; empty if it is not known.
    """
    if url:
        lines = [
            "# @title Install",
            "import importlib.util",
            "",
            'if not importlib.util.find_spec("nst_tf"):',
            f'    %pip install --quiet "nst-tf @ git+{url}"',
        ]
    else:
        lines = [
            "# @title Install",
            "import importlib.util",
            "",
            'ADDRESS = ""  # @param {type:"string"}',
            "",
            'if not importlib.util.find_spec("nst_tf"):',
            "    if not ADDRESS:",
            '        raise ValueError("write the address above: https://...")',
            '    %pip install --quiet "nst-tf @ git+{ADDRESS}"',
        ]
    return "\n".join(lines)


def renewed(notebook: dict[str, Any], name: str, url: str) -> dict[str, Any]:
    """A notebook with the badge and the install cell of an address.

    Args:
        notebook: As its file holds it.
        name: Of its file.
        url: Of the project; empty if it is not known.
    """
    title, *rest = notebook["cells"]
    lines = "".join(title["source"]).splitlines()
    lines[BADGE_LINE] = badge(name, url)
    cells = [{**title, "source": _lines("\n".join(lines))}]
    for cell in rest:
        found = cell["id"] == INSTALL
        cells.append(
            {**cell, "source": _lines(install(url))} if found else cell
        )
    return {**notebook, "cells": cells}


def dumps(notebook: dict[str, Any]) -> str:
    """The text of a notebook's file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Renews all notebooks."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook = renewed(notebook, path.name, address())
        path.write_text(dumps(notebook), encoding="utf-8")


def _lines(text: str) -> list[str]:
    """A cell's text as a notebook's file holds it."""
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    main()
