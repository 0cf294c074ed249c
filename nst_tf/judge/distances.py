"""Computes distances between the features of a picture and its inputs.

Only this module of the room uses the network and losses.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nst_tf.network import architectures, weight_files
from nst_tf.plan import inputs, planning, settings, style_regions

if TYPE_CHECKING:
    from nst_tf.judge import judging
    from nst_tf.losses import protocol
    from nst_tf.network import extractors


class Network:
    """VGG in float32, with the layers to compare.

    TensorFlow is imported when the first losses are made.

    Args:
        job: The settings: extractor, weights, layers.

    Raises:
        ValueError: If weights or layers are missing.
    """

    def __init__(self, job: settings.Job):
        self.style_layers = _read_layers(job.style_layers[0])
        self.content_layers = _read_layers(job.content_layers)
        self._layers = list({**self.content_layers, **self.style_layers})
        deepest = architectures.find_deepest(job.extractor, self._layers)
        self.stride = deepest.stride
        self.weights = weight_files.load(job.extractor, job.weights)
        self._job = job
        self._extractor: extractors.Extractor | None = None

    def make_losses(
        self, subject: "judging.Subject", height: int, width: int
    ) -> list[list["protocol.Loss"]]:
        """Makes losses with the targets of a subject, for pictures of a size.

        Returns:
            The losses of Gram matrices, of moments, and of content.
        """
        from nst_tf.transfer import targets

        # Three lists share the features of a picture, computed once.
        network = self._build()._replace(cache={})

        def make(
            style_loss: str,
            content_layers: Mapping[str, float],
            style_layers: Mapping[str, float],
        ) -> list["protocol.Loss"]:
            styles = [
                style_regions.Style(
                    style.pixels, share, style.alpha, style_layers, scale
                )
                for style, share, scale in zip(
                    subject.styles, subject.shares, subject.scales, strict=True
                )
            ]
            plan = planning.Plan(
                inputs.Inputs(subject.content),
                subject.content.pixels,
                [],
                content_layers,
                [style_regions.Region(styles)],
                style_loss=style_loss,
            )
            return targets.perceptual_losses(plan, network, height, width)

        return [
            make("gram", {}, self.style_layers),
            make("moments", {}, self.style_layers),
            make("gram", self.content_layers, {}),
        ]

    def measure(
        self, pixels: np.ndarray, losses: Sequence[Sequence["protocol.Loss"]]
    ) -> list[dict[str, float]]:
        """Computes a picture's distances, [H, W, 3], by layer, per list."""
        features = self._build().extract(pixels)

        def compute_distance(loss: "protocol.Loss") -> float:
            found = loss.statistics(features[loss.layer], **loss.maps)
            return float(loss.distance(found))

        return [
            {loss.layer: compute_distance(loss) for loss in each}
            for each in losses
        ]

    def _build(self) -> "extractors.Extractor":
        """Builds the network, once."""
        from nst_tf.network import extractors

        if self._extractor is None:
            self._extractor = extractors.vgg(
                self._job.extractor,
                self._layers,
                self.weights.layers,
                projections=self.weights.projections,
                pooling=self._job.pooling,
                padding=self._job.padding,
                dtype="float32",
            )
        return self._extractor


def average(values: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Averages values of layers with their weights."""
    total = sum(weight * values[layer] for layer, weight in weights.items())
    return total / sum(weights.values())


@contextlib.contextmanager
def disable_tf32() -> Iterator[None]:
    """Switches off TF32, which keeps three digits on recent GPUs."""
    from tensorflow import config

    before = config.experimental.tensor_float_32_execution_enabled()
    config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.experimental.enable_tensor_float_32_execution(before)


def _read_layers(text: str) -> dict[str, float]:
    """Parses layers and weights; drops layers of weight 0."""
    layers = settings.parse_layers(text)
    return {layer: weight for layer, weight in layers.items() if weight}
