"""Runs the network on an image tile by tile, and sums statistics.

A tile has a halo as wide as the reach of the network, so that features of the
pixels that it owns are the same as in the whole image. All tiles have the same
shape, so that one loop in the graph processes them. `feature_maps` computes
whole maps and samples of them.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, replicas, reuse
from nst_tf.losses import protocol, sums
from nst_tf.network import extractors
from nst_tf.plan import tiles

reuse.by_value()(tiles.Cut)
reuse.by_value()(tiles.Tiles)


def cut_for_extractor(
    extractor: extractors.Extractor, height: int, width: int, largest: int
) -> tiles.Tiles:
    """Cuts an image with `tiles.make_tiles`, for the reach of a network."""
    return tiles.make_tiles(height, width, largest, *_measure_reach(extractor))


def cut_if_needed(
    extractor: extractors.Extractor,
    height: int,
    width: int,
    largest: int,
    devices: int = 1,
) -> tiles.Tiles | None:
    """Cuts an image if needed, with `tiles.choose_tiles`, for a network."""
    return tiles.choose_tiles(
        height, width, largest, *_measure_reach(extractor), devices
    )


def check_reach(extractor: extractors.Extractor, loss: protocol.Loss) -> None:
    """Raises ValueError if a loss reaches beyond the halo of a tile."""
    stride = extractor.stride.get(loss.layer, 1)
    pixels = extractor.reach.get(loss.layer, 0) + stride * loss.reach
    _, halo = _measure_reach(extractor)
    if pixels > halo:
        raise ValueError(
            f"{loss.name} reaches {pixels} pixels beyond its own, but tiles "
            f"have a halo of {halo}; give it a smaller reach, or choose a "
            "--size that fits in memory."
        )


def sum_statistics(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: tiles.Tiles,
    measures: Mapping[str, Callable[..., sums.Statistics]],
    masks: Mapping[str, tf.Tensor | None],
) -> Mapping[str, sums.Statistics]:
    """Sums statistics of a picture, tile by tile.

    Args:
        extractor: The network.
        image: [H, W, 3] in [0, 1].
        tiles: Its tiles.
        measures: Layer -> function (features, mask) -> sums over positions.
        masks: Layer -> weight of each position, [1, h, w, 1]; None: equal.
    """
    tile_statistics = TileStatistics(
        extractor,
        [
            _Measure(layer, measure, protocol.drop_absent(region=masks[layer]))
            for layer, measure in measures.items()
        ],
        tiles,
    )
    pixels = canvas.keep(image[None], on_host=True)
    compiled = tf.function(
        lambda: sum_over_tiles(
            tiles,
            lambda place: tile_statistics(
                read_tile(pixels, tiles, place), place
            ),
        ),
        autograph=False,
    )
    return dict(zip(measures, compiled(), strict=True))


class TilePosition(NamedTuple):
    """The position of a tile in the loop of a graph; all values are []."""

    tile: tuple[tf.Tensor, tf.Tensor]  # its row and column among tiles
    row: tf.Tensor  # of its first pixel
    column: tf.Tensor


class DeviceTiles(NamedTuple):
    """The tiles of one of several devices."""

    first: int = 0
    step: int = 1


ALL = DeviceTiles()


class _Measure(NamedTuple):
    """The part of a loss that `TileStatistics` needs."""

    layer: str
    measure: Callable[..., sums.Statistics]
    maps: Mapping[str, Any]
    takes_half_precision: bool = True

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Computes statistics with the product of both masks."""
        return self.measure(features, sums.multiply_masks(mask, region))


