"""Writes nst_tf/__init__.pyi: the public names, as editors and mypy see them.

    python scripts/write_stub.py

The keywords of `stylize`, `stylize_steps` and `Job` come from the table of
settings, and so does the end of the package's docstring, which help() prints.
A test holds the files that are committed to this.
"""

import inspect
import sys
import textwrap
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parent.parent
PATH = ROOT / "nst_tf" / "__init__.pyi"
PACKAGE = ROOT / "nst_tf" / "__init__.py"
EXPLAINED = "help(nst_tf.Job) explains each:\n\n"  # in the package's docstring
FUNCTIONS = ("stylize", "stylize_steps")  # written out; all else is imported
HEAD = '''\
"""Written by scripts/write_stub.py from the table of settings: change that."""

import os
from collections.abc import Iterator, Sequence
from typing import Literal

'''
# Names in signatures, and where they come from.
TYPES = {
    "ImageLike": "nst_tf.plan.arrays",
    "Painting": "nst_tf.images.painting",
    "PathOrArray": "nst_tf.plan.arrays",
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
    """Writes the files."""
    PATH.write_text(make_stub(), encoding="utf-8")
    PACKAGE.write_text(make_package(), encoding="utf-8")
    return 0


def make_package() -> str:
    """Makes the text of the package: its docstring lists the settings."""
    sys.path.insert(0, str(ROOT))
    from nst_tf.plan import settings

    groups: dict[str, list[str]] = {}
    for name, field in settings.FIELDS.items():
        is_keyword = name in settings.KEYWORDS
        group = field.metadata["group"] if is_keyword else "Of Job alone"
        groups.setdefault(group, []).append(f"{name}={field.default!r}")
    lines = []
    for group in sorted(groups, key="Of Job alone".__eq__):
        lines.append(f"    {group}:")
        words = ", ".join(each.replace(" ", "") for each in groups[group])
        lines += textwrap.wrap(
            f"        {words}", 80, subsequent_indent=8 * " "
        )
    before, found, rest = PACKAGE.read_text("utf-8").partition(EXPLAINED)
    listed = "\n".join(lines).replace("'", '"')
    _, end, code = rest.partition('\n"""')
    return f"{before}{found}{listed}{end}{code}"


def make_stub() -> str:
    """Makes the text of the file."""
    sys.path.insert(0, str(ROOT))
    import nst_tf
    from nst_tf.plan import settings, signatures

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
        plain = inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=signatures.annotate(name, is_plain=True),
        )
        lines.append(textwrap.indent(_parameter(plain), 4 * " "))
    lines.append("    ) -> None: ...\n")
    return HEAD + "".join(lines)


def _parameter(parameter: inspect.Parameter) -> str:
    """Writes the lines of a parameter; a long default as three dots."""
    default = ""
    if parameter.default is not parameter.empty:
        default = repr(parameter.default).replace("'", '"')
        default = f" = {default if len(default) < 20 else '...'}"
    head = f"    {parameter.name}: "
    line = f"{head}{_type(parameter.annotation)}{default},\n"
    one = (get_args(parameter.annotation) or (None,))[0]
    if get_origin(one) is Literal:  # or several of them, as ruff formats it
        text = _type(one)
        return (
            f"{head}{text}\n    | Sequence[\n        {text}\n    ]{default},\n"
        )
    if get_origin(parameter.annotation) is not Literal or len(line) < 77:
        return line
    choices = [f'"{each}"' for each in get_args(parameter.annotation)]
    inside = f"        {', '.join(choices)}\n"
    if len(inside) >= 77:
        inside = "".join(f"        {each},\n" for each in choices)
    return f"{head}Literal[\n{inside}    ]{default},\n"


def _type(annotation: Any) -> str:
    """Writes a type as source code, by the names of `TYPES`."""
    from nst_tf.plan import arrays
    from nst_tf.runs import runner

    if isinstance(annotation, str):
        return annotation.replace("nst_tf.", "")
    text = inspect.formatannotation(annotation)
    for name, kind in (
        ("runner.Callback", runner.Callback),
        ("runner.ExtraLosses", runner.ExtraLosses),
        ("ImageLike", arrays.ImageLike),
        ("PathOrArray", arrays.PathOrArray),
    ):
        text = text.replace(inspect.formatannotation(kind), name)
    text = text.replace("nst_tf.images.painting.", "").replace("'", '"')
    return text.replace("collections.abc.", "").replace("NoneType", "None")


if __name__ == "__main__":
    sys.exit(main())
