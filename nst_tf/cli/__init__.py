"""The command line program: flags, signals, exit status, contact sheets.

`flags` parses the command line into a `Job`, `main` generates its picture,
`sheet_command` a contact sheet; `console` has the exit statuses. Only `run`
imports this room.

    python -m nst_tf.run --flagfile=starry

calls `main.main`.
"""
