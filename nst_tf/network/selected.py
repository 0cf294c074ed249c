"""Selects some of the maps of a feature extractor."""

from collections.abc import Sequence

import tensorflow as tf

from nst_tf.network import architectures, derived, extractors


def select(
    extractor: extractors.Extractor, layers: Sequence[str]
) -> extractors.Extractor:
    """Returns an extractor of some of the layers, with the same weights.

    An image that is too small for the smallest scale can be passed to the
    layers of the others.

    Args:
        extractor: The extractor; it is returned itself if it has no more.
        layers: Names of its maps, at least one.
    """
    if {*layers} == {*extractor.stride}:
        return extractor
    whole = extractor.model
    model: tf.keras.Model = tf.keras.Model(
        whole.inputs[0],
        {layer: whole.output[layer] for layer in layers},
        name=whole.name,
    )
    model.trainable = False
    largest, of_all = (
        max(architectures.parse_map(layer).scale for layer in names)
        for names in (layers, extractor.stride)
    )
    return extractor._replace(
        model=model,
        compiled=derived.compile_model(model),
        stride={layer: extractor.stride[layer] for layer in layers},
        reach={layer: extractor.reach[layer] for layer in layers},
        grid=extractor.grid * largest // of_all,
        projections={layer: extractor.projections[layer] for layer in layers},
    )
