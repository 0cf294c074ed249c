"""Executes plans: targets, objective, optimizer and levels."""

import dataclasses
import logging
import threading
from collections.abc import Callable, Generator, Hashable, Sequence

import tensorflow as tf

from nst_tf.backend import canvas, device, replicas, reuse
from nst_tf.images import image_io
from nst_tf.losses import objectives, protocol
from nst_tf.network import extractors, selected, weight_files
from nst_tf.optimize import base, descent, state_file, stopping
from nst_tf.plan import initial, optimizers, planning, pyramid, tile_size, tiles
from nst_tf.tiling import tiled, views
from nst_tf.transfer import added_losses, target_cache, targets

log = logging.getLogger("nst_tf")


@dataclasses.dataclass
class _Network:
    """A network with its cached features, style targets and train steps."""

    weights: weight_files.NetworkWeights  # compared by the identity of `layers`
    extractor: extractors.Extractor
    compiler: reuse.Compiler  # of train steps
    targets: target_cache.TargetCache
    # Some of its layers -> an extractor of them.
    selected: dict[Hashable, extractors.Extractor] = dataclasses.field(
        default_factory=dict
    )

    @property
    def size(self) -> int:
        """The approximate size, in bytes."""
        own = self.extractor
        kept = self.weights.layers, own.model.variables, own.cache or {}
        used = target_cache.count_bytes(kept)
        return self.compiler.size + self.targets.size + used

    def select(self, layers: Sequence[str]) -> extractors.Extractor:
        """Returns the extractor of some of its layers."""
        key = (*layers,)
        if key not in self.selected:
            self.selected[key] = selected.select(self.extractor, layers)
        return self.selected[key]


