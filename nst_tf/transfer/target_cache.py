"""Caches the targets of style images, for pictures with the same styles."""

import collections
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import tensorflow as tf

MOST_BYTES = 64_000_000  # a style needs about 10 MB at each level

# For each kind of style loss, layer -> target.
Targets = Sequence[dict[str, tf.Tensor]]


class TargetCache:
    """Caches style targets of one network; drops the least recently used."""

    def __init__(self) -> None:
        self._kept: collections.OrderedDict[Hashable, Targets] = (
            collections.OrderedDict()
        )

    @property
    def size(self) -> int:
        """The size of the targets, in bytes."""
        return count_bytes([*self._kept.values()])

    def find(self, key: Hashable, measure: Callable[[], Targets]) -> Targets:
        """Returns the targets of a key; measures them if they are not cached.

        Args:
            key: All that decides the targets, besides the network.
            measure: Computes the targets.
        """
        found = self._kept.pop(key, None) or measure()
        self._kept[key] = found
        while self.size > MOST_BYTES:
            self._kept.popitem(last=False)
        return [dict(each) for each in found]


def count_bytes(nest: Any) -> int:
    """Counts the bytes of a nest of tensors, variables and arrays."""
    return sum(
        math.prod(each.shape) * tf.as_dtype(each.dtype).size
        for each in tf.nest.flatten(nest)
    )
