"""Computes the feature maps of a large picture tile by tile."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas
from nst_tf.losses import sums
from nst_tf.network import extractors
from nst_tf.plan import tiles
from nst_tf.tiling import views


def compute_features(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: tiles.Tiles,
    layers: Sequence[str],
) -> Mapping[str, canvas.Canvas]:
    """Computes the feature maps of some layers of a picture, tile by tile.

    Args:
        extractor: The network.
        image: [H, W, 3] in [0, 1].
        tiles: Its tiles.
        layers: The layers whose maps, [1, h, w, C], are returned.
    """
    maps: dict[str, np.ndarray] = {}
    for name, rows, columns, value in _see_tiles(
        extractor, image, tiles, layers
    ):
        if name not in maps:
            size = [side.length // extractor.stride[name] for side in tiles]
            maps[name] = np.zeros(
                (1, *size, value.shape[-1]), value.dtype.as_numpy_dtype
            )
        maps[name][:, slice(*rows), slice(*columns)] = value
    return {name: canvas.keep(value) for name, value in maps.items()}


def sample_features(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: tiles.Tiles,
    positions: Mapping[str, np.ndarray],
) -> Mapping[str, np.ndarray]:
    """Computes features of a picture at some positions, tile by tile.

    Args:
        extractor: The network.
        image: [H, W, 3] in [0, 1].
        tiles: Its tiles.
        positions: Layer -> flat indices of positions in its map, [N].

    Returns:
        Layer -> features, [N, C], in float32 or float64.
    """
    found: dict[str, np.ndarray] = {}
    for name, rows, columns, value in _see_tiles(
        extractor, image, tiles, list(positions)
    ):
        width = tiles.columns.length // extractor.stride[name]
        row, column = np.divmod(positions[name], width)
        here = (rows[0] <= row) & (row < rows[1])
        here &= (columns[0] <= column) & (column < columns[1])
        values = sums.widen(value).numpy()
        if name not in found:
            size = len(row), values.shape[-1]
            found[name] = np.zeros(size, values.dtype)
        found[name][here] = values[
            0, row[here] - rows[0], column[here] - columns[0]
        ]
    return found


def _see_tiles(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiles: tiles.Tiles,
    layers: Sequence[str],
) -> Iterator[tuple[str, tuple[int, int], tuple[int, int], Any]]:
    """Runs the network on each tile of a picture.

    Yields:
        A layer, the (first, end) rows and columns of its map that the tile
        owns, and the features there, [1, h, w, C].
    """

    @tf.function(autograph=False)
    def compiled(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = extractor.model(pixels)
        return {name: seen[name] for name in layers}

    picture = canvas.keep(image[None], on_host=True)
    for row in range(len(tiles.rows.starts)):
        for column in range(len(tiles.columns.starts)):
            top, left = tiles.rows.starts[row], tiles.columns.starts[column]
            pixels = canvas.read(
                picture, top, left, tiles.rows.size, tiles.columns.size
            )
            for name, value in compiled(pixels).items():
                stride = extractor.stride[name]
                rows = views.get_owned(tiles.rows, row, stride)
                columns = views.get_owned(tiles.columns, column, stride)
                owned = value[
                    :,
                    slice(*(each - top // stride for each in rows)),
                    slice(*(each - left // stride for each in columns)),
                ]
                yield name, rows, columns, owned
