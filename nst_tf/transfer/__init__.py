"""Implements the method of Gatys et al. from the parts of other rooms.

`targets` makes the losses of a plan at one size. `method` has the `Painter`,
which combines network, losses, tiles and optimizer, and yields each step.

    from nst_tf import make_plan
    from nst_tf.plan import settings
    from nst_tf.transfer import method
    job = settings.Job(content="town.jpg", style="painting.jpg", size=512)
    for step in method.Painter().paint(make_plan(job)):
        print(step.level, step.index, float(step.evaluation.loss))
"""
