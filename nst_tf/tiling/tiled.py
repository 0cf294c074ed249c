"""The objective of an image that is seen tile by tile: the same, exactly.

A first pass adds up the statistics of all tiles; of their sum come the
distances, and the gradients of these; a second pass pulls those back through
every tile, and adds up what arrives at the pixels.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from nst_tf.backend import canvas, host_images, replicas
from nst_tf.losses import objectives, protocol, sums
from nst_tf.network import extractors
from nst_tf.plan import tiles
from nst_tf.tiling import views


def are_additive(loss_list: Sequence[protocol.Loss]) -> bool:
    """Whether all losses are sums over positions."""
    return all(getattr(loss, "additive", True) for loss in loss_list)


def make_tiled_objective(
    extractor: extractors.Extractor,
    loss_list: Sequence[protocol.Loss],
    tiles: tiles.Tiles,
    strategy: tf.distribute.Strategy | None = None,
) -> objectives.Objective:
    """Makes what `objectives.make_objective` does, of one image size, in tiles.

    A step takes memory for one tile, and for the gradient of the image: the
    `gradient` of an evaluation is a variable that the next one changes.

    Args:
        extractor: As for `objectives.make_objective`.
        loss_list: Additive losses, with maps of the whole image.
        tiles: How the image is cut.
        strategy: Of the devices that share the tiles, each of which has a
            gradient of its own until these are added up; the image stays
            where it is. None: one device sees them all.

    Raises:
        ValueError: If a loss is not additive, or looks further than the halo.
    """
    for loss in loss_list:
        if not getattr(loss, "additive", True):
            raise ValueError(
                f"{loss.name} is no sum over positions, so the picture cannot "
                f"be worked on in tiles; choose another style_loss, or a size "
                f"that fits into memory."
            )
        views.check_reach(extractor, loss)
    shape = [1, tiles.rows.length, tiles.columns.length, 3]
    dtype = extractor.model.inputs[0].dtype
    gradient: canvas.Changeable = (
        host_images.HostVariable(shape, dtype)
        if strategy is None and host_images.should_host()
        else tf.Variable(tf.zeros(shape, dtype), trainable=False)
    )
    scale = objectives.gradient_scale(extractor, shape[1] * shape[2])
    tile_statistics = views.TileStatistics(extractor, loss_list, tiles)
    team = _Team(strategy, tiles, gradient, tile_statistics)

    def evaluate(image: canvas.Image) -> objectives.Evaluation:
        totals = team.sum_up(
            lambda tile_statistics, place: tile_statistics(
                views.read_tile(image, tiles, place), place
            )
        )
        with tf.GradientTape() as tape:
            tape.watch([each.total for each in totals])
            loss, terms = objectives.sum_weighted(
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

        def pull(
            tile_statistics: views.TileStatistics, place: views.TilePosition
        ) -> tf.Tensor:
            pixels = views.read_tile(image, tiles, place)
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                seen = [each.total for each in tile_statistics(pixels, place)]
            part: Any = tape.gradient(seen, pixels, output_gradients=slopes)
            return part / scale

        team.add_up(pull)
        return objectives.Evaluation(loss, gradient, terms)

    return evaluate


class _Team:
    """The devices that share the tiles, each with every so manyth.

    Each has the network's weights, and a gradient of its own.

    Args:
        strategy: Theirs; None: there is one.
        tiles: How the image is cut.
        gradient: What the gradient is added up in.
        tile_statistics: How tiles are seen on the first of them.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy | None,
        tiles: tiles.Tiles,
        gradient: canvas.Changeable,
        tile_statistics: views.TileStatistics,
    ):
        self._strategy, self._tiles = strategy, tiles
        self._gradient, self._tile_statistics = gradient, tile_statistics
        if strategy:
            self._gradient_of = replicas.give_each(
                strategy,
                gradient,
                lambda: canvas.make_zeros_like(gradient),
            )
            self._tile_statistics_of = replicas.give_each(
                strategy, tile_statistics, tile_statistics.copy
            )

    def sum_up(
        self,
        function: Callable[
            [views.TileStatistics, views.TilePosition], list[sums.Statistics]
        ],
    ) -> list[sums.Statistics]:
        """Adds up what a function gives of each tile."""
        if self._strategy is None:
            alone = functools.partial(function, self._tile_statistics)
            return views.sum_over_tiles(self._tiles, alone)
        return replicas.sum_over_replicas(
            self._strategy,
            lambda number: views.sum_over_tiles(
                self._tiles,
                functools.partial(function, self._tile_statistics_of(number)),
                self._share(number),
            ),
        )

    def add_up(
        self,
        pull: Callable[[views.TileStatistics, views.TilePosition], tf.Tensor],
    ) -> None:
        """Makes the gradient of what a function gives of each tile."""
        if self._strategy is None:
            pull_alone = functools.partial(pull, self._tile_statistics)
            _pull_all(self._tiles, pull_alone, self._gradient)
            return

        def own(number: int) -> tf.Tensor:
            part = self._gradient_of(number)
            pull_here = functools.partial(
                pull, self._tile_statistics_of(number)
            )
            _pull_all(self._tiles, pull_here, part, self._share(number))
            return canvas.read_whole(part)

        self._gradient.assign(replicas.sum_over_replicas(self._strategy, own))

    def _share(self, number: int) -> views.DeviceTiles:
        """The tiles of a device, by its number."""
        return views.DeviceTiles(number, replicas.count_devices(self._strategy))


def _pull_all(
    tiles: tiles.Tiles,
    pull: Callable[[views.TilePosition], tf.Tensor],
    gradient: canvas.Changeable,
    share: views.DeviceTiles = views.ALL,
) -> None:
    """Makes a gradient of what a function gives of each tile."""
    canvas.change(
        {"gradient": gradient},
        lambda parts: {"gradient": tf.zeros_like(parts["gradient"])},
    )
    views.sum_over_places(
        tiles,
        lambda place: canvas.add(
            gradient, place.row, place.column, pull(place)
        ),
        share=share,
    )
