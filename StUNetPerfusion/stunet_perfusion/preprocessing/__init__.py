"""From a series as it was read to one that can be computed with: steady frames, the brain, the bolus."""
