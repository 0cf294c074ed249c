"""A studio in the browser: a page, and the server that paints for it.

The server runs on the user's machine and sends nothing to other hosts. It keeps
the queue and the history on disk. A separate process paints, one picture at a
time, so a crash of either does not stop the other.

    python -m nst_tf.web --open
"""
