"""Python in processes of their own, which find the package: see conftest.py."""

import subprocess
import sys


def run_python(*arguments, **options):
    """Runs Python to its end: its status, and what it wrote, as text."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        **options,
    )
