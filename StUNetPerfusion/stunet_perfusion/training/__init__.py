"""Training: settings, cases that are prepared in the background, the loop, and what is written on the way."""
