"""The program: python -m nst_tf.judge --content=... --style=... RESULT."""

import sys


def cli() -> None:
    """Runs the console script nst-tf-judge."""
    try:
        from nst_tf import terminal

        terminal.run_program("nst_tf.judge.command")
    except KeyboardInterrupt:  # before anything handles it
        sys.exit(130)


if __name__ == "__main__":
    cli()
