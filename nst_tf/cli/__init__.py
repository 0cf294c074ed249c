"""The program: flags to a file, signals, exit status, contact sheets.

    python -m nst_tf.run --flagfile=starry

is `main.cli`. Of the package only `run` imports this room.
"""
