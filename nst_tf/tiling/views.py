"""What a network sees of an image, tile by tile, without what lies beside.

A tile is cut with a halo as wide as the network reaches, so that what it owns
is seen as in the whole image. All tiles have one shape, so that one loop in the
graph serves them all.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, host_images, replicas
from nst_tf.losses import protocol, sums
from nst_tf.network import extractors
from nst_tf.plan import tiles


def cut_for_extractor(
    extractor: extractors.Extractor, height: int, width: int, largest: int
) -> tiles.Tiles:
    """Cuts an image, as `tiles.make_tiles` does, for the reach of a network."""
    return tiles.make_tiles(height, width, largest, *_reach(extractor))


def cut_if_needed(
    extractor: extractors.Extractor,
    height: int,
    width: int,
    largest: int,
    devices: int = 1,
) -> tiles.Tiles | None:
    """Cuts an image if need be, as `tiles.choose_tiles` does, for a network."""
    return tiles.choose_tiles(
        height, width, largest, *_reach(extractor), devices
    )


def check_reach(extractor: extractors.Extractor, loss: protocol.Loss) -> None:
    """Raises ValueError if a loss looks further than the halo of a tile."""
    stride = extractor.stride.get(loss.layer, 1)
    pixels = extractor.reach.get(loss.layer, 0) + stride * loss.reach
    halo = max(extractor.reach.values())
    if pixels > halo:
        raise ValueError(
            f"{loss.name} sees {pixels} pixels beyond its own, expected at "
            f"most {halo}, what tiles have besides; give it a smaller reach, "
            f"or choose a size that fits into memory."
        )


def compute_features(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: tiles.Tiles,
    layers: Sequence[str],
) -> Mapping[str, canvas.Image]:
    """Runs the network on a picture, tile by tile: whole maps of some layers.

    Args:
        extractor: The network.
        image: [H, W, 3] in [0, 1].
        tiles: How it is cut.
        layers: Of which maps, [1, h, w, C], are wanted.
    """

    @tf.function(autograph=False)
    def compiled(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = extractor.model(pixels)
        return {name: seen[name] for name in layers}

    maps: dict[str, np.ndarray] = {}
    for row in range(len(tiles.rows.starts)):
        for column in range(len(tiles.columns.starts)):
            part = compiled(_part_of(image, tiles, row, column))
            for name, value in part.items():
                stride = extractor.stride[name]
                if name not in maps:
                    size = [side.length // stride for side in tiles]
                    maps[name] = np.zeros(
                        (1, *size, value.shape[-1]), value.dtype.as_numpy_dtype
                    )
                rows = _owned(tiles.rows, row, stride)
                columns = _owned(tiles.columns, column, stride)
                top = tiles.rows.starts[row] // stride
                left = tiles.columns.starts[column] // stride
                maps[name][:, slice(*rows), slice(*columns)] = value[
                    :,
                    rows[0] - top : rows[1] - top,
                    columns[0] - left : columns[1] - left,
                ]
    kept = host_images.HostImage if host_images.should_host() else tf.constant
    return {name: kept(value) for name, value in maps.items()}


def sum_statistics(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: tiles.Tiles,
    measures: Mapping[str, Callable[..., sums.Statistics]],
    masks: Mapping[str, tf.Tensor | None],
) -> Mapping[str, sums.Statistics]:
    """Adds up statistics of a picture, tile by tile.

    Args:
        extractor: The network.
        image: [H, W, 3] in [0, 1].
        tiles: How it is cut.
        measures: (features, mask) -> sums over positions, by layer.
        masks: How much each position counts, [1, h, w, 1], by layer; None:
            all alike.
    """
    tile_statistics = TileStatistics(
        extractor,
        [
            _Measure(layer, measure, protocol.drop_absent(region=masks[layer]))
            for layer, measure in measures.items()
        ],
        tiles,
    )
    pixels = host_images.HostImage(image[None])
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
    """Where a tile is, while a graph goes over all of them; each []."""

    tile: tuple[tf.Tensor, tf.Tensor]  # its row and its column of tiles
    row: tf.Tensor  # of its first pixel
    column: tf.Tensor


class DeviceTiles(NamedTuple):
    """The tiles of one of several devices."""

    first: int = 0
    step: int = 1


ALL = DeviceTiles()


class _Measure(NamedTuple):
    """What `TileStatistics` needs to know of a loss."""

    layer: str
    measure: Callable[..., sums.Statistics]
    maps: Mapping[str, Any]

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Measures where both masks count."""
        return self.measure(features, sums.multiply_masks(mask, region))


