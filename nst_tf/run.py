"""The program: python -m nst_tf.run --flagfile=configs/starry.cfg."""

from nst_tf.cli.main import cli, main

__all__ = ["cli", "main"]

if __name__ == "__main__":
    cli()
