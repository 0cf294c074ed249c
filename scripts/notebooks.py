"""Writes badges, install cells and outputs of the notebooks.

    python scripts/notebooks.py
    python scripts/notebooks.py --run starry layers

The address is `url` in setup.cfg, and stands nowhere else. As long as there is
none, the install cell asks for it, and there is a sentence in place of a badge.

`--run` runs the named notebooks, or all, with the small pictures of `SMALL`,
and keeps what they show.
"""

import argparse
import base64
import configparser
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COLAB = "https://colab.research.google.com"
HOST = "https://github.com/"  # whose notebooks Colab opens by their address
BADGE_LINE = 2  # of the first cell, after the title and an empty line
INSTALL = "install"  # the id of the cell
LONGEST = 640  # pixels, long side of a picture in an output
LARGEST_PICTURE = 40_000  # bytes of it
# What the forms say when a notebook is run for its outputs.
SMALL: dict[str, dict[str, Any]] = {
    "starry": {"SIZE": 256, "STEPS": (80,)},
    "control": {"SIZE": 256, "SMALL": 192, "STEPS": (60,)},
    "layers": {"SIZE": 192, "STEPS": 120},
    "print": {"LOOK": 192, "PREVIEW": 256, "DPI": 72, "STEPS": (60,)},
}


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


def fill_forms(text: str, values: dict[str, Any]) -> str:
    """Returns a cell's text with other values in its forms.

    Args:
        text: Of the cell.
        values: By name; a form without one keeps its value.
    """
    for name, value in values.items():
        pattern = rf"^{name} = .+?(  # @param)"
        text = re.sub(pattern, rf"{name} = {value!r}\1", text, flags=re.M)
    return text


def run(notebook: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Runs a notebook, and returns it with small outputs.

    Args:
        notebook: As its file holds it.
        values: Of its forms, for this run only.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    import nbclient
    import nbformat

    text = json.dumps(notebook)
    copy = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    for cell in copy.cells:
        cell.source = fill_forms("".join(cell.source), values)
    os.environ["PYTHONPATH"] = str(ROOT)  # for the kernel
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        nbclient.NotebookClient(copy, timeout=900, resources=place).execute()
    cells = [
        {**cell, "outputs": [shrunk(each) for each in done.get("outputs", [])]}
        if cell["cell_type"] == "code"
        else cell
        for cell, done in zip(notebook["cells"], copy.cells, strict=True)
    ]
    return {**notebook, "cells": cells}


def shrunk(output: dict[str, Any]) -> dict[str, Any]:
    """Returns an output of a cell with a small JPEG, and without durations."""
    if "text" in output:
        return {**output, "text": _lines("".join(output["text"]))}
    data = output["data"]
    text = re.sub(r", after [\d.]+ \w+$", "", "".join(data["text/plain"]))
    found: dict[str, Any] = {"text/plain": _lines(text)}
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            picture = _compress(base64.b64decode(data[kind]))
            found["image/jpeg"] = base64.b64encode(picture).decode()
            found["text/plain"] = ["a picture"]  # not all its numbers
    kept = {"output_type": output["output_type"], "metadata": {}, "data": found}
    if output["output_type"] == "execute_result":
        kept["execution_count"] = None
    return kept


def _compress(picture: bytes) -> bytes:
    """Returns a picture as a JPEG file of at most `LARGEST_PICTURE` bytes."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB")
    small.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    for quality in range(85, 0, -5):
        file = io.BytesIO()
        small.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= LARGEST_PICTURE:
            break
    return file.getvalue()


def main() -> None:
    """Renews all notebooks, and the outputs of those to run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--run", nargs="*", choices=SMALL, help="notebooks to run; none: all"
    )
    given = parser.parse_args()
    named = SMALL if given.run == [] else given.run or ()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook = renewed(notebook, path.name, address())
        if path.stem in named:
            values = {"WEIGHTS": "small", **SMALL[path.stem]}
            notebook = run(notebook, values)
        path.write_text(dumps(notebook), encoding="utf-8")


def _lines(text: str) -> list[str]:
    """A cell's text as a notebook's file holds it."""
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    main()
