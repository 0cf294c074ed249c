"""Moving pictures: a film in the style of a painting, without flicker.

    python -m nst_tf.video --content=clip.mp4 --style=painting.jpg \\
        --output=film.mp4
"""
