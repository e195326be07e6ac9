"""The panel: one file a section of it, and `panel`, which lets them work together."""
