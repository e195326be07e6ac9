"""Blood volume by a fit of the brain's mean curve, and what the noise of a series is like."""
