"""Scores pictures: distances to the style and to the content.

It compares a picture from any tool with its content image and its style images.
`figures` and docs/judging.md have the formula and the source of each score. The
network is always VGG19 in float32.

    import nst_tf
    image = nst_tf.stylize("town.jpg", "painting.jpg", size=512)
    judgement = nst_tf.judge_image(image, "town.jpg", "painting.jpg")

`python -m nst_tf.judge`, which calls `command.main`, prints the same scores.
"""
