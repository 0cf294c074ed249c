"""Starts the program: python -m nst_tf.judge --content=... --style=...
RESULT.
"""

import signal


def cli() -> None:
    """Runs the console script nst-tf-judge."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of imports
    from nst_tf import terminal

    terminal.run_program("nst_tf.cli.judge_command")


if __name__ == "__main__":
    cli()
