"""Times a batch: checking its lines, its pictures, a cluster's driver.

    python scripts/benchmarks/batches.py --lines=1000000
    python scripts/benchmarks/batches.py --pictures
    python scripts/benchmarks/batches.py --stubs=2000
    python scripts/benchmarks/batches.py --engines=2

--lines checks a manifest of so many good lines. --pictures paints three
photographs in four styles at 128 with the small network, as one batch and in
twelve processes of their own, without their imports; the exit status is 1 if
the batch takes over 0.6 of the twelve, or differs by a bit. --stubs sends jobs
that paint nothing through a local Ray cluster; it needs nst-tf[batch].
--engines paints the same twelve pictures here and by Ray with one and two
workers, in turns, each in a process of its own, that many times.
"""

import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

NAMES = "ink_wash", "points_of_color", "stained_blocks", "swirling_night"
SINGLE = """
import json, sys, time
import nst_tf
from nst_tf.backend import device
device.prepare()
from nst_tf.transfer import painter_pool
began = time.monotonic()
nst_tf.run_job(nst_tf.Job(**json.loads(sys.argv[1])))
print(time.monotonic() - began)
"""


ENGINES: dict[str, dict[str, Any]] = {
    "here": {},
    "ray, 1 worker": {"engine": "ray", "address": "local", "workers": 1},
    "ray, 2 workers": {"engine": "ray", "address": "local", "workers": 2},
}
# Prints when each picture came, and how long it was painted.
TIMED = """
import json, sys, time
import nst_tf
jobs, options = json.loads(sys.argv[1])
began = time.monotonic()
found = []
for each in nst_tf.run_jobs([nst_tf.Job(**job) for job in jobs], **options):
    if each.status != "done":
        raise SystemExit(each.error)
    found.append((time.monotonic() - began, each.seconds))
print(json.dumps(found))
"""


def make_pictures() -> None:
    """Makes three photographs and four paintings in the working directory."""
    from PIL import Image

    os.mkdir("photos")
    with Image.open(harness.SAMPLES / "harbor_at_dusk.jpg") as photo:
        for n in range(3):
            photo.crop((100 * n, 0, 600 + 100 * n, 450)).save(f"photos/{n}.png")


def check_lines(count: int) -> dict[str, Any]:
    """Checks a manifest of good lines: seconds, and the largest memory."""
    from nst_tf.batch import checking, manifest, order, tasks
    from nst_tf.plan import settings

    style = harness.SAMPLES / "ink_wash.jpg"
    path = Path("jobs.csv")
    with path.open("w", encoding="utf-8") as file:
        file.write("content,style,output,seed\n")
        for n in range(count):
            file.write(f"photos/{n % 3}.png,{style},out/{n}.png,{n % 7}\n")
    began = time.monotonic()
    defaults = settings.Job(size=128, weights="small")
    maker = tasks.Maker(defaults, path.parent)
    checked = checking.Checker().check_all(maker.make_all(manifest.read(path)))
    order.Queue(checked.found)
    if checked.number != count:
        raise SystemExit(f"a line was refused: {checked.faults[:1]}")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "lines": count,
        "seconds": round(time.monotonic() - began, 1),
        "GB": round(used, 3),
    }


def list_jobs(folder: str) -> list[dict[str, Any]]:
    """Lists the settings of twelve pictures."""
    return [
        {
            "content": f"photos/{n}.png",
            "style": [str(harness.SAMPLES / f"{name}.jpg")],
            "output": f"{folder}/{n}-{name}.png",
            "size": 128,
            "weights": "small",
        }
        for n in range(3)
        for name in NAMES
    ]


def paint_twelve() -> dict[str, Any]:
    """Paints twelve pictures as a batch and alone."""
    import nst_tf
    from nst_tf.backend import device

    device.prepare()
    from nst_tf.transfer import painter_pool  # noqa: F401  imports are not counted

    os.mkdir("alone")
    alone = []
    for each in list_jobs("alone"):
        done = subprocess.run(
            [sys.executable, "-c", SINGLE, json.dumps(each)],
            env=harness.make_environment(),
            check=True,
            capture_output=True,
            text=True,
        )
        alone.append(float(done.stdout.split()[-1]))
    began = time.monotonic()
    jobs = [nst_tf.Job(**each) for each in list_jobs("batch")]
    if {each.status for each in nst_tf.run_jobs(jobs)} != {"done"}:
        raise SystemExit("a picture failed.")
    seconds = time.monotonic() - began
    share = seconds / sum(alone)
    is_same = all(
        (nst_tf.load_image(path) == nst_tf.load_image(f"alone/{path.name}"))
        .all()
        for path in Path("batch").glob("*.png")
    )  # fmt: skip
    return {
        "pictures": 12,
        "batch": round(seconds, 1),
        "alone": [round(each, 1) for each in alone],
        "batch over alone": round(share, 3),
        "same": is_same,
        "met": share <= 0.6 and is_same,
    }


