"""The plan: what is asked, and what is decided before any work starts.

`settings` is the table of all settings, `Job`; `inputs` reads and checks what a
job names; `schedule`, `pyramid`, `tile_size` and `memory` decide sizes, steps
and tiles. No TensorFlow: a wrong job is answered before it is loaded.

    from nst_tf.plan import settings
    job = settings.Job(content="town.jpg", style=("painting.jpg",))
"""
