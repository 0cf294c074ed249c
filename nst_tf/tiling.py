"""The objective of an image that is seen tile by tile: the same, exactly.

A tile is cut with a halo as wide as the network reaches, so that what it owns
is seen as in the whole image. A first pass adds up the statistics of all tiles;
of their sum come the distances, and the gradients of these; a second pass pulls
those back through every tile, and adds up what arrives at the pixels.
All tiles have one shape, so that one loop in the graph serves them all.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf import bands, extractors, losses, objective, sums
from nst_tf import tiles as geometry


def make_tiles(
    extractor: extractors.Extractor, height: int, width: int, largest: int
) -> geometry.Tiles:
    """Cuts an image for a network, as `tiles.make` does."""
    stride = max(extractor.stride.values())
    reach = max(extractor.reach.values())
    return geometry.make(height, width, largest, stride, reach)


def make_tiled_objective(
    extractor: extractors.Extractor,
    loss_list: Sequence[losses.Loss],
    tiles: geometry.Tiles,
) -> objective.Objective:
    """Makes what `objective.make_objective` does, of one image size, in tiles.

    A step takes memory for one tile, and for the gradient of the image: the
    `gradient` of an evaluation is a variable that the next one changes.

    Args:
        extractor: As for `objective.make_objective`.
        loss_list: Additive losses, with maps of the whole image.
        tiles: How the image is cut.

    Raises:
        ValueError: If a loss is not additive.
    """
    for loss in loss_list:
        if not getattr(loss, "additive", True):
            raise ValueError(
                f"{loss.name} is no sum over positions, so the picture cannot "
                f"be worked on in tiles; choose another style_loss, or a size "
                f"that fits into memory."
            )
    shape = [1, tiles.rows.length, tiles.columns.length, 3]
    dtype = extractor.model.inputs[0].dtype
    gradient = tf.Variable(tf.zeros(shape, dtype), trainable=False)
    scale = objective.gradient_scale(extractor, shape[1] * shape[2])
    look = _Look(extractor, loss_list, tiles)

    def evaluate(image: bands.Image) -> objective.Evaluation:
        totals = _summed(
            tiles, lambda place: look(_tile(image, tiles, place), place)
        )
        with tf.GradientTape() as tape:
            tape.watch([each.total for each in totals])
            loss, terms = objective.weighted(
                loss_list,
                [
                    each.distance(total)
                    for each, total in zip(loss_list, totals, strict=True)
                ],
            )
            scaled = loss * tf.cast(scale, loss.dtype)
        slopes: Any = tape.gradient(
            scaled,
            [each.total for each in totals],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

        def pull(place: "Place") -> None:
            pixels = _tile(image, tiles, place)
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                seen = [each.total for each in look(pixels, place)]
            part: Any = tape.gradient(seen, pixels, output_gradients=slopes)
            bands.add(gradient, place.row, place.column, part / scale)

        bands.change(
            {"gradient": gradient},
            lambda parts: {"gradient": tf.zeros_like(parts["gradient"])},
        )
        _each_place(tiles, pull)
        return objective.Evaluation(loss, gradient, terms)

    return evaluate


def features(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: geometry.Tiles,
    layers: Sequence[str],
) -> Mapping[str, tf.Tensor]:
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
            part = compiled(_pixels(image, tiles, row, column))
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
    return {name: tf.constant(value) for name, value in maps.items()}


def statistics(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: geometry.Tiles,
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
    look = _Look(
        extractor,
        [
            _Measure(layer, measure, losses.present(region=masks[layer]))
            for layer, measure in measures.items()
        ],
        tiles,
    )
    pixels = tf.constant(image[None])
    compiled = tf.function(
        lambda: _summed(
            tiles, lambda place: look(_tile(pixels, tiles, place), place)
        ),
        autograph=False,
    )
    return dict(zip(measures, compiled(), strict=True))


class Place(NamedTuple):
    """Where a tile is, while a graph goes over all of them; each []."""

    tile: tuple[tf.Tensor, tf.Tensor]  # its row and its column of tiles
    row: tf.Tensor  # of its first pixel
    column: tf.Tensor


class _Measure(NamedTuple):
    """What `_Look` needs to know of a loss."""

    layer: str
    measure: Callable[..., sums.Statistics]
    maps: Mapping[str, tf.Tensor]
    reach: int = 0

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Measures where both masks count."""
        return self.measure(features, sums.product(mask, region))


