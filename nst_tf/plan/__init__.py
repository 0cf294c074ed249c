"""The plan: what is asked for, and what is decided before any work starts.

A `Job` is the request, and the table of all settings (`settings`); `Inputs` are
the pictures and network weights that it names (`inputs`); a `Plan` is all that
a run needs (`planning`): levels, styles and their regions, tiles, the start.
Nothing below this room looks at a job, a flag or a default, and nothing in it
needs TensorFlow: a wrong request is answered at once.

    from nst_tf.plan import inputs, planning, settings
    job = settings.Job(content="town.jpg", style="painting.jpg", size=512)
    draft = planning.draft_plan(job, inputs.read_inputs(job))
"""
