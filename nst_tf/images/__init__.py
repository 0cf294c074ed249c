"""Reads and writes image files; converts colors, reads masks.

An image is [H, W, 3], float32 in [0, 1], in sRGB, upright. `image_io` reads and
writes it, with the formats in `reading` and `writing`. `sources` loads paths,
addresses and standard input; `sizes` computes output sizes. Only 16-bit PNG
files import TensorFlow.

    from nst_tf.images import image_io
    image = image_io.load_image("town.jpg")
"""
