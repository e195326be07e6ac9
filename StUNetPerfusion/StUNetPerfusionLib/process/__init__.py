"""What runs outside of Slicer's process: the worker, its runs, FSL, and installing."""
