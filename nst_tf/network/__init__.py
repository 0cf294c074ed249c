"""The network: from an image to feature maps, by layer.

`architectures` has the VGG networks as plain data and `weight_files` finds and
reads their weights, `bundled` those that ship, all without TensorFlow.
`extractors` builds the Keras model; `projections` serve the narrow network.

    from nst_tf.network import extractors, weight_files
    network_weights = weight_files.load("vgg19").layers
    extractor = extractors.vgg("vgg19", ["block4_conv2"], network_weights)
"""
