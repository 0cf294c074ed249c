"""Makes the objective of an image that is processed tile by tile.

A first pass sums the statistics of all tiles, from which the distances and
their gradients follow. A second pass backpropagates these gradients through
every tile and sums the gradients of the pixels. The result is that of the whole
image.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from nst_tf.backend import canvas, replicas, reuse
from nst_tf.losses import objectives, protocol, sums
from nst_tf.network import extractors
from nst_tf.plan import tiles
from nst_tf.tiling import views


def make_tiled_objective(
    extractor: extractors.Extractor,
    loss_list: Sequence[protocol.Loss],
    tiles: tiles.Tiles,
    strategy: tf.distribute.Strategy | None = None,
) -> objectives.Objective:
    """Makes the objective of `objectives.make_objective`, computed in tiles.

    It is for one image size. It uses memory for one tile and for the gradient
    of the image. The `gradient` of an evaluation is a variable, which the next
    evaluation overwrites.

    Args:
        extractor: As for `objectives.make_objective`.
        loss_list: Additive losses, with maps of the whole image.
        tiles: The tiles of the image.
        strategy: The strategy of the devices that share the tiles. Each has its
            own gradient until these are summed; the image stays on its device.
            None: a single device.

    Raises:
        ValueError: If a loss is not additive, or reaches beyond the halo.
    """
    for loss in loss_list:
        if not protocol.are_additive([loss]):
            raise ValueError(
                f"{loss.name} cannot be computed tile by tile; choose another "
                "--style_loss, or a --size that fits in memory."
            )
        views.check_reach(extractor, loss)
    return _Tiled(extractor, list(loss_list), tiles, strategy)


@reuse.by_value()
class _Tiled:
    """The objective of an image, computed tile by tile."""

    def __init__(
        self,
        extractor: extractors.Extractor,
        loss_list: Sequence[protocol.Loss],
        tiles: tiles.Tiles,
        strategy: tf.distribute.Strategy | None,
    ):
        self._extractor = extractor
        self._losses = loss_list
        self._tiles = tiles
        self._strategy = strategy
        devices = replicas.count_devices(strategy)
        gradient: Any = canvas.make_zeros(
            tiles.rows.length,
            tiles.columns.length,
            extractor.model.inputs[0].dtype,
            True,
            devices,
        )
        # Each device has its own gradient and network.
        self._gradients = replicas.give_each(
            strategy, gradient, lambda: canvas.make_zeros_like(gradient)
        )
        statistics = views.TileStatistics(extractor, loss_list, tiles)
        self._statistics = replicas.give_each(
            strategy, statistics, statistics.copy
        )

    def __call__(self, image: canvas.Canvas) -> objectives.Evaluation:
        """Evaluates an image."""
        tiles, strategy = self._tiles, self._strategy
        height, width = tiles.rows.length, tiles.columns.length
        scale = objectives.compute_gradient_scale(
            self._extractor, height * width
        )
        devices = replicas.count_devices(strategy)

        def sum_tiles(device: int) -> list[sums.Statistics]:
            statistics = self._statistics[device]
            return views.sum_over_tiles(
                tiles,
                lambda place: statistics(
                    views.read_tile(image, tiles, place), place
                ),
                views.DeviceTiles(device, devices),
            )

        totals = replicas.sum_over_replicas(strategy, sum_tiles)
        with tf.GradientTape() as tape:
            tape.watch([each.total for each in totals])
            loss, terms = objectives.sum_weighted(
                self._losses,
                [
                    protocol.compare(each, total)
                    for each, total in zip(self._losses, totals, strict=True)
                ],
            )
            scaled = loss * tf.cast(scale, loss.dtype)
        slopes: Any = tape.gradient(
            scaled,
            [each.total for each in totals],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

        def pull_tiles(device: int) -> canvas.Canvas:
            """Computes the gradient of a device's tiles."""
            part: Any = self._gradients[device]
            statistics = self._statistics[device]
            canvas.update(part, tf.zeros_like)

            def pull(place: views.TilePosition) -> None:
                pixels = views.read_tile(image, tiles, place)
                again = tf.identity(pixels)  # as in `make_objective`
                with tf.GradientTape() as tape:
                    tape.watch([pixels, again])
                    found = statistics(pixels, place, again)
                of_network, of_image = tape.gradient(
                    [each.total for each in found],
                    [pixels, again],
                    output_gradients=slopes,
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                slope: Any = (of_network + of_image) / scale
                canvas.add(part, place.row, place.column, slope)

            views.visit_tiles(
                tiles, pull, share=views.DeviceTiles(device, devices)
            )
            return part

        if strategy is None:
            pull_tiles(0)
        else:
            total = replicas.sum_over_replicas(
                strategy, lambda device: canvas.read_whole(pull_tiles(device))
            )
            next(iter(self._gradients.values())).assign(total)
        return objectives.Evaluation(
            loss, next(iter(self._gradients.values())), terms
        )
