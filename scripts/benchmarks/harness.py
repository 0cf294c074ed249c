"""Shared parts of benchmarks: flags, records, turns, child processes, pictures.

Importing it imports nothing of the package, nor NumPy: some benchmarks measure
what these imports take.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parent / "results"
SAMPLES = ROOT / "configs" / "images"
PAUSE_SECONDS = 0.05  # idle threads of another library spin a little longer

# This checkout is measured, whatever else is there.
sys.path.insert(0, str(ROOT))


class Pair(NamedTuple):
    """Two pictures, [H, W, 3] in [0, 1]."""

    name: str  # "town-painting"
    content: np.ndarray
    style: np.ndarray


def make_parser(
    description: str, results: str | None = None
) -> argparse.ArgumentParser:
    """Makes a parser with the flag --json, the file that records go to.

    Args:
        description: A module's docstring, which --help prints as it stands.
        results: Name of the default file in `RESULTS`; none if None.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = RESULTS / f"{results}.jsonl" if results else None
    parser.add_argument(
        "--json", type=Path, default=default, help="gets a line for each record"
    )
    return parser


def split(text: str) -> list[str]:
    """Reads "a,b" as a list."""
    return text.split(",")


def split_numbers(text: str) -> list[int]:
    """Reads "256,512" as a list of whole numbers."""
    return [int(each) for each in text.split(",")]


def hide_gpus() -> None:
    """Lets TensorFlow see the CPU alone, and log errors alone."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def append(path: Path | None, record: Mapping[str, Any]) -> None:
    """Appends a record to a file of JSON lines, if there is one."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(record) + "\n")


def describe_machine() -> dict[str, Any]:
    """Returns the part of a record about code, libraries and processor."""
    cpuinfo = Path("/proc/cpuinfo")  # on Linux
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(": ")[2] for line in lines if "model name" in line]
    packages = ["tensorflow", "keras", "torch"]
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True).stdout
    except OSError:  # there is no git
        commit = ""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "commit": commit.strip() or None,
        "date": now.isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{
                package: importlib.metadata.version(package)
                for package in packages
                if importlib.util.find_spec(package)
            },
        },
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        **{
            flag: any(flag in line.split() for line in lines)
            for flag in ("amx_bf16", "avx512_bf16")
        },
    }


def describe_day() -> dict[str, Any]:
    """Returns the short part of a record about the machine: date and cores."""
    return {"date": datetime.date.today().isoformat(), "cores": os.cpu_count()}


def time_call(call: Callable[[], Any], pause: float = 0.0) -> tuple[float, Any]:
    """Calls after a pause; returns the seconds of the call, and its value."""
    time.sleep(pause)
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def time_in_turn(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    warm_up: int = 0,
    pause: float = 0.0,
) -> dict[str, list[float]]:
    """Calls all in turn, so that what else the machine does meets all alike.

    Args:
        calls: What is timed, by name.
        rounds: How often each is timed.
        warm_up: Rounds before these, which do not count.
        pause: Seconds before each call.

    Returns:
        The seconds of each call, by name; those of a round have one index.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(warm_up + rounds):
        for name, call in calls.items():
            seconds[name].append(time_call(call, pause)[0])
    return {name: values[warm_up:] for name, values in seconds.items()}


def divide(
    numerators: Sequence[float], denominators: Sequence[float]
) -> list[float]:
    """Divides the seconds of each round."""
    return [a / b for a, b in zip(numerators, denominators, strict=True)]


def spread(values: Sequence[float], digits: int = 4) -> dict[str, float]:
    """Returns median, smallest and largest, rounded."""
    spread = statistics.median(values), min(values), max(values)
    names = ("median", "min", "max")
    return {n: round(v, digits) for n, v in zip(names, spread, strict=True)}


def range_text(spread: Mapping[str, float], digits: int) -> str:
    """Writes a spread such as "1.25 (1.20-1.31)"."""
    median, low, high = (f"{value:.{digits}f}" for value in spread.values())
    return f"{median} ({low}-{high})"


def shorten(value: float) -> float:
    """Keeps five digits that count."""
    return float(f"{value:.5g}") if math.isfinite(value) else math.nan


def say_met(met: bool) -> str:
    """Says whether a target is met."""
    return "met" if met else "NOT met"


def cosine(one: Any, other: Any) -> float:
    """Computes the cosine of two gradients, in float64."""
    import numpy as np

    a, b = (np.asarray(each, "f8").ravel() for each in (one, other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def make_environment() -> dict[str, str]:
    """Makes the environment of a child process that runs this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def name_pair(content: str, style: str) -> str:
    """Names a pair of files: "town-painting"."""
    return f"{Path(content).stem}-{Path(style).stem}"


def read_pair(text: str) -> Pair:
    """Reads the two pictures of CONTENT:STYLE."""
    from nst_tf.images import image_io

    content, colon, style = text.partition(":")
    if not (content and colon and style):
        raise ValueError(
            f"pair is {text!r}, expected CONTENT:STYLE, two paths."
        )
    return Pair(
        name_pair(content, style),
        image_io.load_image(content),
        image_io.load_image(style),
    )


def perturb(pair: Pair) -> Pair:
    """Adds noise of 1e-6 to the photograph of a pair, as rounding would."""
    import numpy as np

    rng = np.random.default_rng(0)
    noise = 1e-6 * rng.standard_normal(pair.content.shape).astype("f4")
    return pair._replace(content=(pair.content + noise).clip(0, 1))


def save_picture(folder: Path | None, name: str, picture: np.ndarray) -> None:
    """Writes FOLDER/NAME.png, if there is a folder."""
    from nst_tf.images import image_io

    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        image_io.save_image(folder / f"{name}.png", picture)


def start_plot(salt: str, size: tuple[float, float]) -> tuple[Any, Any]:
    """Starts a plot whose file is the same each time: figure and axes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = salt
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size, layout="constrained")


def save_plot(figure: Any, path: Path) -> None:
    """Writes a plot, without its date."""
    from matplotlib import pyplot

    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
