"""Scores a picture against its content and styles, with VGG19 in float32.

The scores do not depend on how the picture was made. TensorFlow is imported for
the first picture.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf import errors
from nst_tf.backend import device, host_memory, interrupts
from nst_tf.images import image_io, sizes, sources
from nst_tf.judge import distances, figures
from nst_tf.plan import (
    arrays,
    checks,
    planning,
    pyramid,
    settings,
    style_settings,
)

if TYPE_CHECKING:
    from nst_tf.losses import protocol

log = logging.getLogger("nst_tf")

# The settings of a job that a judge accepts. Pooling, padding and precision are
# fixed, so that scores are comparable.
SETTINGS = (
    *("extractor", "weights", "style_layers", "content_layers"),
    *("style_blend", "style_scale", "max_megapixels"),
)
SLACK = 2  # tolerance, in pixels, of a picture's aspect ratio
# Bytes of Python, TensorFlow and the network, and per pixel of a picture;
# measured at 512 to 2048 pixels.
BASE, PER_PIXEL = 0.9e9, 1450


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The scores of a picture; docs/judging.md has their formulas."""

    height: int  # pixels, when scored
    width: int
    style: float  # relative distance of Gram matrices, mean; 0 is the style
    style_by_layer: Mapping[str, float]  # the same at each layer
    moments: float  # relative distance of means and deviations, mean
    content: float  # relative distance of features; 0 is the content
    ssim: float  # structural similarity of luma to the content; 1 is equal
    chroma: float  # fine color detail relative to the style's; 1: equal
    border: float  # detail along the sides relative to the inside; 1: equal


class Subject(NamedTuple):
    """The inputs that a picture is scored against."""

    content: image_io.Picture
    styles: Sequence[image_io.Picture]
    shares: Sequence[float]  # of each style
    scales: Sequence[float]  # of each style's sides

    def fit(self, height: int, width: int) -> list[tuple[int, int]]:
        """Returns the (height, width) of each style, fitted to a picture."""
        fitted, size = [], (height, width)
        for style, scale in zip(self.styles, self.scales, strict=True):
            shape = style.pixels.shape
            fitted.append(
                style_settings.fit_size("keep", shape[0], shape[1], size, scale)
            )
        return fitted


class _Targets(NamedTuple):
    """The targets of a subject at one size."""

    key: Sequence[Any]  # from `_identify`
    subject: Subject  # keeps its arrays, and so their ids, alive
    losses: list[list["protocol.Loss"]]  # Gram matrices, moments, content
    content: image_io.Picture  # at that size
    energies: np.ndarray  # of the Laplacians of the styles, [3]


@errors.name_keywords()
def judge_image(
    image: arrays.ImageLike,
    content: arrays.ImageLike,
    styles: arrays.ImageLike | Sequence[arrays.ImageLike],
    *,
    size: int = 0,
    **settings: Any,
) -> Judgement:
    """Scores a picture against its content image and its style images.

    The content image is resized to the picture's size, and each style image to
    the same pixel count, with its aspect ratio. Several styles are blended
    equally. Transparent parts of content and styles are ignored. The network is
    VGG19 in float32, or that of `weights`; scores of different networks are not
    comparable.

    Args:
        image: The picture, from any tool: a path, an address, or an RGB array,
            [H, W, 3], of uint8 or of floats in [0, 1]. It must have the
            content's aspect ratio.
        content: The content image, in the same forms; alpha is allowed.
        styles: One style image or several, in the same forms; a folder counts
            as one.
        size: Maximum long side, in pixels; larger pictures are reduced before
            scoring. 0: no limit.
        **settings: Fields of `Job`: extractor, weights, style_layers (of all
            styles), content_layers, style_blend, style_scale, max_megapixels.

    Returns:
        The scores: style, moments and content distance, SSIM, chroma, border.

    Raises:
        ValueError: If an image or a setting is invalid.
        TypeError: If a setting is unknown or has the wrong type.
        MemoryError: If the picture is too large for the memory.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016; Wang, Bovik, Sheikh, Simoncelli 2004 (SSIM).
    """
    judge = Judge(settings, size=size)
    picture = arrays.as_picture(image, "judged", judge.job.max_megapixels)
    subject = judge.read_subject(content, styles)
    for each in (picture, subject.content, *subject.styles):
        for note in each.notes:
            log.info(note)
    return judge.judge(picture, subject)