class _Look:
    """Sees a tile: its pixels -> the statistics of what it owns."""

    def __init__(
        self,
        extractor: extractors.Extractor,
        loss_list: Sequence[losses.Loss | _Measure],
        tiles: geometry.Tiles,
    ):
        self._extractor = extractor
        self._losses = loss_list
        self._windows = {
            (loss.layer, loss.reach): tuple(
                _Window(side, self._stride(loss.layer), loss.reach)
                for side in tiles
            )
            for loss in loss_list
        }

    def __call__(
        self, pixels: tf.Tensor, place: Place
    ) -> list[sums.Statistics]:
        """The statistics of each loss."""
        maps = {**self._extractor.model(pixels), "image": pixels}
        found = []
        for loss in self._losses:
            rows, columns = self._windows[loss.layer, loss.reach]
            row, column = place.tile
            top, left = rows.offset(row), columns.offset(column)
            size = rows.size, columns.size
            mask = None
            if not (rows.all_owned and columns.all_owned):
                down = tf.cast(rows.owned(row), pixels.dtype)
                along = tf.cast(columns.owned(column), pixels.dtype)
                mask = (down[:, None] * along)[None, :, :, None]
            stride = self._stride(loss.layer)
            aligned = {
                name: bands.rectangle(
                    value,
                    place.row // stride + top,
                    place.column // stride + left,
                    *size,
                )
                for name, value in loss.maps.items()
            }
            here = bands.rectangle(maps[loss.layer], top, left, *size)
            found.append(loss.statistics(here, mask, **aligned))
        return found

    def _stride(self, layer: str) -> int:
        """Pixels from one position of a layer to the next."""
        return 1 if layer == "image" else self._extractor.stride[layer]


class _Window:
    """What is looked at along a side, at a layer: what each tile owns.

    It has one size for all tiles: the most that one of them owns, and what the
    loss reaches beyond. Where a tile owns less a mask says so.
    """

    def __init__(self, side: geometry.Cut, stride: int, reach: int):
        count = len(side.starts)
        owned = [_owned(side, tile, stride) for tile in range(count)]
        starts = [start // stride for start in side.starts]
        length = side.size // stride
        widest = max(last - first for first, last in owned)
        self.size = min(length, widest + 2 * reach)
        # From the tile's first position; the window does not leave the tile.
        offsets = [
            max(0, min(first - start - reach, length - self.size))
            for (first, _), start in zip(owned, starts, strict=True)
        ]
        parts = [
            (first - start - offset, last - start - offset)
            for (first, last), start, offset in zip(
                owned, starts, offsets, strict=True
            )
        ]
        self.all_owned = all(part == (0, self.size) for part in parts)
        self._offsets = np.array(offsets, np.int32)
        self._parts = np.array(parts, np.int32)

    def offset(self, tile: tf.Tensor) -> tf.Tensor:
        """Positions from the beginning of a tile to that of the window, []."""
        return tf.gather(self._offsets, tile)

    def owned(self, tile: tf.Tensor) -> tf.Tensor:
        """Which positions of the window a tile owns, truth values, [size]."""
        part = tf.gather(self._parts, tile)
        places = tf.range(self.size)
        return (places >= part[0]) & (places < part[1])


def _owned(side: geometry.Cut, tile: int, stride: int) -> tuple[int, int]:
    """The positions of a layer that a tile owns, in the whole map."""
    return side.bounds[tile] // stride, side.bounds[tile + 1] // stride


def _tile(image: bands.Image, tiles: geometry.Tiles, place: Place) -> tf.Tensor:
    """The pixels of a tile, [1, h, w, 3]."""
    return bands.rectangle(
        image, place.row, place.column, tiles.rows.size, tiles.columns.size
    )


def _pixels(
    image: np.ndarray, tiles: geometry.Tiles, row: int, column: int
) -> tf.Tensor:
    """The same, of a picture, [H, W, 3]."""
    top, left = tiles.rows.starts[row], tiles.columns.starts[column]
    return tf.constant(
        image[
            None, top : top + tiles.rows.size, left : left + tiles.columns.size
        ]
    )


def _summed(
    tiles: geometry.Tiles, function: Callable[[Place], list[sums.Statistics]]
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
    return _each_place(tiles, function, zeros)


def _each_place(
    tiles: geometry.Tiles,
    function: Callable[[Place], list[sums.Statistics] | None],
    totals: Sequence[sums.Statistics] = (),
) -> list[sums.Statistics]:
    """Goes over all tiles, one at a time, and adds up what comes of each."""
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
        return number + 1, totals

    _, totals = tf.while_loop(
        lambda number, _: number < tiles.number,
        body,
        (tf.constant(0), list(totals)),
        parallel_iterations=1,
    )
    return list(totals)


def _place(tiles: geometry.Tiles, row: tf.Tensor, column: tf.Tensor) -> Place:
    """Where a tile is, by the number of its row and its column."""
    return Place(
        (row, column),
        tf.gather(np.array(tiles.rows.starts, np.int32), row),
        tf.gather(np.array(tiles.columns.starts, np.int32), column),
    )
