"""Pictures: image files to float RGB arrays and back, their colors and masks.

An image is [H, W, 3], float32 in [0, 1], in sRGB, upright. `image_io` reads and
writes it; `reading` and `writing` know the formats, `sources` the places that a
picture may come from, `sizes` how large it becomes. Only 16-bit PNG files load
TensorFlow.

    from nst_tf.images import image_io
    image = image_io.load_image("town.jpg")
"""
