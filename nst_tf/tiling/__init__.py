"""Computes the objective of an image tile by tile, exactly.

`views` runs the network on one tile at a time and sums statistics. `tiled`
computes from these the same loss and gradient as for the whole image, on one or
several devices.

    from nst_tf.losses import total_variation
    from nst_tf.network import extractors, weight_files
    from nst_tf.tiling import tiled, views
    network_weights = weight_files.load("vgg19").layers
    extractor = extractors.vgg("vgg19", ["block2_conv1"], network_weights)
    loss_list = [total_variation.TotalVariationLoss()]
    tiles = views.cut_for_extractor(extractor, 768, 1024, 512)
    objective = tiled.make_tiled_objective(extractor, loss_list, tiles)
"""
