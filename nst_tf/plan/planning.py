"""Makes the plan of a run from a job and its pictures.

`make_plan` is a pure function of the job, its input pictures and the machine.
No module below this room reads a job, a flag or a default.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nst_tf.images import color, image_io
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures, weight_files
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

FILM_SECONDS = 4.0  # to write a film of 100 frames of 512 x 512, about


class Machine(NamedTuple):
    """The properties of the machine that a plan depends on."""

    precision: str = "float32"  # the data type for "auto"
    memory: float | None = None  # bytes that a run may take; None: unknown
    devices: int = 1  # number of devices, on all machines
    host: float | None = None  # main memory in bytes, with a GPU; None: unknown
    is_gpu: bool = False


class Init(NamedTuple):
    """The kind of initial image; `initial.make_initial_image` makes it."""

    word: str = "content"  # or style, gray, mean, noise, picture, smaller
    seed: int = 0
    noise: float = 0.0  # share of noise, in [0, 1]
    picture: Any = None  # [H, W, 3], for style, picture, smaller


class NetworkSpec(NamedTuple):
    """The network that computes the features."""

    name: str = "vgg19"
    pooling: str = "average"
    padding: str = "symmetric_first"
    precision: str = "float32"  # data type of the network
    convolution: str = "direct"  # or winograd; auto only in a draft
    fallback: str = ""  # precision after an overflow; "": unchanged


class Tiling(NamedTuple):
    """The tiling of an image that is too large for memory."""

    side: int = 0  # a tile has at most side x side pixels; 0: no tiles
    content_target: str = "auto"  # or keep, recompute
    memory: float | None = None  # bytes that the run may take; None: unknown
    devices: int = 1  # that share the tiles; 0, only in a draft: all


class StopSettings(NamedTuple):
    """The rules that end a run before its last step."""

    seconds: float = 0.0  # time limit; 0: none
    reserve: float = 0.0  # seconds of the limit kept for saving
    tolerance: float = 0.0  # a level ends when steps change less; 0: never
    steps: Sequence[int] | None = None  # exact steps of each level

    @property
    def may_end_early(self) -> bool:
        """Returns whether a run may take fewer steps than its levels have."""
        return bool(self.seconds or self.tolerance or self.steps)


class Checkpoints(NamedTuple):
    """The folder and the interval of checkpoints."""

    folder: str = ""  # empty: none
    every: settings.Interval = settings.Interval(0, 60.0)
    resume: str = "auto"  # or never, require


class FileOptions(NamedTuple):
    """Options of the output file."""

    bit_depth: int = 8
    quality: int = 95
    dpi: float = 0.0  # 0: the value of the content image's file
    keep_location: bool = False
    mark: bool = True
    record_paths: bool = False
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """All decisions that a run needs.

    Attributes:
        inputs: The pictures and network weights, as read from files.
        content: The content image of the losses, [H, W, 3] in [0, 1].
        levels: Sizes from coarse to fine, with steps and optimizer.
        content_weights: Weight of the content loss, by layer.
        regions: Parts of the image with their styles; empty: no style loss.
        neighbors: Weight of the nearest-neighbor loss, by layer.
        grain_weight: Weight of the grain loss.
        tv_weight: Weight of total variation.
        prior_weights: Weight of each prior of pixels, by its name.
        layers: Every layer that the job names, even at a weight of 0.
        extra_layers: Layers that the caller's extra losses read.
        convention: The normalization of losses.
        style_loss: Key of the table of style losses.
        scales: Number of scales of the style loss, at the last level.
        normalizes: Whether the gradient of each loss is normalized.
        style_fit: How style images are resized.
        keep: Opacity of the kept content image, [H, W]; None: nothing kept.
        init: The kind of initial image.
        chroma: Share of the content's chroma in the result, [H, W], or [1, 1]
            if it is the same everywhere; None: none.
        network: The network that computes the features.
        tiling: The tiles of a large image.
        stop: The rules that end a run early.
        checkpoints: The folder and the interval of checkpoints.
        file: Options of the output file.
        settings: The settings that are recorded or part of a job's identity.
        notes: Notes for the user on these decisions.
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
    prior_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    layers: Sequence[str] = ()
    extra_layers: Sequence[str] = ()
    convention: conventions.Convention = conventions.CONVENTIONS["relative"]
    style_loss: str = "gram"
    scales: int = 1
    normalizes: bool = False
    style_fit: str = "keep"
    keep: np.ndarray | None = None
    init: Init = dataclasses.field(default_factory=Init)
    chroma: np.ndarray | None = None
    network: NetworkSpec = dataclasses.field(default_factory=NetworkSpec)
    tiling: Tiling = dataclasses.field(default_factory=Tiling)
    stop: StopSettings = dataclasses.field(default_factory=StopSettings)
    checkpoints: Checkpoints = dataclasses.field(default_factory=Checkpoints)
    file: FileOptions = dataclasses.field(default_factory=FileOptions)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Returns the (height, width) of the result."""
        return self.levels[-1].size

    @property
    def deepest(self) -> architectures.Convolution:
        """Returns the deepest convolution."""
        return architectures.find_deepest(self.network.name, self.layers)

    def add_weights(self, weights: weight_files.NetworkWeights) -> "Plan":
        """Adds the network weights, which are read after all other checks."""
        read, kept = self.inputs._replace(network=weights), self.checkpoints
        if weights.is_missing:  # a run with random ones cannot be resumed
            kept = Checkpoints()
        return dataclasses.replace(self, inputs=read, checkpoints=kept)


def draft_plan(job: settings.Job, read: inputs.Inputs) -> Plan:
    """Decides everything that does not depend on the machine.

    Args:
        job: The job.
        read: The pictures of the job; the network weights may be missing.

    Raises:
        ValueError: If a setting or a picture is invalid.
        TypeError: If a setting has the wrong type.
    """
    checks.check(job)  # the caller may bring inputs of its own
    job = _decide_settings(job, read)
    others = {n: read.others[n] for n in inputs.list_named_pictures(job)}
    read = read._replace(others=others)
    content, styles = read.content, read.styles
    if not styles and (job.style_weight or job.init == "style"):
        raise ValueError("no style image; pass one with --style=PICTURE.")
    kind = style_kinds.STYLE_LOSSES[job.style_loss]
    neighbors = settings.share_weight(
        job.neighbors_layers, job.style_weight * job.neighbors_weight
    )
    texts = [job.content_layers, *job.style_layers]
    if kind.beside:
        texts.append(job.neighbors_layers)
    layers = architectures.list_layers(
        each for text in texts for each in settings.parse_layers(text)
    )
    deepest = architectures.find_deepest(job.extractor, layers)
    checks.check_image(content.pixels, "content", deepest)
    for style in styles:
        checks.check_image(style.pixels, "style", deepest)
    levels = schedule.plan_levels(job, read, deepest)
    seen = content.pixels
    if "luminance" in settings.split_choices(job.color):
        seen = color.to_gray(seen)
    found = style_regions.find_regions(job, content, styles, others)
    keep = (
        style_regions.read_keep_mask(content, others) if job.keep_mask else None
    )
    scales = style_settings.compute_scales(job, styles, levels[-1])
    style_settings.check_fits(job, styles, scales, levels[0], deepest)
    reserve = FILM_SECONDS if job.timelapse else 0.0
    return Plan(
        inputs=read,
        content=seen,
        levels=levels,
        content_weights=settings.share_weight(
            job.content_layers, job.content_weight
        ),
        regions=style_regions.weigh_styles(job, found.regions, scales),
        neighbors=neighbors if kind.beside else {},
        grain_weight=job.style_weight * job.grain_weight,
        tv_weight=job.tv_weight,
        prior_weights={
            "l2_prior": job.l2_weight,
            "range_prior": job.range_weight,
        },
        layers=layers,
        convention=conventions.CONVENTIONS[job.convention],
        style_loss=job.style_loss,
        scales=style_settings.count_scales(
            job, styles, scales, levels, deepest
        ),
        normalizes=job.normalize_gradients,
        style_fit=job.style_fit,
        keep=keep,
        init=_choose_init(job, others, found.regions),
        chroma=found.chroma,
        network=NetworkSpec(
            job.extractor,
            *(getattr(job, name) for name in NetworkSpec._fields[1:5]),
        ),
        tiling=Tiling(
            job.tile, job.content_target, 1e9 * job.memory or None, job.devices
        ),
        stop=StopSettings(job.max_seconds, reserve, job.tolerance),
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
                f"{found.clipped:.2%} of the style's values were clipped, in "
                "the content's colors"
            ]
            * bool(found.clipped),
        ],
    )


def fit_plan(draft: Plan, machine: Machine) -> Plan:
    """Decides the precision and the tiles, which depend on the machine.

    Args:
        draft: The plan of `draft_plan`, whose inputs include the network.
        machine: The machine to compute on.

    Raises:
        MemoryError: If the memory is too small for the smallest tiles.
        ValueError: If the requested tiles are too small, a loss cannot be
            computed tile by tile, or the convolution does not support the
            precision.
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
    limit = machine.memory if tiling.memory is None else tiling.memory
    tiling = tiling._replace(memory=limit, devices=machine.devices)
    return tile_size.fit_tiles(
        dataclasses.replace(draft, network=network, tiling=tiling)
    )


