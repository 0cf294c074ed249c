"""Judges pictures: how near to the style, how near to the content.

A picture of any tool, its content image and its style images go in; figures
come out, each with a formula and a source in `figures` and
docs/judging.md. The network is VGG19 in float32, whatever painted the picture.

    python -m nst_tf.judge --content=town.jpg --style=painting.jpg result.png

is `command.cli`, and `nst_tf.judge_image` is the same from Python.
"""
