"""The keywords of `stylize`: all settings that it takes, with their types."""

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast, get_args

import numpy as np

from nst_tf.plan import settings

PathOrArray = str | os.PathLike[str] | np.ndarray
Function = TypeVar("Function", bound=Callable[..., Any])


def take_settings(function: Function) -> Function:
    """Decorates f(content, style, **settings): signature and old spelling.

    The signature lists every setting, so that editors complete them. `styles`,
    as `style` was called, is still taken.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if "styles" in kwargs:
            if "style" in kwargs or len(args) > 1:
                raise TypeError(
                    f"{function.__name__} got both style and styles, which are "
                    f"the same; pass style."
                )
            kwargs["style"] = kwargs.pop("styles")
        return function(*args, **kwargs)

    signature = inspect.signature(function)
    own = list(signature.parameters.values())[:-1]  # without **settings
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*own, *_list_parameters()]
    )
    return cast(Function, call)


@functools.cache
def _list_parameters() -> Sequence[inspect.Parameter]:
    """Makes the parameters of all settings, in the order of the table."""
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=_annotate(name),
        )
        for name, field in settings.FIELDS.items()
        if name in settings.KEYWORDS or name == "dpi"  # with a print_size
    ]


def _annotate(name: str) -> Any:
    """Returns what a setting may be: paths and arrays beside its own type."""
    field = settings.FIELDS[name]
    item = field.type
    if name in settings.MASKS | settings.STARTS:
        item = PathOrArray
    elif "path" in field.metadata or name.endswith("_dir"):
        item = str | os.PathLike[str]
    if field.type not in settings.ITEM_TYPES:
        return item
    if item is field.type:
        return get_args(item)[0] | item
    return item | Sequence[item]  # type: ignore[valid-type]