def make_plan(job: settings.Job, read: inputs.Inputs, machine: Machine) -> Plan:
    """Makes the plan of a run: drafts it and fits it to the machine.

    Raises:
        MemoryError, ValueError, TypeError: As `draft_plan` and `fit_plan`.
    """
    return fit_plan(draft_plan(job, read), machine)


def _decide_settings(job: settings.Job, read: inputs.Inputs) -> settings.Job:
    """Replaces settings that stand for others: print size, strength, folders.

    A print size becomes a size in pixels. A strength becomes weights and
    levels. A folder of styles becomes one style per picture.
    """
    job = style_settings.choose_losses(job)
    job = schedule.resolve_print_size(job, read.content)
    job = schedule.apply_strength(job)
    return style_settings.repeat_settings(job, read.counts)


def _choose_init(
    job: settings.Job,
    others: Mapping[str, image_io.Picture],
    regions: Sequence[style_regions.StyleRegion],
) -> Init:
    """Chooses the kind of initial image."""
    if job.continue_from:
        return Init("smaller", picture=others["continue_from"].pixels)
    word, picture = job.init, None
    if not settings.is_keyword("init", word):
        word, picture = "picture", others["init"].pixels
        checks.check_shape(picture, "init")
    elif word == "style":
        picture = regions[0].styles[0][1].pixels
    return Init(word, job.seed, job.init_noise, picture)
