"""The packages of a wheel, of which `pyproject.toml` holds everything else.

The checkpoints and the color table lie where 3D Slicer wants them, beside the package. In a wheel they are within it.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages("StUNetPerfusion", include=["stunet_perfusion*"]), "stunet_perfusion.shipped_resources"])
