"""Starts the program: python -m nst_tf photo.jpg painting.jpg."""

from nst_tf import run

if __name__ == "__main__":
    run.cli()
