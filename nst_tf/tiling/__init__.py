"""Tiles: the objective of an image tile by tile, exactly.

`views` runs the network on one tile at a time and adds up statistics; `tiled`
makes of that the same loss and gradient as of the whole image, on one device or
several.

    from nst_tf.tiling import tiled
    objective = tiled.make_tiled_objective(extractor, losses, tiles)
"""
