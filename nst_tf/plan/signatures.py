"""Gives functions such as `stylize` a keyword for each setting."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np

from nst_tf import errors
from nst_tf.plan import arrays, settings

Function = TypeVar("Function", bound=Callable[..., Any])
_BESIDES = ("callback", "progress", "extra_losses")  # no settings


def take_settings(function: Function) -> Function:
    """Decorates f(content, style, **settings): full signature, suggestions.

    The signature lists every setting, so that editors complete them. A
    misspelled setting raises an error with a suggestion. `styles`, the old name
    of `style`, is still accepted.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if "styles" in kwargs:
            if "style" in kwargs or len(args) > 1:
                raise TypeError(
                    f"{function.__name__} got both style and its old name "
                    "styles; pass only style."
                )
            kwargs["style"] = kwargs.pop("styles")
        _check_keywords(function.__name__, kwargs, [e.name for e in own])
        check_arguments(**{n: kwargs[n] for n in _BESIDES if n in kwargs})
        with errors.name_keywords():
            return function(*args, **kwargs)

    signature = inspect.signature(function)
    own = list(signature.parameters.values())[:-1]  # without **settings
    listed = signature.replace(parameters=[*own, *_list_parameters()])
    call.__signature__ = listed  # type: ignore[attr-defined]
    call.__annotations__ = {
        **{name: each.annotation for name, each in listed.parameters.items()},
        "return": listed.return_annotation,
    }
    return cast(Function, call)


def check_arguments(
    callback: object = None,
    progress: object = False,
    extra_losses: object = None,
) -> None:
    """Raises TypeError unless what is passed besides settings is of a kind."""
    takes_size = "height and width, which returns losses"
    for name, value, takes in (
        ("callback", callback, "a step"),
        ("extra_losses", extra_losses, takes_size),
    ):
        if value is not None:
            errors.check_type(name, value, Callable, f"a function of {takes}")
    errors.check_type("progress", progress, (bool, np.bool_), "True or False")


def _check_keywords(
    function: str, chosen: Mapping[str, Any], own: Sequence[str]
) -> None:
    """Raises TypeError for a keyword that a function does not take."""
    known = [*settings.KEYWORDS, *own]
    unknown = [name for name in chosen if name not in settings.FIELDS]
    settings.check_names(function, unknown, known)
    for name in chosen:
        if name == "dpi" and chosen.get("print_size"):
            continue
        if name not in known:
            raise TypeError(
                f"{name} belongs to the command line, not to {function}; "
                f"remove it."
            )


@functools.cache
def _list_parameters() -> Sequence[inspect.Parameter]:
    """Makes a parameter for each setting, in the order of the table."""
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=annotate(name),
        )
        for name, field in settings.FIELDS.items()
        if name in settings.KEYWORDS or name == "dpi"  # used with print_size
    ]


def annotate(name: str, *, is_plain: bool = False) -> Any:
    """Returns the type hint of a setting: its own type, paths and arrays.

    Args:
        name: The name of the setting.
        is_plain: Whether to leave out paths and arrays, as in a `Job`, which
            has only strings and numbers.
    """
    field = settings.FIELDS[name]
    item: Any = field.type
    if "choices" in field.metadata:
        one: Any = Literal[tuple(field.metadata["choices"])]
        return one | Sequence[one] if "joined" in field.metadata else one
    if field.type in settings.ITEM_TYPES:
        item = get_args(item)[0]
    if is_plain:
        pass
    elif name in settings.MASKS | settings.STARTS:
        item = arrays.PathOrArray
    elif "path" in field.metadata or name.endswith("_dir"):
        item = str | os.PathLike[str]
    if field.type in settings.ITEM_TYPES:
        return item | Sequence[item]
    return item
