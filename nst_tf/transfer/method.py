"""The method of Gatys et al.: targets, objective, optimizer and levels."""

import dataclasses
import logging
from collections.abc import Callable, Generator, Hashable, Sequence

import tensorflow as tf

from nst_tf import errors
from nst_tf.backend import canvas, device, replicas
from nst_tf.images import image_io
from nst_tf.losses import objectives, protocol
from nst_tf.network import architectures, extractors, weight_files
from nst_tf.optimize import base, descent, stopping
from nst_tf.plan import initial, optimizers, planning, pyramid, tile_size, tiles
from nst_tf.tiling import tiled, views
from nst_tf.transfer import targets

log = logging.getLogger("nst_tf")

# (height, width) -> losses of an image of that size.
ExtraLosses = Callable[[int, int], Sequence[protocol.Loss]]


class Painter:
    """Carries out plans.

    A network is built once for all plans whose inputs share its weights.

    Args:
        strategy: Of the devices that share a picture, where that is faster;
            None: one works alone.
        remember: Whether the features of each picture that a network has seen
            are kept, too, for further pictures of the same content or style.

    Attributes:
        tiling: How the picture of now is worked on; None before the first.
        network: What sees it, likewise.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016; coarse to fine: Gatys et al. Controlling
        Perceptual Factors in Neural Style Transfer. CVPR 2017, section 6.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy | None = None,
        *,
        remember: bool = False,
    ):
        self.tiling: planning.Tiling | None = None
        self.network: planning.NetworkSpec | None = None
        self._strategy = strategy
        self._remember = remember
        self._networks: dict[
            Hashable, tuple[extractors.Extractor, weight_files.NetworkWeights]
        ] = {}

    def paint(
        self,
        plan: planning.Plan,
        start: descent.State | None = None,
        extra_losses: ExtraLosses | None = None,
        stop: descent.StopRule | None = None,
    ) -> Generator[descent.Step, None, None]:
        """Paints the picture of a plan, step by step.

        Where memory runs out, the step is taken again in smaller tiles; where
        it overflows in a precision that has a fallback, in that one.

        Args:
            plan: What to paint.
            start: A state of such a run, to go on after it.
            extra_losses: (height, width) -> further losses at that size, of the
                image or of any layer of the network.
            stop: Is asked before each step, as in `descent.descend`; that of
                the plan if None.

        Yields:
            A `descent.Step` after each update. The last one's image is the
            result, but for the content's chroma and the parts that are kept.

        Raises:
            ValueError: If an extra loss is of a layer that there is not.
            FloatingPointError: If evaluations give no numbers any more.
        """
        if extra_losses is not None:
            size = plan.levels[0].size
            plan = _add_layers(plan, _read_extra(extra_losses, *size))
        extractor = self._get_extractor(plan)
        if stop is None:
            stop = stopping.Stop(plan.stop, plan.levels, start)

        def make_objective(height: int, width: int) -> objectives.Objective:
            return self._make_objective(
                plan, extractor, height, width, extra_losses
            )

        def recover(error: tf.errors.OpError, height: int, width: int) -> bool:
            if replicas.count_workers() > 1:  # the others would not know
                return False
            if device.is_out_of_memory(error):
                return shrink(height, width)
            return objectives.is_overflow(error) and widen()

        def widen() -> bool:
            nonlocal plan, extractor
            self.network = plan.network._replace(
                precision=plan.network.fallback, fallback=""
            )
            plan = dataclasses.replace(plan, network=self.network)
            extractor = self._get_extractor(plan)
            log.warning(
                "a step overflowed in half precision; it is taken again in %s, "
                "and so is the rest of this picture",
                plan.network.precision,
            )
            return True

        def shrink(height: int, width: int) -> bool:
            nonlocal plan
            smaller = tile_size.shrink_tiles(plan, height, width)
            if smaller is None:
                return False
            plan, self.tiling = smaller, smaller.tiling
            log.warning(
                "not enough memory for this step; it is taken again in tiles "
                "of %d",
                plan.tiling.side,
            )
            return True

        def make_canvas(
            image: tf.Tensor, height: int, width: int
        ) -> canvas.Canvas:
            in_tiles = tiles.is_cut(height, width, plan.tiling.side)
            devices = replicas.count_devices(self._strategy)
            return canvas.make(image, height, width, in_tiles, devices)

        self.tiling, self.network = plan.tiling, plan.network
        image = initial.make_initial_image(plan)
        yield from descent.descend(
            make_objective,
            make_optimizer,
            plan.levels,
            tf.constant(image[None], extractor.model.inputs[0].dtype),
            start,
            stop,
            recover,
            make_canvas,
        )

    def list_shapes(
        self, level: pyramid.Level
    ) -> dict[str, tuple[tuple[int, ...], str]]:
        """Lists what the optimizer of a level remembers: shapes and kinds."""
        shape = 1, level.height, level.width, 3
        with tf.Graph().as_default():  # in which variables take no memory
            image = tf.Variable(tf.zeros(shape), trainable=False)
            variables = base.list_variables(make_optimizer(image, level))
        return {
            name: (tuple(each.shape), "f" if each.dtype.is_floating else "i")
            for name, each in variables.items()
        }

    def _get_extractor(self, plan: planning.Plan) -> extractors.Extractor:
        """Returns the network of a plan; makes it if there is none."""
        layers, weights = targets.list_layers(plan), plan.inputs.network
        if weights is None:
            raise ValueError("the plan's inputs have no network; load it.")
        key = (tuple(layers), plan.network, id(weights))
        if key not in self._networks:
            made = extractors.vgg(
                plan.network.name,
                layers,
                weights.layers,
                projections=weights.projections,
                pooling=plan.network.pooling,
                padding=plan.network.padding,
                dtype=plan.network.precision,
                convolution=plan.network.convolution,
            )
            if self._remember:
                made = made._replace(cache={})
            self._networks[key] = made, weights
        return self._networks[key][0]

    def _make_objective(
        self,
        plan: planning.Plan,
        extractor: extractors.Extractor,
        height: int,
        width: int,
        extra_losses: ExtraLosses | None,
    ) -> objectives.Objective:
        """Makes the objective of one size, in tiles if need be."""
        loss_list = targets.perceptual_losses(plan, extractor, height, width)
        if extra_losses is not None:
            added = _read_extra(extra_losses, height, width)
            protocol.check_names(loss_list, added)
            loss_list += added
        devices = (
            replicas.count_devices(self._strategy)
            if protocol.are_additive(loss_list)
            else 1
        )
        cut = views.cut_if_needed(
            extractor, height, width, plan.tiling.side, devices
        )
        if cut:
            evaluate = tiled.make_tiled_objective(
                extractor, loss_list, cut, self._strategy
            )
        else:
            evaluate = objectives.make_objective(extractor, loss_list)
        if plan.network.fallback and replicas.count_workers() == 1:
            evaluate = objectives.refuse_overflow(evaluate)
        if plan.keep is None:
            return evaluate
        share = image_io.resize_alpha(plan.keep, height, width)
        return objectives.freeze(evaluate, share)


def make_optimizer(
    image: canvas.Canvas, level: pyramid.Level
) -> base.Optimizer:
    """Makes the optimizer of a level's image."""
    kind = optimizers.OPTIMIZERS[level.optimizer]
    made: base.Optimizer = kind.load()(image, **level.settings)
    return made


def _read_extra(
    extra_losses: ExtraLosses, height: int, width: int
) -> list[protocol.Loss]:
    """Asks a caller for losses of an image of height x width.

    Raises:
        TypeError: If it is no list that is returned.
    """
    made = extra_losses(height, width)
    kind = "a list of losses"
    errors.check_type("what extra_losses returns", made, (list, tuple), kind)
    return [*made]


def _add_layers(
    plan: planning.Plan, loss_list: Sequence[protocol.Loss]
) -> planning.Plan:
    """Adds the layers of extra losses to those that the network returns.

    Raises:
        ValueError: If the network does not have one of them.
    """
    layers = [each.layer for each in loss_list if each.layer != "image"]
    for loss in loss_list:
        try:
            architectures.check_layers(
                plan.network.name, {loss.layer} - {"image"}
            )
        except ValueError as error:
            raise ValueError(f"the loss {loss.name!r}: {error}") from error
    return dataclasses.replace(
        plan,
        layers=[*plan.layers, *layers],
        extra_layers=[*plan.extra_layers, *layers],
    )
