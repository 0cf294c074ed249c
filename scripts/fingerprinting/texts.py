"""Collects the program's texts that need no painting: help, plans, errors."""

import dataclasses
from pathlib import Path

import numpy as np

from fingerprinting import jobs, running


def public(_: str) -> running.Found:
    """Lists public names, settings and their defaults, and prints help."""
    fields = [
        f"{field.name}: {field.type} = {field.default!r}"
        for field in dataclasses.fields(running.library.Job)
    ]
    return {
        "names": "\n".join(dir(running.library)),
        "settings": "\n".join(fields),
        **running.program(["--help"], "help "),
        **running.program(["--version"], "version "),
    }


def dry_run(_: str) -> running.Found:
    """Prints plans: of a whole picture, in tiles, by memory, on paper."""
    paper = running.quick_settings(print_size="2x3cm", dpi=80.0)
    found: running.Found = {}
    for name, flags in {
        "whole": running.quick_flags(min_size=16, size=96),
        "tiles": running.quick_flags(size=96, **jobs.TILES),
        "memory": running.quick_flags(size=96, memory=0.838),
        "little memory": running.quick_flags(size=96, memory=0.5),
        "paper": jobs.flags(paper),
        "preset": ["--flagfile=starry", "--weights=small", "--memory=8"],
    }.items():
        found |= running.program([*flags, "--dry_run"], f"{name} ")
    return found


def wrong_flags(_: str) -> running.Found:
    """Prints the sentences for wrong input."""
    Path("bad.cfg").write_text("--size=40\nsize 40\n")
    Path("unknown.cfg").write_text("--flagfile=bad.cfg\n")
    tiles = jobs.flags(jobs.TILES)
    found: running.Found = {}
    for flags in (
        [],
        ["--sise=3"],
        ["--size=many"],
        ["--size=0"],
        ["town.png"],
        ["--flagfile=stary"],
        ["--flagfile=bad.cfg"],
        ["--flagfile=unknown.cfg"],
        ["--flagfile=town.png"],
        ["--describe=town.png"],
        ["--describe=town.png", "--size=3"],
        ["--rerun=town.png"],
        ["--content=none.png", "--style=paint.png"],
        running.quick_flags("--style=text.txt"),
        running.quick_flags("--optimizer=lbgfs"),
        running.quick_flags("--style_loss=grams"),
        running.quick_flags("--content_layers=block9_conv1"),
        running.quick_flags("--style_layers=block1_conv1:x"),
        running.quick_flags("--content_mask=paint.png"),
        running.quick_flags("--style_mask=half.png"),
        running.quick_flags("--style_blend=1,2,3"),
        running.quick_flags("--style_size=40", "--style_scale=2"),
        running.quick_flags("--convention=crowson_w2"),
        running.quick_flags("--convention=keras", "--strength=0.5"),
        running.quick_flags("--output=a.gif"),
        running.quick_flags("--output=none/a.png"),
        running.quick_flags("--output=town.png"),
        running.quick_flags("--output=a.jpg", "--bit_depth=16"),
        running.quick_flags("--timelapse=a.txt"),
        running.quick_flags("--resume=require"),
        running.quick_flags("--resume=require", "--checkpoint_dir=kept"),
        running.quick_flags("--checkpoint_every=often"),
        running.quick_flags("--memory=0.1"),
        running.quick_flags("--tile=3"),
        running.quick_flags(
            *tiles, "--size=96", "--style_loss=sliced_wasserstein"
        ),
        running.quick_flags("--continue_from=start.png", "--init=noise"),
        running.quick_flags("--content=-", "--style=-"),
        running.quick_flags("--sheet", "--sweep=strength"),
        running.quick_flags("--sheet", "--sweep=colour:style"),
        running.quick_flags("--weights=text.txt"),
        running.quick_flags("--max_megapixels=0.001"),
        running.quick_flags("--devices=3"),
    ):
        shown = [flag for flag in flags if flag not in running.quick_flags()]
        found |= running.program(flags, f"{' '.join(shown)} ")
    for arguments in (
        {"sizes": 3},
        {"size": "3"},
        {"output": "a.png"},
        {"content_mask": np.zeros((3, 3, 3, 3))},
    ):
        try:
            running.library.stylize("town.png", "paint.png", **arguments)
        except (TypeError, ValueError) as error:
            found[f"stylize {arguments}"] = f"{type(error).__name__}: {error}"
    return found
