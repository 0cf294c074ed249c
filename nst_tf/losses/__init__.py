"""The losses: additive statistics of feature maps, and distances of them.

The statistics of a whole are the sum of those of its parts, so that masks,
blends of styles and tiles need no special case. `objectives` adds weighted
losses up to `image -> Evaluation(loss, gradient, terms)`, which is all that an
optimizer sees.

    import tensorflow as tf
    from nst_tf.losses import style_losses
    features = tf.random.uniform([1, 48, 64, 64])
    target = style_losses.GramLoss.measure(features)
    loss = style_losses.GramLoss("block1_conv1", target)
"""
