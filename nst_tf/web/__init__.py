"""A studio in the browser: a page, and the server that paints for it.

The server runs on the user's machine and sends nothing anywhere. It holds the
queue and the history on disk; a process of its own paints, one picture at a
time, so that neither takes the other down.

    python -m nst_tf.web --open
"""
