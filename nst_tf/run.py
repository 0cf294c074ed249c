"""Starts the program nst-tf, also as python -m nst_tf or nst_tf.run."""

import signal
from collections.abc import Sequence


def cli() -> None:
    """Runs the console script nst-tf."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of imports
    from nst_tf import terminal

    terminal.run_program("nst_tf.cli.entry")


def main(arguments: Sequence[str]) -> int:
    """Runs the program; see `cli.entry.main`."""
    from nst_tf.cli import entry

    return entry.main(arguments)


if __name__ == "__main__":
    cli()
