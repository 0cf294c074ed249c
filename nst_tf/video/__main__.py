"""The program: python -m nst_tf.video clip.mp4 painting.jpg -o film.mp4."""

import signal


def cli() -> None:
    """Runs the console script nst-tf-video."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of imports
    from nst_tf import terminal

    terminal.run_program("nst_tf.video.command")


if __name__ == "__main__":
    cli()