class TileStatistics:
    """Sees a tile: its pixels -> the statistics of what it owns."""

    def __init__(
        self,
        extractor: extractors.Extractor,
        loss_list: Sequence[protocol.Loss | _Measure],
        tiles: tiles.Tiles,
    ):
        self._extractor = extractor
        self._losses = loss_list
        self._tiles = tiles

    def __call__(
        self, pixels: tf.Tensor, place: TilePosition
    ) -> list[sums.Statistics]:
        """The statistics of each loss."""
        maps = {**self._extractor.model(pixels), "image": pixels}
        stride_of = {**self._extractor.stride, "image": 1}
        owned = {
            stride: self._owned(place, stride, pixels.dtype)
            for stride in set(stride_of.values())
        }

        @functools.cache
        def seen(picture: protocol.Recomputed) -> Mapping[str, tf.Tensor]:
            cut = read_tile(picture.pixels, self._tiles, place)
            return self._extractor.model(cut)

        found = []
        for loss in self._losses:
            features, stride = maps[loss.layer], stride_of[loss.layer]
            aligned = {
                name: seen(value)[loss.layer]
                if isinstance(value, protocol.Recomputed)
                else self._align(value, place, stride)
                for name, value in loss.maps.items()
            }
            found.append(loss.statistics(features, owned[stride], **aligned))
        return found

    def copy(self) -> "TileStatistics":
        """The same, with a copy of the network's weights."""
        original: Any = self._extractor.model
        model = tf.keras.models.clone_model(original)
        model.set_weights(original.get_weights())
        extractor = self._extractor._replace(model=model)
        return TileStatistics(extractor, self._losses, self._tiles)

    def _owned(
        self, place: TilePosition, stride: int, dtype: tf.DType
    ) -> tf.Tensor:
        """1 at positions of a map that the tile owns, else 0, [1, h, w, 1]."""
        rows, columns = (
            _ownership(side, stride, tile)
            for side, tile in zip(self._tiles, place.tile, strict=True)
        )
        return tf.cast(rows[:, None] & columns, dtype)[None, :, :, None]

    def _align(
        self, values: canvas.Image, place: TilePosition, stride: int
    ) -> tf.Tensor:
        """Cuts a map of the whole image, [1, H, W, C], as the tile is cut."""
        rows, columns = (side.size // stride for side in self._tiles)
        with replicas.device_of(values):
            return canvas.read_rectangle(
                values,
                place.row // stride,
                place.column // stride,
                rows,
                columns,
            )


def _ownership(side: tiles.Cut, stride: int, tile: tf.Tensor) -> tf.Tensor:
    """Which positions along a side a tile owns, truth values, [size]."""
    places = np.arange(side.size // stride)
    table = []
    for number, start in enumerate(side.starts):
        first, last = _owned(side, number, stride)
        at = places + start // stride
        table.append((at >= first) & (at < last))
    return tf.gather(np.array(table), tile)


def _owned(side: tiles.Cut, tile: int, stride: int) -> tuple[int, int]:
    """The positions of a layer that a tile owns, in the whole map."""
    return side.bounds[tile] // stride, side.bounds[tile + 1] // stride


def read_tile(
    image: canvas.Image, tiles: tiles.Tiles, place: TilePosition
) -> tf.Tensor:
    """The pixels of a tile, [1, h, w, 3]."""
    with replicas.device_of(image):
        return canvas.read_rectangle(
            image, place.row, place.column, tiles.rows.size, tiles.columns.size
        )


def _reach(extractor: extractors.Extractor) -> tuple[int, int]:
    """The stride, and the reach, of the deepest layer."""
    return max(extractor.stride.values()), max(extractor.reach.values())


def _part_of(
    image: np.ndarray, tiles: tiles.Tiles, row: int, column: int
) -> tf.Tensor:
    """The same, of a picture, [H, W, 3]."""
    top, left = tiles.rows.starts[row], tiles.columns.starts[column]
    return tf.constant(
        image[
            None, top : top + tiles.rows.size, left : left + tiles.columns.size
        ]
    )


def sum_over_tiles(
    tiles: tiles.Tiles,
    function: Callable[[TilePosition], list[sums.Statistics]],
    share: DeviceTiles = ALL,
) -> list[sums.Statistics]:
    """Adds up what a function gives of each tile."""
    one = tf.constant(0)
    traced = tf.function(
        lambda row, column: function(_place(tiles, row, column)),
        autograph=False,
    ).get_concrete_function(one, one)
    zeros = [
        sums.Statistics(*(tf.zeros(part.shape, part.dtype) for part in each))
        for each in traced.structured_outputs
    ]
    return sum_over_places(tiles, function, zeros, share)


def sum_over_places(
    tiles: tiles.Tiles,
    function: Callable[[TilePosition], list[sums.Statistics] | None],
    totals: Sequence[sums.Statistics] = (),
    share: DeviceTiles = ALL,
) -> list[sums.Statistics]:
    """Goes over tiles, one at a time, and adds up what comes of each."""
    columns = len(tiles.columns.starts)

    def body(
        number: Any, totals: list[sums.Statistics]
    ) -> tuple[Any, list[sums.Statistics]]:
        place = _place(tiles, number // columns, number % columns)
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


def _place(
    tiles: tiles.Tiles, row: tf.Tensor, column: tf.Tensor
) -> TilePosition:
    """Where a tile is, by the number of its row and its column."""
    return TilePosition(
        (row, column),
        tf.gather(np.array(tiles.rows.starts, np.int32), row),
        tf.gather(np.array(tiles.columns.starts, np.int32), column),
    )
