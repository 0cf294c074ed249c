"""Many pictures: a manifest, painted by one process or by several.

`manifest` reads lines, `tasks` makes a job of each, `checking` checks them
all before any work, `order` puts pictures side by side that share a network,
a size and a style. A `Station` of `painting` paints them one by one; `local`
has one, `workers` one in each of several processes. `ledger` notes what became
of each line.

    import nst_tf
    job = nst_tf.Job("town.jpg", "painting.jpg", "out/a.png", size=512)
    for result in nst_tf.run_jobs([job]):
        print(result.output, result.status, result.seconds)

`python -m nst_tf.batch`, which is `command.main`, does the same for a manifest.
"""
