"""Turns a request into a plan, before any work starts.

A `Job` is the request and the table of all settings (`settings`). `Inputs` are
its pictures and network weights, as read from files (`inputs`). A `Plan` holds
all decisions that a run needs (`planning`): levels, styles and their regions,
tiles, the initial image. No module below this room reads a job, a flag or a
default. Nothing here imports TensorFlow, so that a wrong request fails at once.

    from nst_tf.plan import inputs, planning, settings
    job = settings.Job(content="town.jpg", style="painting.jpg", size=512)
    draft = planning.draft_plan(job, inputs.read_inputs(job))
"""
