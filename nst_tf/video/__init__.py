"""Moving pictures: a film in the style of a painting, without flicker.

`preparing` opens the film and checks everything. `filming` takes its frames
one by one, from `film_file` or `frame_folder`; `film_painter` paints each so
that it agrees with those before it; `work_folder` keeps them until `writing`
makes a film of them.

    python -m nst_tf.video clip.mp4 painting.jpg -o film.mp4
"""
