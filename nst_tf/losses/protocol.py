"""What a loss is: additive statistics of a feature map, and a distance of them.

Every distance is relative: 0 at the target, 1 for a map of zeros (or, for the
total variation, for steps of one at each pixel), at every size and for every
network. With a divisor it is a source's instead (`nst_tf.losses.conventions`).

`Recomputed` stands for a feature map that is not kept but computed again in
each tile; `drop_absent` makes the maps of a loss from those that there are.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tensorflow as tf

from nst_tf.backend import canvas
from nst_tf.losses import sums


@dataclasses.dataclass(frozen=True, eq=False)
class Recomputed:
    """In place of a map: what the network sees of a picture, at a loss's layer.

    It is not kept, but seen anew in each tile.
    """

    pixels: canvas.Image  # [1, H, W, 3], in [0, 1]


class Loss(Protocol):
    """What every loss is.

    Laws: the statistics of parts add up to those of the whole; positions
    further than `reach` from the mask do not count; the distance is never
    negative, and zero at the loss's own target.
    """

    name: str  # "style/block3_conv1", for the log
    layer: str  # a layer of the extractor, or "image"
    weight: float
    reach: int  # positions it looks beyond its own
    maps: Mapping[str, Any]  # aligned with the feature map, cut with it; or
    # a `Recomputed`, in tiles

    @property
    def statistics(self) -> Callable[..., sums.Statistics]:
        """(features, mask=None, **maps) -> sums over the positions of a map.

        Features are [1, h, w, C], a mask is [1, h, w, 1] in [0, 1].
        """

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Compares the statistics of a whole with the target, []."""


def drop_absent(**maps: canvas.Image | Recomputed | None) -> Mapping[str, Any]:
    """Leaves out the maps that are absent."""
    return {name: value for name, value in maps.items() if value is not None}
