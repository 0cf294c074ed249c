"""Runs a job: plan, steps, checkpoints, output file with a record.

`api` has `stylize`, `stylize_steps`, `run_job` and `make_plan`, which `import
nst_tf` re-exports. Every front end iterates over a `Run` (`runner`), which fits
a draft of the plan to the machine, resumes from a checkpoint (`resume`) and
takes the steps. `progress` and `reporters` report the steps; `results` and
`records` write the last one to a file with a record of the run.

    from nst_tf.runs import api
    image = api.stylize("town.jpg", "painting.jpg", size=512)
"""