class Painter:
    """Executes plans, one after another.

    A painter builds a network once for all plans whose inputs share its
    weights. It compiles a train step once for all levels of the same size and
    losses, whatever their pictures, masks, weights and learning rates. Losses
    of a caller's own class are compiled anew. It computes the targets of a
    style image once for all levels of the same size, and keeps the last
    `target_cache.MOST_BYTES` of them.

    A painter paints one picture at a time. A `paint` during another, from a
    thread or with an open generator, uses a new painter.

    Args:
        strategy: The strategy of the devices that share a picture; None: a
            single device.
        remember: Whether to cache the features of pictures, for further runs
            with the same content or style.

    Attributes:
        tiling: The tiling of the current picture; None before the first.
        network: Its network, likewise.

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
        self._networks: dict[Hashable, _Network] = {}  # oldest use first
        self._lock = threading.Lock()

    def paint(
        self,
        plan: planning.Plan,
        start: descent.State | None = None,
        extra_losses: added_losses.ExtraLosses | None = None,
        stop: descent.StopRule | None = None,
    ) -> Generator[descent.Step, None, None]:
        """Yields the steps of a plan.

        A step that runs out of memory is repeated with smaller tiles; a step
        that overflows is repeated in the fallback precision, if any.

        Args:
            plan: What to paint.
            start: A state to resume from.
            extra_losses: (height, width) -> additional losses at that size, on
                the image or on any layer of the network.
            stop: Called before each step, as in `descent.descend`; None: the
                plan's stop rules.

        Yields:
            A `descent.Step` after each update. The last image is the result
            before post-processing (`color=content`, `keep_mask`).

        Raises:
            ValueError: If the layer of an extra loss does not exist.
            FloatingPointError: If the loss stays NaN or infinite.
        """
        if not self._lock.acquire(blocking=False):
            other = Painter(self._strategy, remember=self._remember)
            yield from other.paint(plan, start, extra_losses, stop)
            return
        try:
            yield from self._paint(plan, start, extra_losses, stop)
        finally:
            self._lock.release()

    def _paint(
        self,
        plan: planning.Plan,
        start: descent.State | None,
        extra_losses: added_losses.ExtraLosses | None,
        stop: descent.StopRule | None,
    ) -> Generator[descent.Step, None, None]:
        """Does the work of `paint`, with the lock held."""
        if extra_losses is not None:
            size = plan.levels[0].size
            plan = added_losses.add_layers(
                plan, added_losses.read(extra_losses, *size)
            )
        if start and state_file.OVERFLOWED in start.arrays:
            plan = _widen(plan)
        network = self._get_network(plan)
        if stop is None:
            stop = stopping.Stop(plan.stop, plan.levels, start)

        def make_objective(height: int, width: int) -> objectives.Objective:
            return self._make_objective(
                plan, network, height, width, extra_losses
            )

        def recover(error: tf.errors.OpError, height: int, width: int) -> bool:
            if replicas.count_workers() > 1:  # the others would not notice
                return False
            if device.is_out_of_memory(error):
                return shrink(height, width)
            return objectives.is_overflow(error) and widen()

        def widen() -> bool:
            nonlocal plan, network
            plan = _widen(plan)
            self.network, network = plan.network, self._get_network(plan)
            log.warning(
                "a step overflowed in half precision; this step and the rest "
                "of this picture are computed in %s",
                plan.network.precision,
            )
            return True

        def shrink(height: int, width: int) -> bool:
            nonlocal plan
            smaller = tile_size.shrink_after_error(plan, height, width)
            if smaller is None:
                return False
            plan, self.tiling = smaller, smaller.tiling
            log.warning(
                "not enough memory for this step; it is repeated with tiles "
                "of %d",
                plan.tiling.side,
            )
            return True

        def start_level(
            image: tf.Tensor, level: pyramid.Level
        ) -> base.Optimizer:
            in_tiles = tiles.is_cut(*level.size, plan.tiling.side)
            devices = replicas.count_devices(self._strategy)
            return make_optimizer(
                canvas.make(image, *level.size, in_tiles, devices), level
            )

        self.tiling, self.network = plan.tiling, plan.network

        def compile_step(
            optimizer: base.Optimizer, objective: objectives.Objective
        ) -> Callable[[], objectives.Evaluation]:
            return descent.make_train_step(
                optimizer, objective, network.compiler
            )

        image = initial.make_initial_image(plan)
        yield from descent.descend(
            make_objective,
            start_level,
            plan.levels,
            tf.constant(image[None], network.extractor.model.inputs[0].dtype),
            start,
            stop,
            recover,
            compile_step,
        )

    @property
    def size(self) -> int:
        """The approximate size of all that is cached, in bytes."""
        return sum(network.size for network in self._networks.values())

    @property
    def traces(self) -> int:
        """The number of train steps compiled for the cached networks."""
        return sum(each.compiler.traces for each in self._networks.values())

    def forget(self) -> bool:
        """Drops the least recently used network; returns False without one."""
        if not self._networks:
            return False
        del self._networks[next(iter(self._networks))]
        return True

    @staticmethod
    def list_shapes(
        level: pyramid.Level,
    ) -> dict[str, tuple[tuple[int, ...], str]]:
        """Lists shapes and kinds of the variables of a level's optimizer."""
        shape = 1, level.height, level.width, 3
        with tf.Graph().as_default():  # without allocating memory
            image = tf.Variable(tf.zeros(shape), trainable=False)
            variables = base.list_variables(make_optimizer(image, level))
        return {
            name: (tuple(each.shape), "f" if each.dtype.is_floating else "i")
            for name, each in variables.items()
        }

    def _get_network(self, plan: planning.Plan) -> _Network:
        """Returns the network of a plan; builds it if it is not cached."""
        layers = targets.list_layers(plan, plan.scales)
        weights = plan.inputs.network
        if weights is None:
            raise ValueError("the plan's inputs have no network; load it.")
        key = (tuple(layers), plan.network, id(weights.layers))
        network = self._networks.pop(key, None)
        if network is None:
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
            cache = target_cache.TargetCache()
            network = _Network(weights, made, reuse.Compiler(), cache)
        self._networks[key] = network
        return network

    def _make_objective(
        self,
        plan: planning.Plan,
        network: _Network,
        height: int,
        width: int,
        extra_losses: added_losses.ExtraLosses | None,
    ) -> objectives.Objective:
        """Makes the objective of one size, in tiles if needed."""
        scales = pyramid.count_scales(height, width, plan.scales)
        extractor = network.select(targets.list_layers(plan, scales))
        loss_list = targets.perceptual_losses(
            plan, extractor, height, width, network.targets
        )
        if extra_losses is not None:
            added = added_losses.read(extra_losses, height, width)
            protocol.check_names(loss_list, added)
            loss_list += added
        devices = (
            replicas.count_devices(self._strategy)
            if protocol.are_additive(loss_list) and not plan.normalizes
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
            evaluate = objectives.make_objective(
                extractor, loss_list, normalized=plan.normalizes
            )
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


def _widen(plan: planning.Plan) -> planning.Plan:
    """Replaces the precision of the network by the fallback, if any."""
    precision = plan.network.fallback or plan.network.precision
    network = plan.network._replace(precision=precision, fallback="")
    return dataclasses.replace(plan, network=network)