def choose_settings(job: settings.Job) -> dict[str, Any]:
    """Chooses the settings of a judge for the pictures of a job."""
    return {
        "extractor": job.extractor,
        "weights": job.weights,
        "style_layers": job.style_layers[:1],
        "content_layers": job.content_layers,
    }


def make_subject(plan: planning.Plan) -> Subject:
    """Makes the subject that the picture of a plan is scored against."""
    read, job = plan.inputs, settings.Job(**plan.settings)
    shares = style_settings.list_shares(job, len(read.styles))
    scales = style_settings.compute_scales(job, read.styles, plan.levels[-1])
    return Subject(read.content, read.styles, shares, scales)


class Judge:
    """A network that scores pictures, with the targets of the last subject.

    Args:
        chosen: Settings, of `SETTINGS`.
        size: As in `judge_image`.

    Raises:
        ValueError: If a setting is invalid, or weights are missing.
        TypeError: If a setting is unknown or has the wrong type.
    """

    def __init__(self, chosen: Mapping[str, Any], *, size: int = 0):
        for name in chosen:
            if name not in SETTINGS:
                raise TypeError(
                    f"{name} is not a setting of judge_image"
                    + errors.go_on(
                        errors.did_you_mean(name, SETTINGS),
                        f"expected {errors.list_choices(SETTINGS)}.",
                    )
                )
        if not 0 <= size <= settings.LARGEST_SIZE:
            raise ValueError(
                f"--size is {size}; expected 0 (the picture's own size) to "
                f"{settings.LARGEST_SIZE}."
            )
        job = settings.Job(style_loss="gram", **chosen)
        checks.check(job)
        self.job = style_settings.choose_losses(job)
        if len(self.job.style_layers) > 1:
            raise ValueError(
                f"--style_layers is given {len(self.job.style_layers)} times, "
                "but all styles are scored at the same layers; give it once."
            )
        self._size = size
        self._network = distances.Network(self.job)
        self.network = self._network.weights
        self._targets: _Targets | None = None

    def read_subject(
        self,
        content: arrays.ImageLike,
        styles: arrays.ImageLike | Sequence[arrays.ImageLike],
    ) -> Subject:
        """Reads the content and style images, as `judge_image` accepts them.

        Raises:
            ValueError: If an image cannot be read, or the number of a setting's
                values and of styles differ.
        """
        several = styles if isinstance(styles, (list, tuple)) else [styles]
        if not several:
            raise ValueError("no style image; pass at least one.")
        parts = sources.expand_folders(several)
        job = style_settings.repeat_settings(self.job, list(map(len, parts)))
        pictures = [
            arrays.as_picture(each, "style", job.max_megapixels)
            for part in parts
            for each in part
        ]
        return Subject(
            arrays.as_picture(content, "content", job.max_megapixels),
            pictures,
            style_settings.list_shares(job, len(pictures)),
            settings.repeat_for_styles(
                job.style_scale, len(pictures), "style_scale"
            ),
        )

    def check(
        self, image: image_io.Picture, subject: Subject, name: str = "picture"
    ) -> None:
        """Checks that a picture can be scored; `name` is its name in errors.

        Raises:
            ValueError: If it is too small, or has another aspect ratio than the
                content.
            MemoryError: If it is too large for the memory.
        """
        height, width = image.pixels.shape[:2]
        rows, columns = subject.content.pixels.shape[:2]
        scaled = sizes.scale_to_side(rows, columns, max(height, width))
        is_near = max(abs(height - scaled[0]), abs(width - scaled[1])) <= SLACK
        if not is_near and not pyramid.is_size_of(rows, columns, height, width):
            raise ValueError(
                f"{name} is {width} x {height} pixels, but the content image "
                f"is {columns} x {rows}, which would be {scaled[1]} x "
                f"{scaled[0]}; crop one of them to the same aspect ratio."
            )
        height, width = self._find_size(height, width)
        sides = [(name, height, width)]
        sides += [("style image", *s) for s in subject.fit(height, width)]
        smallest = max(self._network.stride, figures.WINDOW)
        for title, rows, columns in sides:
            if min(rows, columns) < smallest:
                raise ValueError(
                    f"{title} would be scored at {columns} x {rows} pixels; "
                    f"expected at least {smallest} x {smallest}. Use a larger "
                    "one."
                )
        largest = max(1.0, *(scale**2 for scale in subject.scales))
        needed = BASE + PER_PIXEL * largest * height * width
        limit = host_memory.find_limit()
        if limit and needed > limit:
            raise MemoryError(
                f"scoring {name} at {width} x {height} pixels needs about "
                f"{needed / 1e9:.1f} GB, but only {limit / 1e9:.1f} GB are "
                "free; reduce it with size, such as --size=1024."
            )

    def judge(
        self, image: image_io.Picture, subject: Subject, name: str = "picture"
    ) -> Judgement:
        """Scores a picture; ignores its alpha channel.

        The targets of the subject are cached for the next picture of this size.

        Raises:
            ValueError: As `check`.
            MemoryError: As `check`, or if it runs out of memory.
        """
        self.check(image, subject, name)
        height, width = self._find_size(*image.pixels.shape[:2])
        pixels = image_io.resize(image.pixels, height, width)
        network = self._network
        device.prepare()
        try:
            with interrupts.keep(), distances.disable_tf32():
                known = self._find_targets(subject, height, width)
                measured = network.measure(pixels, known.losses)
        except Exception as error:
            if not device.is_out_of_memory(error):
                raise
            raise MemoryError(
                f"out of memory; reduce {name}, of {width} x {height} pixels, "
                f"with size, such as --size=512."
            ) from error
        grams, moments, content = measured
        pair, alpha = (pixels, known.content.pixels), known.content.alpha
        luma, other = (figures.to_ycbcr(each)[..., 0] for each in pair)
        energies = figures.measure_laplacian(pixels, alpha)
        return Judgement(
            height,
            width,
            distances.average(grams, network.style_layers),
            grams,
            distances.average(moments, network.style_layers),
            distances.average(content, network.content_layers),
            figures.compute_ssim(luma, other, alpha),
            figures.compare_chroma(energies, known.energies),
            figures.compare_border(luma, alpha),
        )

    def _find_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the (height, width) at which a picture is scored."""
        if 0 < self._size < max(height, width):
            return sizes.scale_to_side(height, width, self._size)
        return height, width

    def _find_targets(
        self, subject: Subject, height: int, width: int
    ) -> _Targets:
        """Returns the targets of a subject at a size, cached or computed."""
        key = _identify(subject, height, width)
        if self._targets and self._targets.key == key:
            return self._targets
        self._targets = None  # free memory for the new ones
        content = image_io.resize_picture(subject.content, height, width)
        self._targets = _Targets(
            key,
            subject,
            self._network.make_losses(subject, height, width),
            content,
            _measure_styles(subject, height, width),
        )
        return self._targets


def _measure_styles(subject: Subject, height: int, width: int) -> np.ndarray:
    """Averages the Laplacian energies of the styles by their shares, [3]."""
    energies = []
    fitted = subject.fit(height, width)
    for style, size in zip(subject.styles, fitted, strict=True):
        seen = image_io.resize_picture(style, *size)
        energies.append(figures.measure_laplacian(seen.pixels, seen.alpha))
    return np.average(energies, axis=0, weights=subject.shares)


def _identify(subject: Subject, height: int, width: int) -> list[Any]:
    """Returns the cache key of targets: arrays, shares, scales and size."""
    pictures = [subject.content, *subject.styles]
    arrays = [id(each) for p in pictures for each in (p.pixels, p.alpha)]
    return [arrays, [*subject.shares], [*subject.scales], height, width]
