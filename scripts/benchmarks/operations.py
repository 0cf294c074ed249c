"""Lists the operations that a step's time goes to, on the CPU.

    python scripts/benchmarks/operations.py --size=512 --precision=float32

A picture is painted at one size with default settings, and TensorFlow's
profiler watches three steps after the first five. A time is that of the threads
that run an operation, without the operations that it calls, and not of the
threads that help them; a share is of the sum of all these times.
"""

import argparse
import collections
import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness

SKIPPED, WATCHED = 5, 3  # steps


def main(arguments: Sequence[str]) -> int:
    """Profiles, prints and appends a record."""
    flags = _parse(arguments)
    harness.hide_gpus()
    with tempfile.TemporaryDirectory() as folder:
        _profile(flags, folder)
        (path,) = Path(folder).rglob("*.xplane.pb")
        times = _sum_times(path)
    total = sum(times.values())
    shares = {
        name: round(time / total, 4)
        for name, time in times.most_common()
        if time > 0.002 * total
    }
    for name, share in shares.items():
        print(f"{share:7.1%}  {name}")
    record = {
        **harness.describe_machine(),
        "size": flags.size,
        "precision": flags.precision,
        "weights": flags.weights,
        "shares": shares,
    }
    harness.append(flags.json, record)
    return 0


def _profile(flags: argparse.Namespace, folder: str) -> None:
    """Paints, and writes a profile of some steps into a folder."""
    import nst_tf
    from nst_tf.images import image_io

    content, style = (
        image_io.load_image(harness.SAMPLES / name)
        for name in ("valley.jpg", "swirling_night.jpg")
    )
    import tensorflow as tf

    steps = nst_tf.stylize_steps(
        content,
        style,
        size=flags.size,
        levels=1,
        weights=flags.weights,
        precision=flags.precision,
        optimizer=flags.optimizer,
    )
    for _ in itertools.islice(steps, SKIPPED):
        pass
    tf.profiler.experimental.start(folder)
    for _ in itertools.islice(steps, WATCHED):
        pass
    tf.profiler.experimental.stop()


def _sum_times(path: Path) -> "collections.Counter[str]":
    """Sums the picoseconds of each kind of operation, by its own time."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(path.read_bytes())
    found: collections.Counter[str] = collections.Counter()
    for plane in space.planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        names = {key: each.name for key, each in plane.event_metadata.items()}
        for line in plane.lines:
            _add_line(found, line.events, names)
    return found


def _add_line(
    found: "collections.Counter[str]", events: Any, names: dict[int, str]
) -> None:
    """Adds the operations of a thread, each without what it calls."""
    ends: list[tuple[int, str]] = []  # of the events that others are within
    for event in sorted(events, key=lambda e: (e.offset_ps, -e.duration_ps)):
        name, colon, kind = names[event.metadata_id].rpartition(":")
        if not colon or name.endswith(":") or not kind.isidentifier():
            continue  # a function of TensorFlow's own, "Executor::Process"
        while ends and ends[-1][0] <= event.offset_ps:
            ends.pop()
        if ends:
            found[ends[-1][1]] -= event.duration_ps
        found[kind] += event.duration_ps
        ends.append((event.offset_ps + event.duration_ps, kind))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = harness.make_parser(__doc__, "operations")
    add = parser.add_argument
    add("--size", type=int, default=512, help="long side (512)")
    add("--precision", default="auto", help="of the network (auto)")
    add("--optimizer", default="auto", help="(auto)")
    add("--weights", default="auto", help="of the network (auto)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
