"""Runs toy jobs: paints, resumes, repeats and writes them."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fingerprinting import digests, internals, jobs, running, texts


def run(name: str, variant: str) -> running.Found:
    """Runs a toy job or a check in the working directory."""
    if name in CHECKS:
        return CHECKS[name][1](variant)
    toy = jobs.TOYS[name]
    settings = jobs.settings_of(name, running.precision_of(variant))
    found: running.Found = {}
    if variant in toy.variants:
        found |= running.steps(settings)
    if variant in toy.programs:
        flags = [*jobs.flags(settings), "--bit_depth=16", "--output=a.png"]
        found |= running.program(flags)
    return found


def _files_read(_: str) -> running.Found:
    """Reads files of several kinds, and writes floats."""
    found: running.Found = {}
    for path in sorted(Path().iterdir()):
        if path.suffix not in (".txt", "") and path.is_file():
            found[path.name] = digests.of_arrays(
                [running.library.load_image(path)]
            )
    image = running.library.load_image("deep.png")
    before = running.files(Path.cwd())
    running.library.save_image("saved.png", image)
    running.library.save_image("saved.jpg", image)
    new = set(running.files(Path.cwd())) - set(before)
    return found | digests.of_files(Path.cwd(), new)


def _formats(variant: str) -> running.Found:
    """Paints into files of every kind, and describes them."""
    found: running.Found = {}
    for name, more in {
        "a.png": ["--bit_depth=8"],
        "b.png": ["--bit_depth=16", "--keep_location"],
        "c.jpg": ["--quality=80"],
        "d.webp": ["--dpi=200"],
        "e.tif": ["--keep_location"],
        "f.tif": ["--bit_depth=16"],
        "g.bmp": [],
        "h.png": ["--content=cut.png", "--record_paths"],
        "i.webp": ["--content=cut.png", "--quality=100"],
        "j.tif": ["--content=cut.png", "--bit_depth=16"],
        "k.jpg": ["--content=cut.png"],
    }.items():
        if variant == "large" and name not in ("c.jpg", "d.webp"):
            continue
        flags = running.quick_flags(
            f"--output={name}", *more, content="photo.jpg", size=32
        )
        found |= running.program([*flags, "--steps=1"], f"{name}: ")
        found |= running.program([f"--describe={name}"], f"describe {name}: ")
    return found


def _rerun(_: str) -> running.Found:
    """Makes pictures again from their records: with masks, in tiles."""
    found: running.Found = {}
    for number, settings in enumerate(
        (
            {"strength": 0.5, "init": "noise"},
            {
                **jobs.TWO_STYLES,
                **jobs.TILES,
                "size": 64,
                "content_mask": "regions.png",
                "style_mask": ("paint_regions.png", "ink_regions.png"),
                "keep_mask": "keep.png",
                "color": "match",
            },
        )
    ):
        first, second = f"{number}.png", f"{number}-again.png"
        flags = running.quick_flags(
            "--bit_depth=16", f"--output={first}", **settings
        )
        found |= running.program(flags, f"{number} first ")
        more = ["--bit_depth=16", "--memory=8", f"--output={second}"]
        found |= running.program(
            [f"--rerun={first}", *more], f"{number} again "
        )
        found |= running.program(
            [f"--rerun={first}", "--size=40"], f"{number} wrong "
        )
    return found


def _resume(variant: str) -> running.Found:
    """Stops runs of every optimizer, by the library, and goes on."""
    found: running.Found = {}
    runs: Mapping[str, Mapping[str, Any]] = {
        "adam": {},
        "lbfgs": {"optimizer": "lbfgs", "color": "match", "min_size": 32},
        "sgd": {"optimizer": "sgd"},
        "tiles": {**jobs.TILES, "size": 64},
        "tiles_lbfgs": {**jobs.TILES, "size": 64, "optimizer": "lbfgs"},
    }
    for name, changed in runs.items():
        if variant == "large" and "tiles" not in name:
            continue
        kept = {"checkpoint_dir": name, "checkpoint_every": "1", "steps": (2,)}
        settings = running.quick_settings(**kept, **changed)
        found |= running.named(
            f"{name} stopped", running.steps(settings, stop_after=1)
        )
        files = Path(name).resolve().iterdir()
        found |= digests.of_files(Path.cwd(), files)
        if name == "tiles_lbfgs":
            on = running.steps({**settings, "resume": "require"})
        else:
            flags = ["--resume=require", "--bit_depth=16"]
            flags += [f"--output={name}.png", *jobs.flags(settings)]
            on = running.program(flags)
        found |= running.named(f"{name} on", on)
    return found


def _under_way(_: str) -> running.Found:
    """Lists what is in a folder of checkpoints while a run is under way.

    The key of the names is a digest of the job, and may change: it is left out.
    """
    settings = running.quick_settings(
        checkpoint_dir="kept", checkpoint_every="1"
    )
    content, styles = settings.pop("content"), list(settings.pop("style"))
    taken = running.library.stylize_steps(content, styles, **settings)
    next(taken)
    next(taken)
    names = sorted(os.listdir("kept"))
    found = {
        "names": "\n".join(
            f".KEY{Path(name).suffix}" if name.startswith(".") else name
            for name in names
        )
    }
    for path in Path("kept").glob(".*.running"):
        found |= {"mark": digests.of_files(path.parent, [path])[path.name]}
    taken.close()
    found["left"] = "\n".join(sorted(os.listdir("kept")))
    other = running.quick_flags("--checkpoint_dir=kept", seed=6)
    return found | running.program(other, "another job ")


def _exhausted(_: str) -> running.Found:
    """Runs out of memory at a step, which is taken again in tiles."""
    found: running.Found = {}
    with internals.out_of_memory(at=2):
        found |= running.program(
            running.quick_flags("--bit_depth=16", size=64), "adam "
        )
    with internals.out_of_memory(at=3):
        settings = running.quick_settings(
            optimizer="lbfgs", size=64, steps=(4,)
        )
        found |= running.named("lbfgs", running.steps(settings))
    with internals.out_of_memory(at=2):
        flags = running.quick_flags(
            "--style_loss=sliced_wasserstein", "--output=b.png"
        )
        found |= running.program(flags, "not in tiles ")
    return found


def _sheets(_: str) -> running.Found:
    """Paints contact sheets, one of them planned only."""
    short = [
        flag for flag in running.quick_flags() if not flag.startswith("--size=")
    ]
    return {
        **running.program(
            [
                *short,
                "--sheet_size=32",
                "--sweep=color:style,content",
                "--sweep=style_weight:50,200",
                "--output=colors.png",
            ],
            "colors ",
        ),
        **running.program(
            [*short, "--sheet", "--sheet_size=32", "--dry_run"], "default "
        ),
    }


def _beside(_: str) -> running.Found:
    """Writes a log, previews and a film beside a picture."""
    found = running.program(
        running.quick_flags(
            "--log=run.log",
            "--preview_every=2",
            "--timelapse=film.gif",
            "--output=a.png",
            color="content",
            steps=(4,),
        )
    )
    more = ["--log=b.log", "--timelapse=film.webp", "--output=b.png"]
    return found | running.program(
        running.quick_flags(*more, content="cut.png"), "again "
    )


def _presets(_: str) -> running.Found:
    """Paints presets, small and short."""
    found: running.Found = {}
    for name in ("places", "keras_example"):
        found |= running.program(
            [
                f"--flagfile={name}",
                "--weights=small",
                "--precision=float32",
                "--memory=8",
                "--size=48",
                "--min_size=48",
                "--steps=1",
                f"--output={name}.png",
            ],
            f"{name} ",
        )
    Path("mine.cfg").write_text(
        "# mine\n--flagfile=starry\n--content=town.png\n--style_scale=0.5\n"
    )
    mine = ["--flagfile=mine.cfg", "--weights=small", "--dry_run", "--memory=8"]
    return found | running.program(mine, "mine ")


def _library(variant: str) -> running.Found:
    """Paints by `stylize`, on arrays and files, and by `run_job`."""
    settings = running.quick_settings(
        precision=running.precision_of(variant), color="content"
    )
    content, styles = settings.pop("content"), list(settings.pop("style"))
    found = {
        "files": _digest(running.library.stylize(content, styles, **settings))
    }
    ramp = np.linspace(0, 1, 54 * 72, dtype="f4").reshape(54, 72)
    settings |= {"strength_map": ramp, "keep_mask": ramp > 0.8}
    found["arrays"] = _digest(
        running.library.stylize(
            running.library.load_image(content),
            running.library.load_image(styles[0]),
            **settings,
        )
    )
    del settings["strength_map"], settings["keep_mask"]
    painted = running.library.stylize(
        "cut.png", ["paint.png", "many"], **settings
    )
    found["alpha"] = _digest(painted)
    made = running.library.run_job(
        running.library.Job(**running.quick_settings(output="made.tif"))
    )
    found["terms"] = repr(dict(made.terms))
    path = Path(made.path).resolve()
    return found | digests.of_files(Path.cwd(), [path])


def _digest(image: np.ndarray) -> str:
    """Computes the digest of a painting."""
    return digests.of_arrays([np.asarray(image)])


# Name -> the variants in which it is run, and what does it.
CHECKS: Mapping[str, tuple[Sequence[str], Callable[[str], running.Found]]] = {
    "public": (jobs.FLOAT, texts.public),
    "dry_run": (jobs.FLOAT, texts.dry_run),
    "wrong_flags": (jobs.FLOAT, texts.wrong_flags),
    "files_read": (jobs.LARGE, _files_read),
    "formats": (jobs.LARGE, _formats),
    "rerun": (jobs.FLOAT, _rerun),
    "resume": (jobs.LARGE, _resume),
    "under_way": (jobs.FLOAT, _under_way),
    "exhausted": (jobs.FLOAT, _exhausted),
    "sheets": (jobs.FLOAT, _sheets),
    "beside": (jobs.LARGE, _beside),
    "presets": (jobs.FLOAT, _presets),
    "library": (jobs.ROUNDED, _library),
}
