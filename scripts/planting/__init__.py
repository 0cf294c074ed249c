"""What scripts/plant_faults and scripts/mutate are made of."""
