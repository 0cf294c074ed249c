"""Neural style transfer by optimization, on TensorFlow and Keras.

    import nst_tf
    image = nst_tf.stylize("town.jpg", "painting.jpg", size=512)

Nothing happens on import: TensorFlow is loaded when a picture is made.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "Job": "nst_tf.plan.settings",
    "judge_image": "nst_tf.judge.judging",
    "load_image": "nst_tf.images.image_io",
    "run_job": "nst_tf.runs.api",
    "save_image": "nst_tf.images.image_io",
    "stylize": "nst_tf.runs.api",
    "stylize_steps": "nst_tf.runs.api",
}
__all__ = sorted(_PUBLIC)
_MODULES = ("notebook",)  # that are there without an import of their own


def __getattr__(name: str) -> object:
    """Imports a public name when it is first used."""
    if name in _MODULES:
        return importlib.import_module(f"nst_tf.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nst_tf' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *_MODULES, "__version__"]
