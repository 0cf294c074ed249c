"""What tests of hostile input share: damage to bytes, and memory that is used.

It imports no TensorFlow, which would count.
"""

from pathlib import Path


def damage(data, edits):
    """Replaces bytes; some go away.

    Args:
        data: The bytes.
        edits: Of each where, as a share of the length, what is put there, and
            how many bytes it replaces; None: as many as it has.
    """
    for where, put, gone in edits:
        place = int(where * len(data))
        gone = len(put) if gone is None else gone
        data = data[:place] + put + data[place + gone :]
    return data


def read_memory(key):
    """Reads the memory of this process, in MB; the peak begins anew."""
    try:
        text = Path("/proc/self/status").read_text()
        if key == "VmRSS":
            Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not on Linux
        return 0
    line = next(line for line in text.splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024
