"""Judges pictures: how near to the style, how near to the content.

A picture of any tool, its content image and its style images go in; figures
come out, each with a formula and a source in `figures` and
docs/judging.md. The network is VGG19 in float32, whatever painted the picture.

    import nst_tf
    image = nst_tf.stylize("town.jpg", "painting.jpg", size=512)
    judgement = nst_tf.judge_image(image, "town.jpg", "painting.jpg")

`python -m nst_tf.judge`, which is `command.main`, prints the same figures.
"""
