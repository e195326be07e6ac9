"""Time and peak memory of reading DICOM series: 120 frames of 24 slices, in the ways in which they are kept.

    cd Testing; python -m benchmarks.dicom_reading [--rows 128] [--slices 24] [--frames 120]

Every series is read in a process of its own, whose largest resident size Linux tells; what it had before reading is
taken off. Time is that of the processor, since other programs may run beside. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from science import dicom_mosaics, dicom_multiframe
from science.dicom_encodings import jpeg_2000
from science.dicom_habits import Writer, in_syntax, siemens_single
from science.synthetic import oblique_grid
from stunet_perfusion.series import DscSeries

WAYS: dict[str, Writer] = {
    "one file a slice and frame": siemens_single,
    "the same, JPEG 2000": in_syntax(jpeg_2000),
    "mosaics": dicom_mosaics.ascending,
    "enhanced, one object": dicom_multiframe.siemens_one_object,
    "enhanced, one object with private frames": dicom_multiframe.philips_one_object,
    "enhanced, one object a time point": dicom_multiframe.siemens_object_a_time_point,
    "enhanced, one object, RLE": dicom_multiframe.in_run_lengths,
}

_READ = """
import json, re, sys, time
from pathlib import Path
import SimpleITK, stunet_perfusion.reading.dicom
from stunet_perfusion.reading import read_series
def peak():
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text()).group(1))
before, started = peak(), time.process_time()
series = read_series(sys.argv[1])
share = (peak() - before) / series.signal.nbytes
print(json.dumps({"seconds": time.process_time() - started, "share": share}))
"""


def random_series(rows: int, slices: int, frames: int) -> DscSeries:
    """Noise, which is the worst case of every compression."""
    generator = np.random.default_rng(0)
    signal = np.empty((frames, slices, rows, rows), np.float32)
    for volume in signal:
        volume[...] = generator.integers(0, 2000, volume.shape)
    return DscSeries(signal, 1.5 * np.arange(frames), oblique_grid(signal.shape[1:]), 0.03)


def main() -> None:
    """Write and read all ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--frames", type=int, default=120)
    arguments = parser.parse_args()
    series = random_series(arguments.rows, arguments.slices, arguments.frames)
    print("| Kept as | Files | Seconds | Peak memory, times the series as float32 |\n|---|---|---|---|")
    for way, write in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), series)
            command = [sys.executable, "-c", _READ, folder]
            answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            files = len(list(Path(folder).iterdir()))
            print(f"| {way} | {files} | {answer['seconds']:.1f} | {answer['share']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
