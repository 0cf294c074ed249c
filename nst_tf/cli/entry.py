"""Starts the program: answers --help and the like, or runs `main`.

Questions are answered without importing NumPy.
"""

import os
import platform
from collections.abc import Sequence
from importlib import metadata

import nst_tf
from nst_tf import display, terminal, watcher

HELP = {"--help", "-help", "--helpfull", "--helpshort"}
VERSION = {"--version", "-version", "-V"}
VERBOSE = {"--verbose", "-verbose", "-v"}


def main(arguments: Sequence[str]) -> int:
    """Answers --help and the like, or generates the requested picture.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status, as from `main.main`.
    """
    given = set(arguments)
    try:
        if HELP & given or "-h" in given:
            from nst_tf.cli import usage

            is_short = not HELP & given
            text = usage.SUMMARY if is_short else usage.format_usage()
            terminal.print_line(*text.split("\n"))
            return 0
        if VERSION & given:
            lines = describe_versions() if VERBOSE & given else []
            terminal.print_line(f"nst-tf {nst_tf.__version__}", *lines)
            return 0
        if shell := find_value("completion", arguments, "a shell", "bash"):
            from nst_tf.cli import completion

            terminal.print_result(*completion.write(shell).split("\n"))
            return 0
        if picture := find_value("describe", arguments, "a picture", "PICTURE"):
            from nst_tf.runs import description

            with terminal.print_notes():
                terminal.print_result(*description.describe(picture))
            return 0
    except (ValueError, OSError) as error:
        terminal.print_error(str(error))
        return 1
    display.start(arguments)
    with watcher.at_once():
        from nst_tf.cli import main as program

    return program.main(arguments)


def find_value(
    name: str, arguments: Sequence[str], what: str, example: str
) -> str:
    """Returns the value of a flag that must stand alone; "" without the flag.

    Raises:
        ValueError: If there are other arguments, or the flag has no value.
    """
    for place, argument in enumerate(arguments):
        typed, equals, value = argument.partition("=")
        if typed not in (f"--{name}", f"-{name}"):
            continue
        rest = [*arguments[:place], *arguments[place + 1 :]]
        if not equals and rest[place:]:
            value = rest.pop(place)
        if not value or rest:
            raise ValueError(
                f"--{name} needs {what} and no other arguments; write "
                f"--{name}={example}."
            )
        return value
    return ""


def describe_versions() -> list[str]:
    """Lists versions and the device, for bug reports.

    Imports TensorFlow.
    """
    from nst_tf import files
    from nst_tf.backend import device

    device.prepare()
    packages = ("tensorflow", "keras", "numpy", "pillow")
    cache = files.find_cache()
    rows = {
        "Python": f"{platform.python_version()}, {platform.platform()}",
        **{name: metadata.version(name) for name in packages},
        "device": device.describe(),
        "precision": device.resolve_precision("auto"),
        "cache": str(cache) if cache else "none: there is no home folder",
        "package": os.path.dirname(nst_tf.__file__),
    }
    return [f"{name:11} {value}" for name, value in rows.items()]
