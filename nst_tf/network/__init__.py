"""The network: from an image to feature maps, by layer.

`architectures` has the VGG networks as plain data and `weight_files` finds and
reads their weights, both without TensorFlow. `extractors` builds the Keras
model; `small_network` and `projections` serve the narrow network that ships.

    from nst_tf.network import extractors
    extractor = extractors.vgg("vgg19", ["block4_conv2"], network_weights=...)
"""
