"""The program: flags to a file, signals, exit status, contact sheets.

`flags` reads a `Job`, `main` makes its picture, `sheet_command` a sheet of
several; `console` has exit statuses and signals. Only `run` imports this room.

    python -m nst_tf.run --flagfile=starry

runs `main.main`, which is a function, too.
"""
