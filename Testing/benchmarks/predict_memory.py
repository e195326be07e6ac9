"""Peak memory of `stunet-perfusion predict` on a large clinical series: 512 x 512 x 24, 120 frames.

    python Testing/benchmarks/predict_memory.py [--rows 512] [--slices 24] [--frames 120] [--stride 16]

The series is a phantom, repeated in the plane to the matrix asked for, as 16-bit NIfTI. The command runs in a process
of its own, whose largest resident size the operating system tells. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np

from stunet_perfusion.phantom import Protocol, make_phantom, mni_anatomy


def write_series(path: Path, rows: int, slices: int, frames: int) -> None:
    """A phantom of 128 x 128 pixels, each repeated, as int16 NIfTI with 1.5 s between frames."""
    phantom = make_phantom(mni_anatomy(), tumor="random", protocol=Protocol(slices=slices, frames=frames))
    repeats = rows // phantom.grid.shape[1]
    signal = np.moveaxis(phantom.series(1.0).signal.astype(np.int16), (0, 1, 2, 3), (3, 2, 1, 0))
    signal = signal.repeat(repeats, axis=0).repeat(repeats, axis=1)
    affine = phantom.grid.ijk_to_ras @ np.diag([1 / repeats, 1 / repeats, 1, 1])
    image = nibabel.Nifti1Image(signal, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 1.5
    nibabel.save(image, path)


def main() -> None:
    """Write the series, predict, and print the peak beside the size of the series as float32."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rows", 512), ("slices", 24), ("frames", 120), ("stride", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.nii.gz"
        write_series(path, options.rows, options.slices, options.frames)
        words = ["predict", str(path), "--output", str(Path(folder) / "out"), "--stride", str(options.stride)]
        subprocess.run([sys.executable, "-m", "stunet_perfusion", *words], check=True)
    series = options.rows**2 * options.slices * options.frames * 4
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"series_float32_gb": series / 1e9, "peak_gb": peak / 1e9, "ratio": peak / series}, indent=2))


if __name__ == "__main__":
    main()
