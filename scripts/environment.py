"""Makes the virtual environment of the checkout, which the scripts here share.

It is `.venv`, or the folder that NST_TF_VENV names. It is made once, and
renewed when setup.cfg changes. PYTHON names a Python to make it with; without
it, it is the one that runs the script.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARALLEL = ("-n", "2", "--dist", "loadfile")  # of pytest-xdist
CHECK = """
import sys
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"Python is {sys.version.split()[0]}, expected 3.10 to 3.13; "
             "name another with PYTHON=python3.12, say.")
"""


def prepare(extras: str = "", folder: str = "") -> str:
    """Installs the checkout, editable, and returns the environment's Python.

    Args:
        extras: Of setup.cfg, separated by commas.
        folder: Of the environment; empty: the usual one.
    """
    venv = ROOT / (folder or os.environ.get("NST_TF_VENV", ".venv"))
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = venv / f"installed-{extras or 'core'}"
    settings = (ROOT / "setup.cfg").read_bytes()
    if python.exists() and stamp.exists() and stamp.read_bytes() == settings:
        return str(python)
    maker = os.environ.get("PYTHON", sys.executable)
    run(maker, "-c", CHECK)
    if not python.exists():
        run(maker, "-m", "venv", str(venv))
    if _has_nvidia():  # the CUDA libraries (2.8 GB) come too
        extras = ",".join(filter(None, ["gpu", extras]))
    print(f"installing into {venv} (0.6 GB the first time) ...", flush=True)
    run(
        *(str(python), "-m", "pip", "install", "--quiet"),
        *("--disable-pip-version-check", "--editable"),
        f".[{extras}]" if extras else ".",
    )
    stamp.write_bytes(settings)
    return str(python)


def run(*command: str, folder: Path = ROOT) -> None:
    """Runs a command; ends this program with its status if it fails."""
    status = subprocess.run(command, cwd=folder).returncode
    if status:
        sys.exit(status)


def replace(*command: str, folder: Path = ROOT) -> None:
    """Runs a command as the last one, in place of this program."""
    if os.name == "nt":  # there the shell would not wait for it
        run(*command, folder=folder)
        return
    os.chdir(folder)
    os.execv(command[0], command)


def _has_nvidia() -> bool:
    """Returns whether there is an NVIDIA driver."""
    program = shutil.which("nvidia-smi")
    if not program:
        return False
    return not subprocess.run([program], capture_output=True).returncode
