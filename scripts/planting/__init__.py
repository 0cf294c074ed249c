"""What scripts/plant_faults is made of."""
