"""A picture, its content and its styles -> figures, by VGG19 in float32.

Nothing here depends on how the picture was made. TensorFlow is imported when
the first picture is judged.
"""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf import errors
from nst_tf.backend import device
from nst_tf.images import image_io, sizes, sources
from nst_tf.judge import figures
from nst_tf.network import architectures, weight_files
from nst_tf.plan import (
    checks,
    inputs,
    memory,
    pyramid,
    settings,
    style_settings,
)

if TYPE_CHECKING:
    from nst_tf.losses import protocol
    from nst_tf.network import extractors

# The settings of a job that a judge takes. Pooling, padding and precision are
# not among them, so that figures compare.
SETTINGS = (
    "extractor",
    "weights",
    "style_layers",
    "content_layers",
    "style_blend",
    "style_scale",
    "max_megapixels",
)
SLACK = 2  # pixels by which a picture's shape may differ from the content's
# Bytes: of Python, TensorFlow and the network, and for each pixel of a picture
# that the network sees as a whole; measured at 512 to 2048 pixels.
BASE, PER_PIXEL = 0.9e9, 1450


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The figures of a picture; docs/judging.md has their formulas."""

    height: int  # of the picture as it was judged, in pixels
    width: int
    style: float  # relative distance of Gram matrices, mean; 0 is the style
    style_by_layer: Mapping[str, float]  # the same at each layer
    moments: float  # relative distance of means and deviations, mean
    content: float  # relative distance of features; 0 is the content
    ssim: float  # structural similarity of luma to the content; 1 is equal
    chroma: float  # fine color detail over the style's; 1 is as much
    border: float  # detail along the sides over that beside it; 1 is even


class Subject(NamedTuple):
    """What a picture is judged against."""

    content: image_io.Picture
    styles: Sequence[image_io.Picture]
    shares: Sequence[float]  # of each style
    scales: Sequence[float]  # of each style's sides


class _Targets(NamedTuple):
    """What is known of a subject at one size."""

    subject: Subject
    size: tuple[int, int]
    content: list["protocol.Loss"]
    grams: list["protocol.Loss"]
    moments: list["protocol.Loss"]
    pixels: np.ndarray  # the content image, [h, w, 3]
    alpha: np.ndarray | None  # its alpha channel, [h, w]
    energies: np.ndarray  # of the styles' Laplacians, [3]


def judge_image(
    image: inputs.ImageLike,
    content: inputs.ImageLike,
    styles: inputs.ImageLike | Sequence[inputs.ImageLike],
    *,
    size: int = 0,
    **settings: Any,
) -> Judgement:
    """Judges a picture against its content image and its style images.

    The content image is resized to the picture's size, each style image to as
    many pixels, its shape kept; several styles are blended in equal shares.
    Transparent parts of content and styles count for nothing. The network is
    VGG19 in float32, or the one that `weights` names; figures of two networks
    do not compare.

    Args:
        image: The picture, made by any tool: a path or an address, or an array,
            [H, W, 3], of uint8 or of floats in [0, 1], RGB. It has the
            content's shape.
        content: The content image, likewise; alpha may come with it.
        styles: One style image or several, likewise; a folder counts as one.
        size: Long side, in pixels, to which larger pictures are reduced before
            they are judged; 0: they are judged at their own.
        **settings: Fields of `Job`: extractor, weights, style_layers (of all
            styles), content_layers, style_blend, style_scale, max_megapixels.

    Returns:
        The figures: style, moments and content distance, SSIM, chroma, border.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting, or it is of another type.
        MemoryError: If the picture is too large to be seen as a whole.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016; Wang, Bovik, Sheikh, Simoncelli 2004 (SSIM).
    """
    judge = Judge(settings, size=size)
    picture = inputs.as_picture(image, "judged", judge.job.max_megapixels)
    subject = judge.read_subject(content, styles)
    pictures = [picture, subject.content, *subject.styles]
    notes = [note for each in pictures for note in each.notes]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return judge.judge(picture, subject)


class Judge:
    """A network that judges pictures, and its targets of the last subject.

    Args:
        chosen: Settings, of `SETTINGS`.
        size: As in `judge_image`.
        say: Is told, in a line, what takes time.

    Raises:
        ValueError: If a setting is not as it should be, or there are no
            weights.
        TypeError: If there is no such setting, or it is of another type.
    """

    def __init__(
        self,
        chosen: Mapping[str, Any],
        *,
        size: int = 0,
        say: Callable[[str], None] = lambda line: None,
    ):
        for name in chosen:
            if name not in SETTINGS:
                raise TypeError(
                    f"{name} is not a setting of judge_image"
                    f"{errors.did_you_mean(name, SETTINGS)}; expected "
                    f"{errors.list_choices(SETTINGS)}."
                )
        if not 0 <= size <= settings.LARGEST_SIZE:
            raise ValueError(
                f"size is {size}, expected 0, for the picture's own, to "
                f"{settings.LARGEST_SIZE}."
            )
        self.job = settings.Job(**chosen)
        checks.check(self.job)
        if len(self.job.style_layers) > 1:
            raise ValueError(
                f"style_layers is given {len(self.job.style_layers)} times, "
                f"but a picture is judged at the same layers for all styles; "
                f"give it once."
            )
        self._size, self._say = size, say
        self._style_layers = _read_layers(self.job.style_layers[0])
        self._content_layers = _read_layers(self.job.content_layers)
        layers = [*self._content_layers, *self._style_layers]
        self._layers = list(dict.fromkeys(layers))
        self._deepest = architectures.find_deepest(
            self.job.extractor, self._layers
        )
        self.network = weight_files.load(self.job.extractor, self.job.weights)
        self._extractor: extractors.Extractor | None = None
        self._targets: _Targets | None = None

    def read_subject(
        self,
        content: inputs.ImageLike,
        styles: inputs.ImageLike | Sequence[inputs.ImageLike],
    ) -> Subject:
        """Reads a content image and style images.

        Args:
            content: As in `judge_image`.
            styles: As in `judge_image`.

        Raises:
            ValueError: If one cannot be read, or a setting of styles is given
                for another number of them.
        """
        several = styles if isinstance(styles, (list, tuple)) else [styles]
        if not several:
            raise ValueError("no style image; pass one at least.")
        parts: list[Sequence[Any]] = [
            sources.list_pictures(str(each))
            if sources.is_folder(each)
            else [each]
            for each in several
        ]
        job = style_settings.repeat_settings(
            self.job, [len(part) for part in parts]
        )
        pictures = [
            inputs.as_picture(each, "style", job.max_megapixels)
            for part in parts
            for each in part
        ]
        count = len(pictures)
        return Subject(
            inputs.as_picture(content, "content", job.max_megapixels),
            pictures,
            settings.repeat_for_styles(
                job.style_blend or (1.0,), count, "style_blend"
            ),
            settings.repeat_for_styles(job.style_scale, count, "style_scale"),
        )

    def check(
        self, image: image_io.Picture, subject: Subject, name: str = "picture"
    ) -> None:
        """Checks that a picture can be judged against a subject.

        Args:
            image: The picture.
            subject: What it is judged against.
            name: What to call it in an error.

        Raises:
            ValueError: If it is too small, or not of the content's shape.
            MemoryError: If it is too large to be seen as a whole.
        """
        height, width = image.pixels.shape[:2]
        rows, columns = subject.content.pixels.shape[:2]
        scaled = sizes.scale_to_side(rows, columns, max(height, width))
        differences = abs(height - scaled[0]), abs(width - scaled[1])
        if max(differences) > SLACK and not pyramid.is_size_of(
            rows, columns, height, width
        ):
            raise ValueError(
                f"{name} is {width} x {height} pixels, but the content image "
                f"is {columns} x {rows}, which would be {scaled[1]} x "
                f"{scaled[0]}; crop one of them to the other's shape."
            )
        height, width = self._find_size(height, width)
        self._check_smallest(name, height, width)
        for style, scale in zip(subject.styles, subject.scales, strict=True):
            fitted = _fit_style(style, height, width, scale)
            self._check_smallest("style image", *fitted)
        largest = max(1.0, *(scale**2 for scale in subject.scales))
        needed = BASE + PER_PIXEL * largest * height * width
        limit = memory.find_limit()
        if limit and needed > limit:
            raise MemoryError(
                f"to judge {name} at {width} x {height} pixels takes about "
                f"{needed / 1e9:.1f} GB, and {limit / 1e9:.1f} GB are free; "
                f"reduce it with size, such as --size=1024."
            )

    def judge(
        self, image: image_io.Picture, subject: Subject, name: str = "picture"
    ) -> Judgement:
        """Judges a picture.

        Args:
            image: The picture; its alpha channel is ignored.
            subject: What it is judged against. What is measured of it is kept
                for the next picture of this size.
            name: What to call the picture in an error.

        Raises:
            ValueError: As `check`.
            MemoryError: As `check`, or if memory does not suffice.
        """
        self.check(image, subject, name)
        height, width = self._find_size(*image.pixels.shape[:2])
        pixels = image_io.resize(image.pixels, height, width)
        device.prepare()
        try:
            with _exact_floats():
                targets = self._find_targets(subject, height, width)
                by_loss = self._measure(pixels, targets)
        except Exception as error:
            if not device.is_out_of_memory(error):
                raise
            raise MemoryError(
                f"out of memory; reduce {name}, of {width} x {height} pixels, "
                f"with size, such as --size=512."
            ) from error
        grams, moments, content = by_loss
        luma, other = (
            figures.to_ycbcr(each)[..., 0] for each in (pixels, targets.pixels)
        )
        energies = figures.measure_laplacian(pixels, targets.alpha)
        return Judgement(
            height,
            width,
            _average(grams, self._style_layers),
            grams,
            _average(moments, self._style_layers),
            _average(content, self._content_layers),
            figures.compute_ssim(luma, other, targets.alpha),
            figures.compare_chroma(energies, targets.energies),
            figures.compare_border(luma, targets.alpha),
        )

    def _find_size(self, height: int, width: int) -> tuple[int, int]:
        """The (height, width) at which a picture is judged."""
        if 0 < self._size < max(height, width):
            return sizes.scale_to_side(height, width, self._size)
        return height, width

    def _check_smallest(self, name: str, height: int, width: int) -> None:
        """Raises ValueError if there is nothing to judge at this size."""
        smallest = max(self._deepest.stride, figures.WINDOW)
        if min(height, width) < smallest:
            raise ValueError(
                f"{name} is {width} x {height} pixels as it is judged, "
                f"expected at least {smallest} x {smallest}; use a larger one."
            )

    def _build(self) -> "extractors.Extractor":
        """The network, built once."""
        from nst_tf.network import extractors

        if self._extractor is None:
            self._extractor = extractors.vgg(
                self.job.extractor,
                self._layers,
                self.network.layers,
                projections=self.network.projections,
                pooling=self.job.pooling,
                padding=self.job.padding,
                dtype="float32",
            )
        return self._extractor

    def _find_targets(
        self, subject: Subject, height: int, width: int
    ) -> _Targets:
        """What is known of a subject at a size, measured if it is new."""
        kept = self._targets
        size = height, width
        if kept and kept.size == size and _is_same(kept.subject, subject):
            return kept
        self._targets = None  # before new ones take memory
        from nst_tf.transfer import targets

        # Each picture is seen once, though three lists of losses ask for it.
        network = self._build()._replace(cache={})
        content, alpha = subject.content.pixels, subject.content.alpha
        styles = [
            targets.Style(style.pixels, share, style.alpha, scale=scale)
            for style, share, scale in zip(
                subject.styles, subject.shares, subject.scales, strict=True
            )
        ]

        def make(
            content_layers: Mapping[str, float],
            style_layers: Mapping[str, float],
            style_loss: str = "gram",
        ) -> list["protocol.Loss"]:
            return targets.perceptual_losses(
                network,
                content,
                styles,
                targets.LossWeights(content_layers, style_layers),
                height,
                width,
                style_loss=style_loss,
                style_fit="keep",
                alpha=alpha,
            )

        self._targets = _Targets(
            subject,
            size,
            make(self._content_layers, {}),
            make({}, self._style_layers),
            make({}, self._style_layers, "moments"),
            image_io.resize(content, height, width),
            None
            if alpha is None
            else image_io.resize_alpha(alpha, height, width),
            _measure_styles(subject, height, width),
        )
        return self._targets

    def _measure(
        self, pixels: np.ndarray, targets: _Targets
    ) -> list[dict[str, float]]:
        """The distances by layer: of Gram matrices, moments, and content."""
        features = self._build().extract(pixels)
        return [
            {
                loss.layer: float(
                    loss.distance(
                        loss.statistics(features[loss.layer], **loss.maps)
                    )
                )
                for loss in losses
            }
            for losses in (targets.grams, targets.moments, targets.content)
        ]


def _read_layers(text: str) -> dict[str, float]:
    """The layers that count, and their weights."""
    layers = settings.parse_layers(text)
    return {layer: weight for layer, weight in layers.items() if weight}


def _fit_style(
    style: image_io.Picture, height: int, width: int, scale: float
) -> tuple[int, int]:
    """The (height, width) of a style image beside a picture."""
    level = pyramid.Level(height, width, 1)
    rows, columns = style.pixels.shape[:2]
    return style_settings.fit_size(settings.Job(), rows, columns, level, scale)


def _measure_styles(subject: Subject, height: int, width: int) -> np.ndarray:
    """The energies of the styles' Laplacians, blended by their shares, [3]."""
    energies = []
    for style, scale in zip(subject.styles, subject.scales, strict=True):
        size = _fit_style(style, height, width, scale)
        alpha = style.alpha
        if alpha is not None:
            alpha = image_io.resize_alpha(alpha, *size)
        energies.append(
            figures.measure_laplacian(
                image_io.resize(style.pixels, *size), alpha
            )
        )
    return np.average(energies, axis=0, weights=subject.shares)


def _is_same(one: Subject, other: Subject) -> bool:
    """Whether two subjects have the same arrays, shares and scales."""

    def identify(subject: Subject) -> list[Any]:
        pictures = [subject.content, *subject.styles]
        arrays = [id(each) for p in pictures for each in (p.pixels, p.alpha)]
        return [arrays, list(subject.shares), list(subject.scales)]

    return identify(one) == identify(other)


def _average(
    values: Mapping[str, float], weights: Mapping[str, float]
) -> float:
    """The mean over layers, by their weights."""
    total = sum(weight * values[layer] for layer, weight in weights.items())
    return total / sum(weights.values())


@contextlib.contextmanager
def _exact_floats() -> Iterator[None]:
    """Switches off TF32, which keeps three digits on recent GPUs."""
    from tensorflow import config

    before = config.experimental.tensor_float_32_execution_enabled()
    config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.experimental.enable_tensor_float_32_execution(before)
