"""The program: python -m nst_tf.web."""

import sys

from nst_tf.web import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
