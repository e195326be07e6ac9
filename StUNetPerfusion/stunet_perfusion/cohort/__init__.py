"""Many cases on many processors: each is predicted, measured and scored on its own, and none stops the others."""
