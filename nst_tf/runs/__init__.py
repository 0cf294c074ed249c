"""Runs: from a job to a picture on disk, with checkpoints and a record.

`api` has `stylize`, `stylize_steps`, `run_job` and `make_plan`, which
`import nst_tf` offers too. Every front end reads a `Run` (`runner`): it fits a
draft of the plan to the machine, goes on from a checkpoint (`resume`), and
takes the steps. They are reported (`progress`, `reporters`), and the last one
becomes a file that says how it was made (`results`, `records`).

    from nst_tf.runs import api
    image = api.stylize("town.jpg", "painting.jpg", size=512)
"""
