"""Cerebral blood volume maps from dynamic susceptibility contrast MRI with the stU-Net.

The science of StUNetPerfusion: everything here runs without 3D Slicer. The modules read in the order in
which the data flow; the README of the project names them.
"""

__version__ = "0.1.0"
