"""A job and its pictures -> the plan: all that a run needs, decided.

`make_plan` is a pure function of the job, the pictures as they were read, and
the machine. Nothing below this room looks at a job, a flag or a default.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nst_tf.images import color, image_io, sizes
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures
from nst_tf.plan import (
    checks,
    inputs,
    memory,
    pyramid,
    schedule,
    settings,
    style_regions,
    style_settings,
    tile_size,
)


class Machine(NamedTuple):
    """What a plan depends on besides the job and the pictures."""

    precision: str = "float32"  # the type that "auto" stands for
    memory: float | None = None  # bytes that a run may take; None: unknown
    devices: int = 1  # that share the picture, on all machines
    host: float | None = None  # bytes beside those of a GPU; None: unknown
    is_gpu: bool = False


class Init(NamedTuple):
    """How a run starts; `initial.make_initial_image` makes the array."""

    word: str = "content"  # or style, gray, mean, noise, picture, smaller
    seed: int = 0
    noise: float = 0.0  # share of it
    picture: Any = None  # [H, W, 3], of "style", "picture" and "smaller"


class NetworkSpec(NamedTuple):
    """The network that sees the pictures."""

    name: str = "vgg19"
    pooling: str = "average"
    padding: str = "symmetric_first"
    precision: str = "float32"  # type that it computes in
    convolution: str = "direct"  # or winograd; in a draft also auto
    fallback: str = ""  # precision from a step that overflows on; "": the same


class Tiling(NamedTuple):
    """How an image that is too large for memory is worked on."""

    side: int = 0  # of a square of as many pixels as a tile has; 0: no tiles
    content_target: str = "auto"  # or keep, recompute
    memory: float | None = None  # bytes that the run may take; None: unknown
    devices: int = 1  # that share the tiles; in a draft as asked, 0: all


class StopSettings(NamedTuple):
    """When a run ends before all its steps are taken."""

    seconds: float = 0.0  # that it may take; 0: no limit
    reserve: float = 0.0  # of them for what follows the last step
    tolerance: float = 0.0  # change in a step, below which a level ends
    steps: Sequence[int] | None = None  # exactly so many at each level

    @property
    def may_end_early(self) -> bool:
        """Whether fewer steps may be taken than the levels have."""
        return bool(self.seconds or self.tolerance or self.steps)


class Checkpoints(NamedTuple):
    """Where checkpoints are saved, and how often."""

    folder: str = ""  # empty: none
    every: settings.Interval = settings.Interval(0, 60.0)
    resume: str = "auto"  # or never, require


class FileOptions(NamedTuple):
    """How the picture is written."""

    bit_depth: int = 8
    quality: int = 95
    dpi: float = 0.0  # 0: as the content image's file says
    keep_location: bool = False
    mark: bool = True
    record_paths: bool = False
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that a run needs.

    Attributes:
        inputs: The pictures and network weights, as they were read.
        content: The content image as the losses see it, [H, W, 3] in [0, 1].
        levels: Sizes from coarse to fine, with steps and optimizer.
        content_weights: Weight of the content loss, by layer.
        regions: Parts of the image with their styles; none: no style counts.
        neighbors: Weight of the loss of nearest neighbors beside it, by layer.
        grain_weight: Weight of the loss of grain.
        tv_weight: Weight of the total variation.
        layers: Every layer that the job names, whatever its weight.
        extra_layers: Layers that losses of the caller look at.
        convention: What losses are divided by.
        style_loss: Key of the table of style losses.
        style_fit: How style images are resized.
        keep: How much of the content image stays, [H, W] in [0, 1]; None: none.
        init: How to start.
        transfers_chroma: Whether the result gets the content's chroma.
        network: Which network sees the pictures.
        tiling: How it is worked on in tiles.
        stop: When it ends early.
        checkpoints: Where it is saved on the way.
        file: How the result is written.
        settings: Each setting that is recorded or makes a job this one, as it
            was decided.
        notes: What was decided that the user should know.
    """

    inputs: inputs.Inputs
    content: np.ndarray
    levels: Sequence[pyramid.Level]
    content_weights: Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )
    regions: Sequence[style_regions.Region] = ()
    neighbors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    grain_weight: float = 0.0
    tv_weight: float = 0.0
    layers: Sequence[str] = ()
    extra_layers: Sequence[str] = ()
    convention: conventions.Convention = conventions.CONVENTIONS["relative"]
    style_loss: str = "gram"
    style_fit: str = "keep"
    keep: np.ndarray | None = None
    init: Init = dataclasses.field(default_factory=Init)
    transfers_chroma: bool = False
    network: NetworkSpec = dataclasses.field(default_factory=NetworkSpec)
    tiling: Tiling = dataclasses.field(default_factory=Tiling)
    stop: StopSettings = dataclasses.field(default_factory=StopSettings)
    checkpoints: Checkpoints = dataclasses.field(default_factory=Checkpoints)
    file: FileOptions = dataclasses.field(default_factory=FileOptions)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result."""
        return self.levels[-1].size

    @property
    def deepest(self) -> architectures.Convolution:
        """The last convolution that the losses need."""
        return architectures.find_deepest(self.network.name, self.layers)


def draft_plan(job: settings.Job, read: inputs.Inputs) -> Plan:
    """Decides everything but what depends on the machine.

    Args:
        job: The job.
        read: Its pictures; the network is not needed yet.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
        TypeError: If a setting is of another type.
    """
    job = decide_settings(job, read)
    others = {n: read.others[n] for n in inputs.list_named_pictures(job)}
    read = read._replace(others=others)
    content, styles = read.content, read.styles
    if not styles and (job.style_weight or job.init == "style"):
        raise ValueError("no style image; name one with --style=PICTURE.")
    kind = style_kinds.STYLE_LOSSES[job.style_loss]
    neighbors = settings.share_weight(
        job.neighbors_layers, job.style_weight * job.neighbors_weight
    )
    texts = [job.content_layers, *job.style_layers]
    if kind.beside:
        texts.append(job.neighbors_layers)
    layers = [each for text in texts for each in settings.parse_layers(text)]
    deepest = architectures.find_deepest(job.extractor, layers)
    for name, picture in [
        ("content", content),
        *(("style", s) for s in styles),
    ]:
        checks.check_image(picture.pixels, name, deepest)
    levels = _make_levels(job, read, deepest)
    seen = content.pixels
    if job.color == "luminance":
        seen = color.to_gray(seen)
    painted, clipped = style_regions.find_regions(job, content, styles, others)
    keep = (
        style_regions.read_keep_mask(content, others) if job.keep_mask else None
    )
    scales = style_settings.compute_scales(job, styles, levels[-1])
    style_settings.check_fits(job, styles, scales, levels[0], deepest)
    return Plan(
        inputs=read,
        content=seen,
        levels=levels,
        content_weights=settings.share_weight(
            job.content_layers, job.content_weight
        ),
        regions=style_regions.weigh_styles(job, painted, scales),
        neighbors=neighbors if kind.beside else {},
        grain_weight=job.style_weight * job.grain_weight,
        tv_weight=job.tv_weight,
        layers=layers,
        convention=conventions.CONVENTIONS[job.convention],
        style_loss=job.style_loss,
        style_fit=job.style_fit,
        keep=keep,
        init=_choose_init(job, others, painted),
        transfers_chroma=job.color in ("content", "luminance"),
        network=NetworkSpec(
            job.extractor,
            *(getattr(job, name) for name in NetworkSpec._fields[1:5]),
        ),
        tiling=Tiling(
            job.tile, job.content_target, 1e9 * job.memory or None, job.devices
        ),
        stop=StopSettings(job.max_seconds, tolerance=job.tolerance),
        checkpoints=Checkpoints(
            job.checkpoint_dir,
            settings.parse_interval(job.checkpoint_every),
            job.resume,
        ),
        file=FileOptions(*(getattr(job, name) for name in FileOptions._fields)),
        settings={
            name: getattr(job, name)
            for name in settings.FIELDS
            if name in settings.RECORDED | settings.IDENTITY
        },
        notes=[
            *style_regions.describe_resized(content, styles, others),
            *[
                f"{clipped:.2%} of the style's values are clipped, with the "
                f"content's colors"
            ]
            * bool(clipped),
        ],
    )


def fit_plan(draft: Plan, machine: Machine) -> Plan:
    """Decides what depends on the machine: precision and tiles.

    Args:
        draft: What `draft_plan` made; its inputs have the network.
        machine: What computes.

    Raises:
        MemoryError: If there is not enough for the smallest tiles.
        ValueError: If the tiles that were asked for are too small, the picture
            cannot be worked on in tiles, or convolutions not in the precision.
    """
    memory.check_host(*draft.size, machine.host)
    network, tiling = draft.network, draft.tiling
    if network.precision == "auto":
        network = network._replace(precision=machine.precision)
        if machine.precision == "float16":
            network = network._replace(fallback="float32")
    choose = architectures.choose_convolution
    how = choose(network.convolution, network.precision, machine.is_gpu)
    network = network._replace(convolution=how)
    if tiling.memory is None:
        tiling = tiling._replace(memory=machine.memory)
    tiling = tiling._replace(devices=machine.devices)
    return tile_size.fit_tiles(
        dataclasses.replace(draft, network=network, tiling=tiling)
    )


def make_plan(job: settings.Job, read: inputs.Inputs, machine: Machine) -> Plan:
    """Decides all of a run before it is computed: a draft, fitted.

    Raises:
        MemoryError, ValueError, TypeError: As `draft_plan` and `fit_plan`.
    """
    return fit_plan(draft_plan(job, read), machine)


def decide_settings(job: settings.Job, read: inputs.Inputs) -> settings.Job:
    """Decides the settings that others stand for: size, weights, shares.

    The print size becomes a size in pixels, the strength weights and levels,
    and a folder of styles one style for each of its pictures.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
        TypeError: If a setting is of another type.
    """
    checks.check(job)
    job = style_settings.choose_losses(job)
    job = schedule.resolve_print_size(job, read.content)
    job = schedule.apply_strength(job)
    job = style_settings.repeat_settings(job, read.counts)
    checks.check(job)
    return job


def _make_levels(
    job: settings.Job, read: inputs.Inputs, deepest: architectures.Convolution
) -> list[pyramid.Level]:
    """Lists the levels of a job, those above a smaller run's picture."""
    rows, columns = read.content.pixels.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, job.size)
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"size is {job.size}, so that the output would be {width} x "
            f"{height} pixels, but {deepest.name} needs at least "
            f"{deepest.stride} x {deepest.stride}; raise the size, or the dpi "
            f"of a print."
        )
    levels = schedule.list_levels(job, height, width)
    if job.continue_from:
        smaller = read.others["continue_from"].pixels.shape[:2]
        levels = pyramid.select_above(levels, (rows, columns), smaller)
    return schedule.choose_optimizers(job, levels)


def _choose_init(
    job: settings.Job,
    others: Mapping[str, image_io.Picture],
    painted: Sequence[style_regions.StyleRegion],
) -> Init:
    """Says how a run starts."""
    if job.continue_from:
        return Init("smaller", picture=others["continue_from"].pixels)
    word, picture = job.init, None
    if not settings.is_keyword("init", word):
        word, picture = "picture", others["init"].pixels
        checks.check_shape(picture, "init")
    elif word == "style":
        picture = painted[0].styles[0][1].pixels
    return Init(word, job.seed, job.init_noise, picture)
