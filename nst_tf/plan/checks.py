"""Checks the settings of a job, one by one and together.

`conflicts` checks for settings that make others ineffective.
"""

import dataclasses
import math
import numbers
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from nst_tf import errors, urls
from nst_tf.backend import device
from nst_tf.images import sizes
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures
from nst_tf.plan import settings


def check(job: settings.Job) -> None:
    """Checks the fields of a job, one by one and then together.

    Raises:
        ValueError: If a value, or a combination of values, is invalid.
        TypeError: If a field has a value of the wrong type.
    """
    for field in dataclasses.fields(job):
        check_field(field, getattr(job, field.name))
    convention = conventions.CONVENTIONS[job.convention]
    kind = style_kinds.STYLE_LOSSES[
        convention.style_loss if job.style_loss == "auto" else job.style_loss
    ]
    for field_name, texts in (
        ("content_layers", (job.content_layers,)),
        ("neighbors_layers", (job.neighbors_layers,) if kind.beside else ()),
        ("style_layers", job.style_layers),
    ):
        for text in texts:
            layers = settings.parse_layers(text, f"--{field_name}")
            if kind.paired and field_name == "style_layers":
                architectures.check_pairs(job.extractor, layers)
            else:
                architectures.check_layers(job.extractor, layers)
    if not job.style_scale:
        raise ValueError(
            "--style_scale is empty; expected at least one number, such as 1."
        )
    if job.style_blend and not sum(job.style_blend):
        raise ValueError(
            "--style_blend is 0 for all styles; raise one of them."
        )
    if job.style_mask and not job.content_mask:
        raise ValueError(
            "--style_mask needs a --content_mask with the same colors, and "
            "there is none."
        )
    _check_colors(job)
    _check_print(job)
    device.check_name(job.device)
    settings.parse_interval(job.checkpoint_every, "--checkpoint_every")
    if job.resume == "require" and not job.checkpoint_dir:
        raise ValueError(
            "--resume is 'require', but there is no checkpoint folder; pass it "
            "with --checkpoint_dir=FOLDER."
        )
    if [job.content, *job.style, job.init, job.continue_from].count("-") > 1:
        raise ValueError(
            "several pictures are '-', but standard input holds only one; pass "
            "files for the others."
        )
    if not job.content_weight and not job.style_weight:
        raise ValueError(
            "--content_weight and --style_weight are both 0, so that there is "
            "nothing to optimize; raise one of them."
        )


def check_field(field: dataclasses.Field, value: Any) -> None:  # type: ignore[type-arg]
    """Checks the value of one field.

    Raises:
        ValueError: As `check`.
        TypeError: As `check`.
    """
    rules = field.metadata
    _check_type(field, value)
    _check_address(field.name, value, rules.get("path", ""))
    parts = settings.split_choices(value) if "joined" in rules else (value,)
    for part in parts:
        if "choices" in rules and part not in rules["choices"]:
            words = [str(choice) for choice in rules["choices"]]
            raise ValueError(
                f"unknown {field.name} {part!r}"
                + errors.go_on(
                    errors.did_you_mean(str(part), words),
                    f"expected {errors.list_choices(words)}.",
                )
            )
    if "keywords" in rules and not value:
        raise ValueError(
            f"--{field.name} is empty; expected "
            f"{errors.list_choices([*rules['keywords'], 'a path'])}."
        )
    for part in value if isinstance(value, tuple) else (value,):
        if field.name == "style" and not part:
            raise ValueError(
                "--style is empty; expected the path of a picture."
            )
        if not isinstance(part, str):
            _check_number(field.name, part, rules)


def check_image(
    image: np.ndarray, name: str, deepest: architectures.Convolution
) -> None:
    """Raises ValueError if an image is too small for the network."""
    height, width = image.shape[:2]
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"{name} image is {width} x {height} pixels, but {deepest.name} "
            f"needs at least {deepest.stride} x {deepest.stride}; pass a "
            f"larger image."
        )
    check_shape(image, name)


def check_shape(image: np.ndarray, name: str) -> None:
    """Raises ValueError if an image is a very long strip."""
    height, width = image.shape[:2]
    if max(height, width) > 32 * min(height, width):
        raise ValueError(
            f"{name} image is {width} x {height} pixels, more than 32 times as "
            "long as wide; crop it."
        )


def _check_type(field: dataclasses.Field, value: object) -> None:
    """Raises TypeError if a value is not of the declared type of its field."""
    kinds: dict[Any, Any] = {
        str: str,
        bool: bool,
        int: numbers.Integral,
        float: numbers.Real,
        **settings.ITEM_TYPES,
    }
    several = field.type in settings.ITEM_TYPES
    parts = value if several and isinstance(value, tuple) else (value,)
    wrong = several and not isinstance(value, tuple)
    for part in parts:
        wrong |= not isinstance(part, kinds[field.type])
        wrong |= isinstance(part, bool) and field.type is not bool
    if wrong:
        kind: Any = field.type
        name = str(kind) if several else kind.__name__
        raise TypeError(
            f"--{field.name} is {reprlib.repr(value)} of type "
            f"{type(value).__name__}, expected {name}."
        )


def _check_address(name: str, value: object, kind: str) -> None:
    """Raises ValueError for an address in a field that takes none."""
    if kind in ("picture", "mask", "start", "address"):
        return
    if isinstance(value, str) and urls.has_scheme(value):
        raise ValueError(
            f"--{name} is the address {urls.show_address(value)}, but only "
            "input pictures may be addresses; pass a local file or folder."
        )


def _check_colors(job: settings.Job) -> None:
    """Raises ValueError if luminance is mixed with other colors."""
    colors = {*settings.split_choices(job.color)}
    if len(colors) > 1 and "luminance" in colors:
        raise ValueError(
            f"--color is {job.color}, but luminance makes the whole picture "
            "gray for the network; use it for all styles, or content instead."
        )


def _check_print(job: settings.Job) -> None:
    """Raises ValueError if the paper size or the dpi of a job is invalid."""
    if 0 < job.dpi < 1:
        raise ValueError(
            f"--dpi is {job.dpi}; expected at least 1, or 0 for the default."
        )
    if job.print_size:
        sizes.parse_print_size(job.print_size)


def _check_number(name: str, value: float, rules: Mapping[str, Any]) -> None:
    """Raises ValueError if a number breaks the rules of its field."""
    if value == rules.get("off"):
        return
    words = []
    fine = not isinstance(value, float) or math.isfinite(value)
    if "low" in rules:
        fine &= value >= rules["low"]
        words.append(f"at least {rules['low']}")
    if "above" in rules:
        fine &= value > rules["above"]
        words.append(f"above {rules['above']}")
    if "high" in rules:
        fine &= value <= rules["high"]
        words.append(f"at most {rules['high']}")
    if "below" in rules:
        fine &= value < rules["below"]
        words.append(f"below {rules['below']}")
    if not fine:
        raise ValueError(
            f"--{name} is {value}, expected {' and '.join(words)}."
        )
