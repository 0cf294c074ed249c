"""Neural style transfer by optimization, on TensorFlow and Keras.

    import nst_tf
    image = nst_tf.stylize("town.jpg", "painting.jpg", size=512)

Nothing happens on import: TensorFlow is loaded when a picture is made. The
parts that a run is made of are in `nst_tf.losses`, `nst_tf.optimize` and
`nst_tf.network`. Editors read `__init__.pyi`, by `scripts/write_stub.py`.
"""

from collections.abc import Callable, Mapping

__version__ = "0.1.0"


def import_lazily(
    package: str, names: Mapping[str, str]
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """Makes a package import its public names when they are first used.

    Args:
        package: Its `__name__`.
        names: Public name -> "module:name" in the package, or "module".

    Returns:
        Its `__all__`, `__getattr__` and `__dir__`.
    """
    public = sorted(names)

    def get(name: str) -> object:
        if name in names:
            import pkgutil

            return pkgutil.resolve_name(f"{package}.{names[name]}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return public, get, lambda: public


__all__, __getattr__, __dir__ = import_lazily(
    __name__,
    {
        "Job": "plan.settings:Job",
        "Painter": "transfer.method:Painter",
        "example_images": "files:example_images",
        "judge_image": "judge.judging:judge_image",
        "load_image": "images.image_io:load_image",
        "losses": "losses",
        "make_plan": "runs.api:make_plan",
        "network": "network",
        "notebook": "notebook",
        "optimize": "optimize",
        "run_job": "runs.api:run_job",
        "save_image": "images.image_io:save_image",
        "stylize": "runs.api:stylize",
        "stylize_steps": "runs.api:stylize_steps",
    },
)
