"""The program: python -m nst_tf.judge --content=... --style=... RESULT."""

from nst_tf.judge import command

if __name__ == "__main__":
    command.cli()