def compare_engines(rounds: int) -> dict[str, Any]:
    """Paints twelve pictures by each engine in turn: pictures an hour.

    The first picture of each worker, which compiles, is not counted. The
    overhead of Ray is the time between the pictures of a single worker. The
    load says how busy the machine was with other work.
    """
    rates: dict[str, list[float]] = {name: [] for name in ENGINES}
    overheads, load = [], os.getloadavg()[2]
    for turn in range(rounds):
        for name, options in ENGINES.items():
            jobs = list_jobs(f"{turn}-{name}")
            done = subprocess.run(
                [sys.executable, "-c", TIMED, json.dumps([jobs, options])],
                env=harness.make_environment(),
                check=True,
                capture_output=True,
                text=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            workers = options.get("workers", 1)
            began, ended = found[workers - 1][0], found[-1][0]
            counted = found[workers:]
            rates[name].append(3600 * len(counted) / (ended - began))
            if options and workers == 1:
                painted = sum(seconds for _, seconds in counted)
                overheads.append((ended - began - painted) / len(counted))
    return {
        "pictures an hour": {n: round(max(r)) for n, r in rates.items()},
        "of each turn": {n: [*map(round, r)] for n, r in rates.items()},
        "Ray's ms a picture": [round(1e3 * each, 1) for each in overheads],
        "load of 15 minutes": round(load, 1),
    }


def send_stubs(count: int) -> dict[str, Any]:
    """Sends jobs that paint nothing through a local Ray cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    import nst_tf
    from nst_tf.batch import (
        actor,
        checking,
        command_line,
        ledger,
        order,
        ray_engine,
        tasks,
        workers,
    )

    class Stub:
        def __init__(self, setup: Any, threads: int, mark: str):
            pass

        def paint(self, version: str, data: bytes, references: Any) -> Any:
            request, _ = pickle.loads(data)
            path = Path(request.job.output)
            result = ledger.Result(request.line, "done", path)
            return actor.Answer(result._replace(notes=(str(len(data)),)))

        def stop(self) -> None:
            pass

    style = str(harness.SAMPLES / "ink_wash.jpg")
    jobs = [
        nst_tf.Job("photos/0.png", (style,), f"out/{n}.png", size=48)
        for n in range(count)
    ]
    checked = checking.Checker().check_all(tasks.take_jobs(jobs))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    options = command_line.Options(workers=2, engine="ray")
    began, used = 0.0, 0.0
    sent = 0
    for _, result in ray_engine.paint(
        order.Queue(checked.found),
        ledger.Written(None),
        workers.Watch(),
        options,
        Stub,
    ):
        if not began:
            began, used = time.monotonic(), time.process_time()
        sent += int(result.notes[0]) + len(pickle.dumps(actor.Answer(result)))
    seconds, used = time.monotonic() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    ray.shutdown()
    return {
        "stubs": count,
        "ms a job": round(1e3 * seconds / (count - 1), 2),
        "ms of the driver": round(1e3 * used / (count - 1), 2),
        "bytes a job": round(sent / count),
        "driver MB": round(peak),
    }


def main() -> int:
    """Measures, prints, and returns the exit status."""
    parser = harness.make_parser(__doc__, "batches")
    parser.add_argument("--lines", type=int, default=0)
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--stubs", type=int, default=0)
    parser.add_argument("--engines", type=int, default=0)
    typed = parser.parse_args()
    harness.hide_gpus()
    # Before the working directory changes.
    path = typed.json.absolute() if typed.json else None
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_pictures()
        records = []
        if typed.lines:
            records.append(check_lines(typed.lines))
        if typed.pictures:
            records.append(paint_twelve())
        if typed.stubs:
            records.append(send_stubs(typed.stubs))
        if typed.engines:
            records.append(compare_engines(typed.engines))
        for record in records:
            print(json.dumps(record, indent=1))
            status |= not record.get("met", True)
            harness.append(path, {**harness.describe_machine(), **record})
        os.chdir(harness.ROOT)
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
