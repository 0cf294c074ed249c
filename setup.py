"""Finds the rooms of the package, and makes links of the README absolute.

Everything else is in setup.cfg. The README is the long description, which is
read where its relative links lead nowhere; they are made absolute by `url` in
setup.cfg, the one place of the project's address. Without it they stay.
"""

import configparser
import re
from pathlib import Path

import setuptools

ROOT = Path(__file__).resolve().parent
PAGES = {
    "Documentation": "blob/main/docs/README.md",
    "Changelog": "blob/main/CHANGELOG.md",
    "Issues": "issues",
}


def read_address() -> str:
    """Returns the project's address; empty if it is not known."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["metadata"].get("url", "").rstrip("/")


def describe(address: str) -> str:
    """Returns the README, with links to files of the project at an address."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if not address:
        return text
    text = re.sub(r"(!\[[^\]]*\])\((?!\w+:)", rf"\1({address}/raw/main/", text)
    return re.sub(r"(?<=\])\((?![\w]+:)", f"({address}/blob/main/", text)


if __name__ == "__main__":  # not where tests import it
    address = read_address()
    setuptools.setup(
        packages=[
            *setuptools.find_packages(include=["nst_tf", "nst_tf.*"]),
            "nst_tf.configs",
        ],
        long_description=describe(address),
        long_description_content_type="text/markdown",
        project_urls={
            name: f"{address}/{page}" for name, page in PAGES.items() if address
        },
    )
