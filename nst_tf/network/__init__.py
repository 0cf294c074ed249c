"""Builds the network that computes feature maps by layer.

`architectures` has the VGG networks as plain data, `weight_files` finds and
reads their weights, `bundled` has the weights in the package; all work without
TensorFlow. `extractors` builds the Keras model; `projections` supports the
small network.

    from nst_tf import network
    network_weights = network.load_weights("vgg19").layers
    extractor = network.vgg("vgg19", ["block4_conv2"], network_weights)
"""

from typing import TYPE_CHECKING

import nst_tf

if TYPE_CHECKING:
    from nst_tf.network import weight_files
    from nst_tf.network.extractors import Extractor as Extractor
    from nst_tf.network.extractors import vgg as vgg

    load_weights = weight_files.load
else:
    __all__, __getattr__, __dir__ = nst_tf.import_lazily(
        __name__,
        {"load_weights": "weight_files:load"},
        {"Extractor": "extractors:Extractor", "vgg": "extractors:vgg"},
    )
