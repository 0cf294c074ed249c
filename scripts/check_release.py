"""Checks that a tag can be released; prints each fault.

    python scripts/check_release.py v1.2.0

The version of the package, that of CITATION.cff and the newest heading of
CHANGELOG.md are that of the tag, and setup.cfg has the project's address.
"""

import configparser
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def list_faults(tag: str, root: Path = ROOT) -> list[str]:
    """Lists what has to be changed before a tag can be released.

    Args:
        tag: Such as "v1.2.0".
        root: The checkout.
    """
    version = tag.removeprefix("v")
    if not re.fullmatch(r"v\d+\.\d+\.\d+", tag):
        return [f"the tag is {tag}, expected one like v1.2.0."]
    faults = [
        f"{name} has version {found}, but the tag is {tag}; change one of them."
        for name, pattern in (
            ("nst_tf/__init__.py", r'^__version__ = "(.*)"$'),
            ("CITATION.cff", r"^version: (.*)$"),
            ("CHANGELOG.md", r"^## \[?([\w.]+)\]?"),
        )
        if (found := _find(root / name, pattern)) != version
    ]
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg", encoding="utf-8")
    if not config["metadata"].get("url"):
        faults.append(
            "setup.cfg has no url, the address that links start with; add it "
            "below [metadata], and run python scripts/notebooks.py."
        )
    return faults


def main(arguments: Sequence[str]) -> int:
    """Checks the tag of the command line."""
    if len(arguments) != 1:
        print("usage: check_release.py TAG", file=sys.stderr)
        return 1
    faults = list_faults(arguments[0])
    print("\n".join(faults), file=sys.stderr, end="\n" * bool(faults))
    return 1 if faults else 0


def _find(path: Path, pattern: str) -> str:
    """Returns the first match in a file; "none" without one."""
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.M)
    return found[1] if found else "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
