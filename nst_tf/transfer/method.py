"""The method: targets, objective, optimizer and levels put together."""

from collections.abc import Callable, Generator, Sequence

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, replicas
from nst_tf.images import image_io
from nst_tf.losses import objectives, protocol
from nst_tf.network import extractors
from nst_tf.optimize import base, descent
from nst_tf.plan import conventions, pyramid, tiles
from nst_tf.tiling import tiled, views
from nst_tf.transfer import targets


def stylize_steps(
    content: np.ndarray,
    styles: Sequence[targets.Style],
    *,
    weights: targets.LossWeights,
    make_extractor: Callable[[Sequence[str]], extractors.Extractor],
    make_optimizer: Callable[[canvas.Canvas], base.Optimizer],
    levels: Sequence[pyramid.Level],
    init: np.ndarray | None = None,
    convention: conventions.Convention = targets.RELATIVE,
    style_loss: str = "gram",
    style_fit: str = "keep",
    alpha: np.ndarray | None = None,
    regions: Sequence[targets.Region] = (),
    keep: np.ndarray | None = None,
    extra_losses: Callable[[int, int], list[protocol.Loss]] | None = None,
    start: descent.State | None = None,
    should_continue: descent.StopRule = lambda level, step: True,
    tile: Callable[[], int] = lambda: 0,
    exhausted: Callable[[int, int], bool] = lambda height, width: False,
    strategy: tf.distribute.Strategy | None = None,
    recompute: bool = False,
) -> Generator[descent.Step, None, None]:
    """Paints the content image in the manner of the style images.

    Args:
        content: Content image, [H, W, 3], RGB in [0, 1].
        styles: Style images with their shares.
        weights: Which layers count, and how much.
        make_extractor: Layers -> extractor, such as a partial
            `extractors.vgg`.
        make_optimizer: Image variable -> optimizer, such as `first_order.Adam`.
        levels: Sizes and steps, from coarse to fine.
        init: Where to start, [H, W, 3] in [0, 1], of any size; the content
            image if None.
        convention: What the losses are divided by.
        style_loss: What of style is compared, a name in
            `style_losses.STYLE_LOSSES`.
        style_fit: How style images are resized, a name in `targets.FITS`.
        alpha: How opaque the content image is, [H, W] in [0, 1]: transparent
            parts count for nothing.
        regions: Parts with styles of their own, in place of `styles`.
        keep: How much of the image stays as it starts, [H, W] in [0, 1].
        extra_losses: (height, width) -> further losses at that size, of the
            image or of layers of `weights`.
        start: A state of such a run, to go on after it.
        should_continue: Is asked before each step, as in `descent.descend`.
        tile: Gives the side of the tiles in which an image of more pixels is
            worked on; 0: images are worked on as wholes.
        exhausted: Is told when memory does not suffice at a size, as in
            `descent.descend`; `tile` gives a smaller side after that.
        strategy: Of the devices that share an image, where that is faster;
            None: one works alone.
        recompute: Whether tiles see the content's features anew, as in
            `targets.perceptual_losses`.

    Yields:
        A `descent.Step` after each update; the last one's image is the result.

    Raises:
        ValueError: If an extra loss is of another layer.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016; coarse to fine: Gatys et al. Controlling
        Perceptual Factors in Neural Style Transfer. CVPR 2017, section 6.
    """
    layers = {
        **weights.content,
        **targets.compute_all_style_weights(
            weights, regions or [targets.Region(styles)]
        ),
    }
    extractor = make_extractor(list(layers))

    def make_objective_at(height: int, width: int) -> objectives.Objective:
        side = tile()
        loss_list = targets.perceptual_losses(
            extractor,
            content,
            styles,
            weights,
            height,
            width,
            convention,
            style_loss,
            style_fit,
            alpha,
            regions,
            side,
            recompute,
        )
        if extra_losses is not None:
            loss_list += _check_layers(extra_losses(height, width), extractor)
        devices = (
            replicas.count_devices(strategy)
            if protocol.are_additive(loss_list)
            else 1
        )
        cut = views.cut_if_needed(extractor, height, width, side, devices)
        if cut:
            evaluate = tiled.make_tiled_objective(
                extractor, loss_list, cut, strategy
            )
        else:
            evaluate = objectives.make_objective(extractor, loss_list)
        if keep is None:
            return evaluate
        share = image_io.resize_alpha(keep, height, width)
        return objectives.freeze(evaluate, share)

    def make_canvas(image: tf.Tensor, height: int, width: int) -> canvas.Canvas:
        in_tiles = tiles.is_cut(height, width, tile())
        devices = replicas.count_devices(strategy)
        return canvas.make(image, height, width, in_tiles, devices)

    image = content if init is None else init
    yield from descent.descend(
        make_objective_at,
        make_optimizer,
        levels,
        tf.constant(image[None], extractor.model.inputs[0].dtype),
        start,
        should_continue,
        exhausted,
        make_canvas,
    )


def _check_layers(
    loss_list: list[protocol.Loss], extractor: extractors.Extractor
) -> list[protocol.Loss]:
    """Raises ValueError if a loss looks at what the network does not return."""
    layers = ["image", *extractor.stride]
    for loss in loss_list:
        if loss.layer not in layers:
            raise ValueError(
                f"the loss {loss.name!r} is of layer {loss.layer!r}, expected "
                f"one of {', '.join(layers)}; name others in content_layers or "
                f"style_layers."
            )
    return loss_list
