"""The program: python -m nst_tf.web."""

import sys


def cli() -> None:
    """Runs the console script nst-tf-web."""
    from nst_tf.web import command

    sys.exit(command.main(sys.argv[1:]))


if __name__ == "__main__":
    cli()
