"""Defines the protocol of losses: statistics of a map, and a distance.

By default distances are relative: 0 at the target, and 1 for a map of zeros
(for total variation: for differences of 1 at each pixel), at every size and for
every network. A divisor gives the scale of a source
(`nst_tf.losses.conventions`).

`Recomputed` is a feature map that each tile recomputes; `drop_absent` collects
the maps of a loss. `measure` and `compare` call a loss, and raise errors that
name it if it breaks the protocol.
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
    """A feature map of a picture that each tile recomputes."""

    pixels: canvas.Canvas  # [1, H, W, 3], in [0, 1]


class Loss(Protocol):
    """The protocol of every loss.

    Laws: the statistics of parts add up to those of the whole, if it is
    additive; positions further than `reach` from the mask have no effect; the
    distance is never negative, and zero at the target of the loss.
    Half-precision features are converted to float32, unless
    takes_half_precision is True.
    """

    name: str  # "style/block3_conv1", for the log
    layer: str  # a layer of the extractor, or "image"
    weight: float
    reach: int  # positions that it reads around its own
    additive: bool  # whether the statistics of parts add up
    # Aligned with the feature map, and cropped with it; or, with tiles, a
    # `Recomputed`.
    maps: Mapping[str, Any]

    @property
    def statistics(self) -> Callable[..., sums.Statistics]:
        """(features, mask=None, **maps) -> sums over the positions of a map.

        Features are [1, h, w, C], a mask is [1, h, w, 1] in [0, 1].
        """

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Computes the distance of the summed statistics to the target, []."""


def drop_absent(**maps: canvas.Canvas | Recomputed | None) -> Mapping[str, Any]:
    """Collects the maps that are not None."""
    return {name: value for name, value in maps.items() if value is not None}


def check_names(known: Sequence[Loss], added: Sequence[Loss]) -> None:
    """Raises ValueError if an added loss has the name of another one.

    The distances of a step are keyed by these names.
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
                f"two losses have the name {loss.name!r}, {kinds[0]} and "
                f"{kinds[1]}; give each its own name."
            )


def are_additive(loss_list: Sequence[Loss]) -> bool:
    """Returns whether all losses are additive.

    Raises:
        TypeError: If a loss has no attribute `additive`.
    """
    for loss in loss_list:
        if not hasattr(loss, "additive"):
            raise TypeError(
                f"loss {loss.name!r} has no attribute additive; set additive = "
                "True or False."
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
        f"loss {loss.name!r} returned {_describe(found)} as statistics; "
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
        f"loss {loss.name!r} returned {_describe(found)} as distance; expected "
        f"one {dtype.name} number, of shape []."
    )


def _convert(value: Any, dtype: tf.DType) -> tf.Tensor | None:
    """Converts a number or a tensor of that type; returns None for others."""
    try:
        return tf.convert_to_tensor(value, dtype)
    except (TypeError, ValueError):
        return None


def _describe(value: Any) -> str:
    """Describes the return value of a loss."""
    if tf.is_tensor(value):
        return f"a {value.dtype.name} tensor of shape {value.shape}"
    if isinstance(value, sums.Statistics):
        return f"sums.Statistics of {' and '.join(map(_describe, value))}"
    return f"{value!r:.80} ({type(value).__name__})"
