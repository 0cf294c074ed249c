"""Parts of scripts/plant_faults."""
