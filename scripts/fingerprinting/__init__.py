"""Parts of scripts/fingerprint: toy pictures, toy jobs, and their digests."""