@reuse.by_value()
class TileStatistics:
    """Computes the statistics of the pixels that a tile owns."""

    def __init__(
        self,
        extractor: extractors.Extractor,
        loss_list: Sequence[protocol.Loss | _Measure],
        tiles: tiles.Tiles,
    ):
        self._extractor = extractor
        self._losses = list(loss_list)
        self._tiles = tiles

    def __call__(
        self,
        pixels: tf.Tensor,
        place: TilePosition,
        again: tf.Tensor | None = None,
    ) -> list[sums.Statistics]:
        """Returns the statistics of each loss.

        Args:
            pixels: The tile, [1, h, w, 3].
            place: Its position.
            again: The same pixels, for losses on the image; None: `pixels`.
        """
        seen = pixels if again is None else again
        maps = {**self._extractor.model(pixels), "image": seen}
        stride_of = {**self._extractor.stride, "image": 1}
        owned = {
            stride: self._mark_owned(place, stride, pixels.dtype)
            for stride in set(stride_of.values())
        }

        @functools.cache
        def compute_maps(
            picture: protocol.Recomputed,
        ) -> Mapping[str, tf.Tensor]:
            cut = read_tile(picture.pixels, self._tiles, place)
            return self._extractor.model(cut)

        found = []
        for loss in self._losses:
            features, stride = maps[loss.layer], stride_of[loss.layer]
            aligned = {
                name: compute_maps(value)[loss.layer]
                if isinstance(value, protocol.Recomputed)
                else read_tile(value, self._tiles, place, stride)
                for name, value in loss.maps.items()
            }
            found.append(
                protocol.measure(loss, features, owned[stride], aligned)
            )
        return found

    def copy(self) -> "TileStatistics":
        """Copies this, with a copy of the network."""
        original: Any = self._extractor.model
        model = tf.keras.models.clone_model(original, recursive=True)
        model.set_weights(original.get_weights())
        extractor = self._extractor._replace(model=model)
        return TileStatistics(extractor, self._losses, self._tiles)

    def _mark_owned(
        self, place: TilePosition, stride: int, dtype: tf.DType
    ) -> tf.Tensor:
        """Returns a mask of the positions that the tile owns, [1, h, w, 1]."""
        rows, columns = (
            _find_owned(side, stride, tile)
            for side, tile in zip(self._tiles, place.tile, strict=True)
        )
        return tf.cast(rows[:, None] & columns, dtype)[None, :, :, None]


def _find_owned(side: tiles.Cut, stride: int, tile: tf.Tensor) -> tf.Tensor:
    """Returns which positions along a side the tile owns, booleans, [size]."""
    places = np.arange(side.size // stride)
    table = []
    for number, start in enumerate(side.starts):
        first, last = get_owned(side, number, stride)
        at = places + start // stride
        table.append((at >= first) & (at < last))
    return tf.gather(np.array(table), tile)


def get_owned(side: tiles.Cut, tile: int, stride: int) -> tuple[int, int]:
    """Returns the (first, end) positions of a map that a tile owns."""
    return side.bounds[tile] // stride, side.bounds[tile + 1] // stride


def read_tile(
    values: canvas.Canvas,
    tiles: tiles.Tiles,
    place: TilePosition,
    stride: int = 1,
) -> tf.Tensor:
    """Crops an image or a map of it, [1, H, W, C], to a tile."""
    rows, columns = (side.size // stride for side in tiles)
    with replicas.use_device_of(values):
        return canvas.read(
            values, place.row // stride, place.column // stride, rows, columns
        )


def _measure_reach(extractor: extractors.Extractor) -> tuple[int, int]:
    """Returns the grid of tile starts, and the reach of the deepest layer."""
    return tiles.cover_image_losses(
        extractor.grid, max(extractor.reach.values())
    )


def sum_over_tiles(
    tiles: tiles.Tiles,
    function: Callable[[TilePosition], list[sums.Statistics]],
    share: DeviceTiles = ALL,
) -> list[sums.Statistics]:
    """Sums the statistics that a function returns for each tile."""
    one = tf.constant(0)
    traced = tf.function(
        lambda row, column: function(_locate(tiles, row, column)),
        autograph=False,
    ).get_concrete_function(one, one)
    zeros = [
        sums.Statistics(*(tf.zeros(part.shape, part.dtype) for part in each))
        for each in traced.structured_outputs
    ]
    return visit_tiles(tiles, function, zeros, share)


def visit_tiles(
    tiles: tiles.Tiles,
    function: Callable[[TilePosition], list[sums.Statistics] | None],
    totals: Sequence[sums.Statistics] = (),
    share: DeviceTiles = ALL,
) -> list[sums.Statistics]:
    """Calls a function for each tile in turn, and sums its statistics."""
    columns = len(tiles.columns.starts)

    def body(
        number: Any, totals: list[sums.Statistics]
    ) -> tuple[Any, list[sums.Statistics]]:
        place = _locate(tiles, number // columns, number % columns)
        found = function(place) or []
        totals = [
            sums.Statistics(one.total + two.total, one.mass + two.mass)
            for one, two in zip(totals, found, strict=True)
        ]
        return number + share.step, totals

    _, totals = tf.while_loop(
        lambda number, _: number < tiles.number,
        body,
        (tf.constant(share.first), list(totals)),
        parallel_iterations=1,
    )
    return list(totals)


def _locate(
    tiles: tiles.Tiles, row: tf.Tensor, column: tf.Tensor
) -> TilePosition:
    """Returns the position of a tile by the indices of its row and column."""
    return TilePosition(
        (row, column),
        tf.gather(np.array(tiles.rows.starts, np.int32), row),
        tf.gather(np.array(tiles.columns.starts, np.int32), column),
    )
