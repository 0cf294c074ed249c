"""Writes nst_tf/__init__.pyi: the public names, as editors and mypy see them.

    python scripts/write_stub.py

The keywords of `stylize`, `stylize_steps` and `Job` come from the table of
settings. A test holds the file that is committed to this.
"""

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "nst_tf" / "__init__.pyi"
FUNCTIONS = ("stylize", "stylize_steps")  # written out; all else is imported
HEAD = '''\
"""Written by scripts/write_stub.py from the table of settings: change that."""

import os
from collections.abc import Iterator, Sequence

'''
# Names in signatures, and where they come from.
TYPES = {
    "ImageLike": "nst_tf.plan.arrays",
    "Painting": "nst_tf.images.painting",
    "PathOrArray": "nst_tf.plan.arrays",
    "descent": "nst_tf.optimize",
    "method": "nst_tf.transfer",
    "settings": "nst_tf.plan",
    "runner": "nst_tf.runs",
}
JOB = '''
class Job(settings.Job):
    """One picture to make, in strings and numbers only."""

    def __init__(
        self,
'''


def main() -> int:
    """Writes the file."""
    PATH.write_text(make_stub(), encoding="utf-8")
    return 0


def make_stub() -> str:
    """Makes the text of the file."""
    sys.path.insert(0, str(ROOT))
    import nst_tf
    from nst_tf.plan import settings

    imported = [
        (module, ", ".join(n for n in TYPES if TYPES[n] == module), "")
        for module in {*TYPES.values()}
    ]
    for name in {*dir(nst_tf)} - {*FUNCTIONS, "Job"}:
        thing = getattr(nst_tf, name)
        module = "nst_tf" if inspect.ismodule(thing) else thing.__module__
        imported.append((module, name, f" as {name}"))
    lines = [
        f"from {module} import {name}{alias}\n"
        for module, name, alias in sorted(imported)
    ]
    lines.append("\n__version__: str\n\n")
    for name in FUNCTIONS:
        signature = inspect.signature(getattr(nst_tf, name))
        content, style, *keywords = signature.parameters.values()
        lines += [f"def {name}(\n", _parameter(content), _parameter(style)]
        lines += ["    *,\n", *map(_parameter, keywords)]
        lines.append(f") -> {_type(signature.return_annotation)}: ...\n")
    lines.append(JOB)
    for name, field in settings.FIELDS.items():
        kind = field.type
        if kind in settings.ITEM_TYPES:
            item: Any = get_args(kind)[0]
            kind = item | Sequence[item]
        plain = inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=kind,
        )
        lines.append(f"    {_parameter(plain)}")
    lines.append("    ) -> None: ...\n")
    return HEAD + "".join(lines)


def _parameter(parameter: inspect.Parameter) -> str:
    """Writes the line of a parameter; a long default as three dots."""
    text = f"    {parameter.name}: {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        default = repr(parameter.default).replace("'", '"')
        text += f" = {default if len(default) < 20 else '...'}"
    return f"{text},\n"


def _type(annotation: Any) -> str:
    """Writes a type as source code, by the names of `TYPES`."""
    from nst_tf.plan import arrays

    if isinstance(annotation, str):
        return annotation
    text = inspect.formatannotation(annotation)
    for name, kind in (
        ("ImageLike", arrays.ImageLike),
        ("PathOrArray", arrays.PathOrArray),
    ):
        text = text.replace(inspect.formatannotation(kind), name)
    text = text.replace("nst_tf.images.painting.", "")
    return text.replace("collections.abc.", "")


if __name__ == "__main__":
    sys.exit(main())
