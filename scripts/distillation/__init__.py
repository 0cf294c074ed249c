"""Parts of scripts/distill.py."""
