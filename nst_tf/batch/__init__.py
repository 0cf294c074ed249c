"""Many pictures: a manifest, painted by one machine or by a Ray cluster.

`manifest` reads lines, `tasks` makes a job of each, `checking` checks them
all before any work, `order` puts pictures side by side that share a network,
a size and a style. A `Station` paints them one by one: in this process or in
`workers`, or, by `ray_engine`, in each `actor` of a cluster.
`ledger` notes what became of each line.

    import nst_tf
    job = nst_tf.Job("town.jpg", "painting.jpg", "out/a.png", size=512)
    for result in nst_tf.run_jobs([job]):
        print(result.output, result.status, result.seconds)

`python -m nst_tf.batch`, which is `command.main`, does the same for a manifest.
"""
