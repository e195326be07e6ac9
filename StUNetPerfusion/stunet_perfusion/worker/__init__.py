"""The process that computes for 3D Slicer, where torch cannot run inside the application.

`protocol` tells what it is asked and what it answers. It is started with `python -m stunet_perfusion.worker`, keeps
series and networks in memory between requests, and ends with its standard input.
"""
