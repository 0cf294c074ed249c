"""A job, or arrays -> steps -> a picture.

TensorFlow is imported only when work starts.
"""

import collections
import dataclasses
import functools
import time
import warnings
from collections.abc import (
    Callable,
    Generator,
    Hashable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf.backend import device, replicas
from nst_tf.images import image_io, painting, sizes
from nst_tf.network import weight_files
from nst_tf.optimize import stopping
from nst_tf.plan import (
    conventions,
    inputs,
    optimizers,
    pyramid,
    schedule,
    settings,
    tile_size,
)
from nst_tf.runs import preparation, results, resume, startup

if TYPE_CHECKING:
    import tensorflow as tf

    from nst_tf.network import extractors
    from nst_tf.optimize import base, descent
    from nst_tf.transfer import targets


PROBE = 256  # long side, in pixels, of the picture that a job is timed on
PROBE_STEPS = 5


class Result(NamedTuple):
    """What came out of a job."""

    path: Path
    seconds: float
    terms: Mapping[str, float]  # the last step's losses, unweighted


def stylize(
    content: inputs.ImageLike,
    styles: inputs.ImageLike | Sequence[inputs.ImageLike],
    **settings: Any,
) -> painting.Painting:
    """Paints a content image in the manner of style images.

    Args:
        content: Content image: a path or an address, or an array, [H, W, 3],
            of uint8 or of floats in [0, 1], RGB; or with alpha, [H, W, 4].
            Transparent parts count for nothing.
        styles: One style image or several, likewise; a folder counts as one.
        **settings: Fields of `Job`, such as size=512 or style_weight=200.
            Masks (content_mask, strength_map, keep_mask, and those of
            style_mask) are paths or addresses, or arrays: gray, [H, W], or
            RGB, [H, W, 3], of bool, uint8, or floats in [0, 1]. What is started
            from (init, continue_from) may be an array, too, as `content`.

    Returns:
        The generated image, [h, w, 3], float32 in [0, 1]; its long side is
        `size`. Where the content is transparent it has colors like those that
        are seen nearby. It is an array, which a notebook shows as a picture.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting, or it is of another type.
        MemoryError: If there is not enough for the smallest tiles.
        FloatingPointError: If evaluations give no numbers any more.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016.
    """
    request, prepared = preparation.prepare_images(content, styles, settings)
    step = _last(start_steps(request, prepared))
    return results.make_painting(step, request, prepared)


def stylize_steps(
    content: inputs.ImageLike,
    styles: inputs.ImageLike | Sequence[inputs.ImageLike],
    **settings: Any,
) -> "Iterator[descent.Step]":
    """Paints as `stylize` does, and yields each step as it is taken.

    Stop reading to stop the run. Each step has its level, its index, its
    losses and its image; nothing is copied from the device until it is read.

    Args:
        content: As in `stylize`.
        styles: As in `stylize`.
        **settings: As in `stylize`.

    Returns:
        An iterator of `descent.Step`; the last one's image is the result, but
        for what comes last: the content's chroma, and what is kept of it.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting, or it is of another type.
        MemoryError: If there is not enough for the smallest tiles.
        FloatingPointError: As it is read, if evaluations give no numbers any
            more.
    """
    request, prepared = preparation.prepare_images(content, styles, settings)
    return start_steps(request, prepared)


def start_steps(
    request: settings.Job, prepared: inputs.Inputs
) -> "Generator[descent.Step, None, None]":
    """The steps of a job that decides itself what it starts with."""
    begun = startup.start(request, prepared)
    _warn_of_emulation(request)
    return run_steps(
        begun.request, prepared, begun.state, strategy=begun.strategy
    )


def run_job(request: settings.Job) -> Result:
    """Makes the picture of a request, from file to file.

    Of several processes that share it, the first writes it.

    Raises:
        ValueError: If a file or a setting is not as it should be.
        OSError: If the output cannot be written.
        MemoryError: If there is not enough for the smallest tiles.
        FloatingPointError: If evaluations give no numbers any more.
    """
    for name, field in settings.FIELDS.items():
        default = getattr(request, name) == field.default
        if name in settings.PROGRAM_SETTINGS and not default:
            raise ValueError(f"{name} is for the program, not for run_job.")
    start = time.monotonic()
    asked = request
    request, path, prepared = preparation.prepare_files(asked)
    preparation.warn_notes(prepared)
    request, state, strategy = startup.start(request, prepared)
    _warn_of_emulation(request)
    taken = resume.read_steps_taken(state, prepared)
    for step in run_steps(request, prepared, state, strategy=strategy):
        taken[step.level] = step.index
    made = results.Provenance(asked, request, prepared, taken, start)
    if replicas.is_writer():
        path = results.save(path, made, step).path
    return Result(path, time.monotonic() - start, results.read_losses(step))


def run_steps(
    request: settings.Job,
    prepared: inputs.Inputs,
    start: "descent.State | None" = None,
    *,
    say: Callable[[str], None] = warnings.warn,
    began: float | None = None,
    fixed_steps: Sequence[int] | None = None,
    kept: "dict[Hashable, extractors.Extractor] | None" = None,
    strategy: "tf.distribute.Strategy | None" = None,
) -> "Generator[descent.Step, None, None]":
    """Runs the method on prepared inputs; the work starts with the first.

    Args:
        request: The job; with a `checkpoint_dir`, checkpoints are saved there.
        prepared: What it needs.
        start: A checkpoint to go on from, as `resume.find_checkpoint` finds it.
        say: Is told, in a line, of a checkpoint that could not be saved.
        began: When the run began, by `time.monotonic`, for its `max_seconds`;
            now if None.
        fixed_steps: Steps to take at each level, as a run before took them.
        kept: Networks of jobs before, and what they saw: taken and added to.
        strategy: Of the devices that share the picture; None: one works alone.
    """
    began = time.monotonic() if began is None else began
    device.prepare()
    from nst_tf.transfer import method

    plateau = stopping.Plateau(request.tolerance, start)
    options = make_method_options(request, prepared.network)
    if kept is not None:
        options["make_extractor"] = functools.partial(
            _kept, options["make_extractor"], request, kept
        )
    if conventions.CONVENTIONS[request.convention].scaled:
        options["make_optimizer"] = functools.partial(
            _shorter, options["make_optimizer"], request, prepared.levels
        )
    should_continue = (
        make_stop_rule(request, prepared, began, plateau)
        if fixed_steps is None
        else stopping.FixedSteps(fixed_steps)
    )
    side = tile_size.TileSize(request, prepared.levels, say)
    exhausted = side.halve
    if strategy and replicas.count_workers() > 1:
        should_continue, exhausted = (
            _together(strategy, should_continue),
            _never,
        )
    steps = method.stylize_steps(
        prepared.seen,
        [],
        regions=_regions(request, prepared),
        keep=prepared.keep,
        alpha=prepared.content.alpha,
        levels=prepared.levels,
        init=prepared.init,
        start=start,
        should_continue=should_continue,
        tile=side.get,
        exhausted=exhausted,
        strategy=strategy,
        recompute=request.content_target == "recompute",
        **options,
    )
    if not request.checkpoint_dir or not replicas.is_writer():
        return steps
    return resume.save_checkpoints(
        steps, request, prepared, say, plateau.arrays, start
    )


def _together(
    strategy: "tf.distribute.Strategy", should_continue: "descent.StopRule"
) -> "descent.StopRule":
    """Goes on where every process would, by its clock and its picture."""
    return lambda level, step: replicas.agree(
        strategy, should_continue(level, step)
    )


def _never(height: int, width: int) -> bool:
    """Says that no step is taken again: other processes would not know."""
    return False


def _kept(
    make: "Callable[[Sequence[str]], extractors.Extractor]",
    request: settings.Job,
    kept: "dict[Hashable, extractors.Extractor]",
    layers: Sequence[str],
) -> "extractors.Extractor":
    """Makes a network that remembers what it saw, or takes it from `kept`."""
    network = [
        getattr(request, name)
        for name in settings.FIELDS
        if name in settings.NETWORK_SETTINGS
    ]
    key = (tuple(layers), *network)
    if key not in kept:
        kept[key] = make(layers)._replace(cache={})
    return kept[key]


def estimate_seconds(
    request: settings.Job, prepared: inputs.Inputs, devices: int = 1
) -> float:
    """Times some steps of a job on a small picture: what all of it will take.

    Args:
        request: The job.
        prepared: What it is made from.
        devices: How many share the picture.
    """
    height, width, _ = prepared.levels[-1]
    size = sizes.scale_to_side(height, width, min(PROBE, max(height, width)))
    small = prepared._replace(
        levels=[pyramid.Level(*size, PROBE_STEPS)],
        init=image_io.resize(prepared.init, *size),
    )
    quick = dataclasses.replace(
        request, checkpoint_dir="", max_seconds=0.0, tolerance=0.0, tile=0
    )
    times = [time.monotonic()]
    for step in run_steps(quick, small):
        float(step.evaluation.loss)  # waits for the device
        times.append(time.monotonic())
    trace, *steps = np.diff(times)
    seconds = min(steps) / small.levels[0].work
    return sum(
        trace
        + level.steps
        * level.work
        * seconds
        * tile_size.estimate_cost(request, level, devices)
        for level in prepared.levels
    )


def make_stop_rule(
    request: settings.Job,
    prepared: inputs.Inputs,
    began: float,
    plateau: stopping.Plateau,
) -> "descent.StopRule":
    """What ends a level of a job before all its steps are taken."""
    rules: list[descent.StopRule] = []
    if request.tolerance:
        rules.append(plateau)
    if request.max_seconds:
        rules.append(
            stopping.TimeBudget(prepared.levels, request.max_seconds, began)
        )
    return lambda level, step: all([each(level, step) for each in rules])


def make_method_options(
    request: settings.Job, network: weight_files.NetworkWeights
) -> dict[str, Any]:
    """Maps a job to the keywords of `method.stylize_steps`."""
    from nst_tf.network import extractors

    convention = conventions.CONVENTIONS[request.convention]
    return {
        "weights": make_loss_weights(request),
        "convention": convention,
        "style_loss": request.style_loss,
        "style_fit": request.style_fit,
        "make_extractor": functools.partial(
            extractors.vgg,
            request.extractor,
            network_weights=network.layers,
            projections=network.projections,
            pooling=request.pooling,
            padding=request.padding,
            dtype=device.resolve_precision(request.precision),
        ),
        "make_optimizer": functools.partial(_optimizer, request),
    }


def _optimizer(
    request: settings.Job, image: "tf.Variable", **changed: Any
) -> "base.Optimizer":
    """Makes the optimizer of a level's image, by the settings of a job."""
    convention = conventions.CONVENTIONS[request.convention]
    size: Any = tuple(image.shape[1:3])
    kind = optimizers.OPTIMIZERS[schedule.choose_optimizer(request, max(size))]
    chosen = {
        **{name: getattr(request, name) for name in kind.settings},
        **{name: getattr(convention, name) for name in kind.conventions},
    }
    made: base.Optimizer = kind.load()(image, **{**chosen, **changed})
    return made


def _shorter(
    make: "Callable[..., base.Optimizer]",
    request: settings.Job,
    levels: Sequence[pyramid.Level],
    image: "tf.Variable",
) -> "base.Optimizer":
    """Makes an optimizer; on large levels above others its steps are shorter.

    With steps as long as below, a picture at 1024 forgets what it was at 512,
    and ends at higher losses of style and of content
    (scripts/benchmarks/consistency.py).
    """
    size: Any = tuple(image.shape[1:3])
    coarsest = levels[0][:2] == size and not request.continue_from
    if max(size) <= pyramid.LARGE or coarsest:
        return make(image)
    rate = pyramid.LARGE_RATE * request.learning_rate
    return make(image, learning_rate=rate)


def make_loss_weights(request: settings.Job) -> "targets.LossWeights":
    """Shares the weights of a job among its layers: the first style's."""
    from nst_tf.transfer import targets

    return targets.LossWeights(
        _share_weight(
            settings.parse_layers(request.content_layers),
            request.content_weight,
        ),
        _share_weight(
            settings.parse_layers(request.style_layers[0]), request.style_weight
        ),
        request.tv_weight,
    )


def _regions(
    request: settings.Job, prepared: inputs.Inputs
) -> "list[targets.Region]":
    """Lists a job's regions, with share, layers and scale of each style."""
    from nst_tf.transfer import targets

    count = len(prepared.styles)
    layers = [
        _share_weight(settings.parse_layers(text), request.style_weight)
        for text in settings.repeat_for_styles(
            request.style_layers, count, "style_layers"
        )
    ]
    return [
        targets.Region(
            [
                targets.Style(
                    style.pixels,
                    prepared.blend[index],
                    style.alpha,
                    layers[index],
                    prepared.scales[index],
                )
                for index, style in place.styles
                if prepared.blend[index]
            ],
            place.mask,
            place.name,
        )
        for place in prepared.places
    ]


def _warn_of_emulation(request: settings.Job) -> None:
    """Warns of emulated bfloat16; TensorFlow has to be prepared before."""
    if note := device.describe_emulation(request.precision):
        warnings.warn(note, stacklevel=3)


def _last(steps: "Iterator[descent.Step]") -> "descent.Step":
    """Reads to the last step; there is always one."""
    return collections.deque(steps, maxlen=1).pop()


def _share_weight(
    layers: Mapping[str, float], weight: float
) -> dict[str, float]:
    """Shares a weight among layers, in proportion to theirs."""
    total = sum(layers.values())
    return {layer: weight * share / total for layer, share in layers.items()}
