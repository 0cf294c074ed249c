"""The protocol of a loss: statistics of a feature map, and their distance.

Every distance is relative: 0 at the target, 1 for a map of zeros (or, for the
total variation, for steps of one at each pixel), at every size and for every
network. With a divisor it is a source's instead (`nst_tf.losses.conventions`).

`Recomputed` stands for a feature map that is not kept but computed again in
each tile; `drop_absent` makes the maps of a loss from those that there are.
`measure` and `compare` call a loss, and name one that breaks the protocol.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import tensorflow as tf

from nst_tf.backend import canvas, reuse
from nst_tf.losses import sums


@reuse.by_value()
@dataclasses.dataclass(frozen=True, eq=False)
class Recomputed:
    """Stands for the map of a picture at a loss's layer: tiles compute it."""

    pixels: canvas.Canvas  # [1, H, W, 3], in [0, 1]


class Loss(Protocol):
    """The protocol of every loss.

    Laws: the statistics of parts add up to those of the whole, if it is
    additive; positions further than `reach` from the mask do not count; the
    distance is never negative, and zero at the loss's own target. Features of
    half precision come in float32, unless it has takes_half_precision = True.
    """

    name: str  # "style/block3_conv1", for the log
    layer: str  # a layer of the extractor, or "image"
    weight: float
    reach: int  # positions it looks beyond its own
    additive: bool  # whether the statistics of parts add up
    maps: Mapping[str, Any]  # aligned with the feature map, cut with it; or
    # a `Recomputed`, in tiles

    @property
    def statistics(self) -> Callable[..., sums.Statistics]:
        """(features, mask=None, **maps) -> sums over the positions of a map.

        Features are [1, h, w, C], a mask is [1, h, w, 1] in [0, 1].
        """

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Compares the statistics of a whole with the target, []."""


def drop_absent(**maps: canvas.Canvas | Recomputed | None) -> Mapping[str, Any]:
    """Leaves out the maps that are absent."""
    return {name: value for name, value in maps.items() if value is not None}


def check_names(known: Sequence[Loss], added: Sequence[Loss]) -> None:
    """Raises ValueError if added losses have a name that there is already.

    The distances of a step are told apart by these names.
    """
    by_name = {loss.name: loss for loss in known}
    for loss in added:
        other = by_name.setdefault(loss.name, loss)
        if other is not loss:
            kinds = [
                f"a {type(each).__name__} of {each.layer}"
                for each in (other, loss)
            ]
            raise ValueError(
                f"two losses are called {loss.name!r}, {kinds[0]} and "
                f"{kinds[1]}; give each a name of its own."
            )


def are_additive(loss_list: Sequence[Loss]) -> bool:
    """Returns whether all losses are additive.

    Raises:
        TypeError: If one does not say.
    """
    for loss in loss_list:
        if not hasattr(loss, "additive"):
            raise TypeError(
                f"loss {loss.name!r} does not say whether it is additive; set "
                f"additive = True or False."
            )
    return all(loss.additive for loss in loss_list)


def measure(
    loss: Any,
    features: tf.Tensor,
    mask: tf.Tensor | None,
    maps: Mapping[str, tf.Tensor],
) -> sums.Statistics:
    """Calls `loss.statistics`, with features of float32 or float64.

    Raises:
        TypeError: If it returns anything but `sums.Statistics` of that type.
    """
    if not getattr(loss, "takes_half_precision", False):
        features = sums.widen(features)
    dtype = tf.float64 if features.dtype == tf.float64 else tf.float32
    found = loss.statistics(features, mask, **maps)
    if isinstance(found, sums.Statistics):
        total, mass = (_convert(each, dtype) for each in found)
        if total is not None and mass is not None:
            return sums.Statistics(total, mass)
    raise TypeError(
        f"loss {loss.name!r} returned {_describe(found)} as statistics, "
        f"expected sums.Statistics(total, mass) of {dtype.name} tensors."
    )


def compare(loss: Loss, statistics: sums.Statistics) -> tf.Tensor:
    """Calls `loss.distance`.

    Raises:
        TypeError: If it returns anything but a number of the statistics' type.
    """
    dtype = statistics.total.dtype
    found = loss.distance(statistics)
    distance = _convert(found, dtype)
    if distance is not None and distance.shape.rank in (0, None):
        return distance
    raise TypeError(
        f"loss {loss.name!r} returned {_describe(found)} as distance, expected "
        f"one {dtype.name} number, of shape []."
    )


def _convert(value: Any, dtype: tf.DType) -> tf.Tensor | None:
    """Converts a number, or a tensor of that type; returns None for others."""
    try:
        return tf.convert_to_tensor(value, dtype)
    except (TypeError, ValueError):
        return None


def _describe(value: Any) -> str:
    """Describes what a loss returned."""
    if tf.is_tensor(value):
        return f"a {value.dtype.name} tensor of shape {value.shape}"
    if isinstance(value, sums.Statistics):
        return f"sums.Statistics of {' and '.join(map(_describe, value))}"
    return f"{value!r:.80} ({type(value).__name__})"
