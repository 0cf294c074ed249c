"""Runs: from a job to a picture on disk, with checkpoints and a record.

`api` has `stylize`, `stylize_steps` and `run_job`, which `import nst_tf` offers
too. A `Run` (`runner`) goes on from a checkpoint (`resume`), is followed
(`progress`, `reporters`), and ends as a file that says how it was made
(`results`, `records`), from which it is made again (`rerun`).

    from nst_tf.runs import api
    image = api.stylize("town.jpg", "painting.jpg", size=512)
"""
