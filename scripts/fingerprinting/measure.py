"""Measures one variant, in a process of its own: scripts/fingerprint starts it.

python -m fingerprinting.measure VARIANT OUTPUT.json [NAME ...]
"""

import json
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

import nst_tf
from fingerprinting import checks, digests, internals, jobs, pictures

# Environment of each variant, set before TensorFlow is imported.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "float32": {},
    "bfloat16": {},
    "plain": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "large": {},
    "devices": {},
}
ROOT = Path(__file__).resolve().parents[2]


def names_of(variant: str) -> list[str]:
    """Lists the toy jobs and checks of a variant."""
    toys = [
        name
        for name, toy in jobs.TOYS.items()
        if variant in (*toy.variants, *toy.programs)
    ]
    return toys + [
        name
        for name, (variants, _) in checks.CHECKS.items()
        if variant in variants
    ]


def main() -> int:
    """Measures a variant and writes what is found; 1 if a check failed."""
    variant, output, *chosen = sys.argv[1:]
    if not Path(nst_tf.__file__).is_relative_to(ROOT):
        raise ImportError(f"nst_tf is {nst_tf.__file__}, not that of {ROOT}.")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    _prepare(variant)
    found, failed = _measured(variant, chosen)
    Path(output).write_text(json.dumps(found), encoding="utf-8")
    return int(failed)


def _prepare(variant: str) -> None:
    """Sets up what a variant has besides its environment."""
    if variant == "large":
        internals.lower_thresholds()
    if variant == "devices":
        import tensorflow as tf

        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * 2,
        )


def _measured(
    variant: str, chosen: Collection[str]
) -> tuple[dict[str, str], bool]:
    """Runs the chosen toy jobs and checks, or all, each in its own folder."""
    found: dict[str, str] = {}
    failed = False
    with tempfile.TemporaryDirectory() as place:
        inputs = Path(place).resolve() / "inputs"
        inputs.mkdir()
        pictures.write(inputs)
        for name in names_of(variant):
            if chosen and name not in chosen:
                continue
            begin = time.monotonic()
            folder = inputs.with_name("work")
            shutil.copytree(inputs, folder)
            os.chdir(folder)
            try:
                values = checks.run(name, variant)
            except Exception:
                traceback.print_exc()
                values, failed = {"failed": traceback.format_exc()}, True
            for part, value in values.items():
                found[f"{variant}/{name}/{part}"] = digests.without_folders(
                    value, folder
                )
            os.chdir(inputs)
            shutil.rmtree(folder)
            print(f"{variant}/{name}: {time.monotonic() - begin:.1f} s")
        os.chdir(ROOT)
    return found, failed


if __name__ == "__main__":
    sys.exit(main())
