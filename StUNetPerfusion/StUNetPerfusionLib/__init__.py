"""Everything of StUNetPerfusion that speaks to 3D Slicer. The science is in the package `stunet_perfusion`."""
