"""The program, nst-tf: also python -m nst_tf, python -m nst_tf.run."""

import sys
from collections.abc import Sequence


def cli() -> None:
    """Runs the console script nst-tf."""
    try:
        from nst_tf import display, terminal

        terminal.run_program("nst_tf.cli.answers", display.start)
    except KeyboardInterrupt:  # before anything handles it
        sys.exit(130)


def main(arguments: Sequence[str]) -> int:
    """Does what the program does, as `cli.answers.main`."""
    from nst_tf.cli import answers

    return answers.main(arguments)


if __name__ == "__main__":
    cli()
