"""The program: flags to a file, signals, exit status, contact sheets.

    python -m nst_tf.run --flagfile=starry

is `main.cli`. Nothing imports this room.
"""
