"""The only names of the package that are not public: edit them when they move.

A variant of the fingerprint sets thresholds for large images so low that toy
jobs run the code of large ones, and a check runs out of memory at one step.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

# Full name -> value for toy images of some 3000 pixels.
THRESHOLDS: dict[str, int] = {
    "nst_tf.backend.ops.MIN_FUSED_ELEMENTS": 0,  # XLA compiles all passes
    "nst_tf.backend.canvas.WHOLE": 500,  # larger images are changed in bands
    "nst_tf.backend.canvas.BAND": 700,
    "nst_tf.losses.content_loss.POSITIONS": 300,
    "nst_tf.losses.sums.BLOCK": 64,
    "nst_tf.images.color.BLOCK": 500,
    "nst_tf.plan.pyramid.LARGE": 40,  # Adam above, and shorter steps
    "nst_tf.losses.wasserstein.EXACT_CHANNELS": 16,
    "nst_tf.losses.wasserstein.DIRECTIONS": 8,
    "nst_tf.losses.wasserstein.QUANTILES": 64,
    "nst_tf.images.writing.LONGEST_RECORD": 100,  # larger: beside the file
    "nst_tf.runs.timelapse.FRAMES": 3,
    "nst_tf.runs.reporters.LARGEST": 48,
    "nst_tf.optimize.stopping.PLATEAU_INTERVAL": 2,
    "nst_tf.runs.runner.PROBE": 32,
}

# (optimizer, objective) -> a function that takes one step, without arguments.
MAKE_TRAIN_STEP = "nst_tf.optimize.descent.make_train_step"


def lower_thresholds() -> None:
    """Sets the thresholds for the rest of the process.

    Raises:
        AttributeError: If one of them has moved.
    """
    for name, value in THRESHOLDS.items():
        module, attribute = _find(name)
        setattr(module, attribute, value)


@contextlib.contextmanager
def out_of_memory(at: int) -> Iterator[None]:
    """Runs out of memory at one step, counted from 1 over all levels."""
    import tensorflow as tf

    module, attribute = _find(MAKE_TRAIN_STEP)
    make = getattr(module, attribute)
    count = 0

    def make_failing(*arguments: Any) -> Callable[[], Any]:
        step = make(*arguments)

        def step_or_fail() -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return step()

        return step_or_fail

    setattr(module, attribute, make_failing)
    try:
        yield
    finally:
        setattr(module, attribute, make)


def _find(name: str) -> tuple[Any, str]:
    """Imports the module of a full name."""
    path, _, attribute = name.rpartition(".")
    module = importlib.import_module(path)
    if not hasattr(module, attribute):
        raise AttributeError(
            f"there is no {name}; say where it is now in {__file__}."
        )
    return module, attribute
