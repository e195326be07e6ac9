"""What the worker and the program that started it say to each other.

Starting it
-----------
`python -m stunet_perfusion.worker --session FOLDER [--replies FILE]`

FOLDER exists and belongs to one worker at a time. The worker writes nowhere else. In it, the names that are numbers
(`FOLDER/12/`) are the worker's; all others are the client's, and the worker never touches them. The client deletes
`FOLDER/12/` once it has read the results of request 12, and the whole of FOLDER in the end; the worker never does.
Let the standard error go to a file or to nowhere (or read it all the time): a pipe that nobody reads fills and blocks.

Requests
--------
One JSON object a line, UTF-8, on the standard input: `{"id": 12, "do": "predict", ...arguments}`. Every id is used
once, an integer from 0 on. Arguments that have a default may be left out or be null where null is the default. Names
of files are absolute, or relative to FOLDER. Arrays are `.npy` files, C-ordered; they are opened read-only and must
not change while their series is open.

All jobs run one after another, in the order in which they came, except:
- `{"do": "cancel", "id": n}` stops request n (n is the id of that request), whether it runs or waits. It has no reply
  of its own: request n is answered `cancelled`, or is done already. Where there is no such request nothing happens.
- A new `preview` cancels all earlier previews that run or wait.
- The end of the standard input ends the process at once, in the middle of whatever it does.

Replies
-------
One JSON object a line, UTF-8, appended to FILE, or on the standard output where there is no `--replies`. A line is
complete when its line feed is there. Numbers are always finite; what is not known is null. The first line is, within
a second of the start and before torch is loaded,

    {"event": "ready", "pid": 4711, "version": "0.1.0"}

and all others answer a request:

    {"id": 12, "event": "progress", "fraction": 0.25, "message": "Predicting slice 5 of 20"}     any number of times
    {"id": 12, "event": "log", "text": "..."}                     for a log that nobody has to read; may hold line feeds
    {"id": 12, "event": "part", ...}                              of `preview` only
and exactly one of
    {"id": 12, "event": "done", "result": {...}}
    {"id": 12, "event": "failed", "subject": "...", "fact": "...", "way_out": "...", "subject_setting": null,
     "settings": ["echo time"], "message": "..."}
    {"id": 12, "event": "cancelled"}

`message` of `failed` is one sentence for people, without line feed, `subject: fact; way_out`. `settings` are values of
`support.errors.Setting`: what the user can change to mend it, for which the client has its own names. `subject_setting`
is the subject where that is a setting, else null. The `id` is null where a line was no request at all. The files of a
result are named relative to FOLDER (`12/cbv.npy`). They are complete when `done` (or `part`) names them. A request that
failed or was cancelled leaves no file: the files of a `part` are gone after `cancelled` and `failed`, so whoever finds
one missing passes over that part.

What is asked for, and what `done` answers, is told below, one class a request: its fields are the arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from stunet_perfusion.dose.simulate import DEFAULT_METHOD

#: Where the arterial input comes from: "auto", {"vessels": "mask.npy"} with a (Z, Y, X) bool file, or
#: {"voxels": [[k, j, i], ...]} (slice, row, column, from 0). In all cases the curve is that of the series at the dose
#: that is asked for.
AifSource = Literal["auto"] | dict[str, Any]

#: How many threads compute; None takes one less than there are cores, and at least one.
Threads = int | None


@dataclass(frozen=True)
class Environment:
    """What can be computed with, found by loading every package. Answers whatever is missing or broken.

    Whoever installs packages afterwards starts a new worker: this one may have a half of them loaded.

    :returns: `{"python": "3.12.2", "platform": "Linux-...", "cores": 8, "default_threads": 7, "version": "0.1.0",
        "packages": {"numpy": "2.0.2", "skimage": null, ...}` (import names, torch among them; null cannot be loaded)`,
        "torch": "2.5.0"` or null`, "missing": ["torch", ...]` (import names of those that are not installed)`,
        "broken": {"nrrd": "one sentence"}` (those that are, but cannot be loaded)`, "torch_error":` that of torch, or
        null`, "devices": [{"name": "cpu", "label":
        "CPU (8 cores)", "memory_bytes": null}, {"name": "cuda:0", "label": "NVIDIA ... (139 GB)", "memory_bytes":
        150000000000}, {"name": "mps", ...}]` (empty without torch)`, "auto": "cuda:0"}` (what "auto" means, or null)
    """

    do: ClassVar[str] = "environment"


@dataclass(frozen=True)
class Describe:
    """What a checkpoint says of itself, without torch (`checkpoint_document.describe` says the same in any process).

    :param checkpoint: path, or None for the shipped stU-Net
    :returns: `{"file", "name", "size_bytes", "network", "arguments", "input": {"frames", "size", "quantity"}, "strip":
        {"rows", "padding"}, "training": {...}, "scores": {...}, "licence"}`
    """

    do: ClassVar[str] = "describe"
    checkpoint: str | None = None


@dataclass(frozen=True)
class Open:
    """Check a series, find its steady frames, brain and bolus, and keep it open until `close`.

    A series that is open under the same handle is replaced. Where this fails, the handle names nothing.

    :param series: the handle that other requests name it by
    :param signal: .npy, (T, Z, Y, X) float32
    :param times: (T,) seconds
    :param ijk_to_ras: 4 rows of 4 numbers, voxel (column, row, slice) to mm, right-anterior-superior
    :param echo_time: seconds, or None where it is not known
    :param name: what messages call the series
    :param mask: .npy, (Z, Y, X) bool brain mask, or None to find the brain
    :param drop_frames: first frames to leave out, or "auto"
    :param mend: what is mended where the series is damaged: "auto", "off", or some of "motion,frames,level"
    :param bolus: which bolus is used where several pass, from 1, or "auto"
    :returns: `{"series", "frames": T, "dropped_frames", "baseline_frames", "arrival_frame", "peak_frame"` (numbers of
        frames of the input; `baseline_frames` is `arrival_frame - dropped_frames`), `"frame_interval_s", "echo_time_s",
        "brain_voxels", "brain": "3/brain.npy"` ((Z, Y, X) bool)`, "notes": [sentences],
        "quality": {"light", "findings": [{"name", "title", "light", "meaning", "advice", "numbers"}], "mended",
        "mean_signal", "displacement_mm", "marked_frames"}}`
    """

    do: ClassVar[str] = "open"
    series: str
    signal: str
    times: list[float]
    ijk_to_ras: list[list[float]]
    echo_time: float | None = None
    name: str = "series"
    mask: str | None = None
    drop_frames: int | Literal["auto"] = "auto"
    mend: str = "auto"
    bolus: int | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Close:
    """Let go of a series, and of its file. A handle that names nothing is fine.

    :returns: `{}`
    """

    do: ClassVar[str] = "close"
    series: str


@dataclass(frozen=True)
class Aif:
    """The arterial input at full dose.

    :param aif: where it comes from, see `AifSource`
    :param baseline: frames of S0: "first", "auto" (all before the bolus), or a number
    :returns: `{"curve": [...], "times": [...]` (of the steady frames, seconds)`, "source": "automatic, mean of 12
        voxels", "unit": "1/s"` or `"TE * delta R2*, without unit", "voxels": "5/voxels.npy", "voxel_count": 12}`
        ((Z, Y, X) bool)
    """

    do: ClassVar[str] = "aif"
    series: str
    aif: AifSource = "auto"
    baseline: int | Literal["first", "auto"] = "auto"


@dataclass(frozen=True)
class WhiteMatter:
    """Normal white matter, found in the series: what nCBV is in multiples of.

    :returns: `{"nawm": "6/nawm.npy"` ((Z, Y, X) bool, or null where none is found)`, "source": "automatic"` or
        `"estimated"` (from the brain's mean, where none is found)`, "side": "left", "right"` or `"both", "milliliters":
        41.5, "note": sentence}`
    """

    do: ClassVar[str] = "white_matter"
    series: str


@dataclass(frozen=True)
class Preview:
    """Predict some slices for somebody who waits: all of them from few strips, then all of them exactly.

    Two rounds of `part` replies, one a slice and round:
    `{"slice": z, "stage": "first"` or `"exact", "cbv": "7/first_cbv_012.npy", "uncertainty": ..., "closed_form": ...,
    "uncertainty_is": "..."}`. The files are (Y, X) float32 on the grid of the series, in the unit of `predict`:
    relative CBV as a fraction of the artery's, 0 outside the brain (`closed_form` is not cut). `uncertainty_is` says
    in words which of the two kinds the checkpoint has. What makes the preview fast makes it slightly different
    from the slice that `predict` gives: the voxels of an automatic arterial input are those of the full dose, the scale
    is that of the slices asked for, and z-scores use the signal's statistics at full dose. At full dose with all slices
    asked for, `exact` equals `predict` to the last bit.

    :param checkpoint: path, or None for the shipped stU-Net
    :param dose: in (0, 1]
    :param method: "equation1" or "noise-matched"
    :param seed: of the noise
    :param slices: numbers of the slices, from 0
    :param device: "auto", or as torch names it
    :param threads: see `Threads`
    :param batch: strips at a time
    :param aif: see `AifSource`
    :returns: `{"device": "cpu", "seconds": 1.2, "seconds_to_first": 0.4}`
    """

    do: ClassVar[str] = "preview"
    series: str
    slices: list[int]
    checkpoint: str | None = None
    dose: float = 1.0
    method: str = DEFAULT_METHOD
    seed: int = 0
    device: str = "auto"
    threads: Threads = None
    batch: int = 8
    aif: AifSource = "auto"


@dataclass(frozen=True)
class Predict:
    """The CBV map of the whole series, as `stunet-perfusion predict` computes it.

    Arguments as of `preview`.

    :param stride: rows from one strip to the next; 1 is the paper's
    :param nawm: .npy, (Z, Y, X) bool, normal white matter; None finds it (once for all doses of an open series)
    :returns: `{"cbv", "standardized", "uncertainty", "closed_form"` (files, (Z, Y, X) float32; CBVs as a fraction)`,
        "ncbv", "ncbv_uncertainty"` (files, in multiples of white matter; null where it holds no blood)`, "nawm"` (file,
        (Z, Y, X) bool; null where none is found)`,
        "aif": {"curve", "times", "source", "unit"}, "report": {...}` (as the command's report.json)`, "device": "cpu",
        "seconds": 73.1}`
    """

    do: ClassVar[str] = "predict"
    series: str
    checkpoint: str | None = None
    dose: float = 1.0
    method: str = DEFAULT_METHOD
    seed: int = 0
    stride: int = 1
    batch: int = 8
    device: str = "auto"
    threads: Threads = None
    aif: AifSource = "auto"
    nawm: str | None = None


@dataclass(frozen=True)
class Reference:
    """The reference maps, as `stunet-perfusion reference` computes them; at a lower dose, of the simulated series.

    :param baseline: "first" as Verbena, "auto" (all frames before the bolus), or a number of frames
    :param leakage_correction: of CBV, after Boxerman
    :param all_maps: as `reference --maps all`: `maps` then holds tmax, bat, ttp, peak_height, fwhm, psr, k2,
        cbv_corrected, k2_bidirectional, kep, cbv_corrected_bidirectional, and what is over white matter (psr_ratio,
        ncbv_corrected, ncbv_corrected_bidirectional), too
    :param absolute: CBV in ml/100 g and CBF in ml/100 g/min
    :param threads: processes that deconvolve; None as above
    :param nawm: as of `predict`
    :returns: `{"maps": {"cbv": {"file": "8/cbv.npy", "unit": "fraction"}, "cbf": {... "1/s"}, "mtt": {... "s"},
        "k2": {... "1/s"}` (with leakage correction only)`}, "ncbv", "nawm"` (as of `predict`)`, "aif": {"curve",
        "times", "source", "unit", "voxels": "8/aif_voxels.npy"}, "report": {...}` (as the command's report.json)`,
        "seconds": 3.2}`; maps are (Z, Y, X) float32
    """

    do: ClassVar[str] = "reference"
    series: str
    dose: float = 1.0
    method: str = DEFAULT_METHOD
    seed: int = 0
    aif: AifSource = "auto"
    baseline: int | Literal["first", "auto"] = "auto"
    leakage_correction: bool = False
    all_maps: bool = False
    absolute: bool = False
    threads: Threads = None
    nawm: str | None = None


@dataclass(frozen=True)
class LowDose:
    """The whole series at a lower dose. Frames that are not in steady state pass unchanged.

    :returns: `{"signal": "9/signal.npy"` ((T, Z, Y, X) float32, all frames of the input)`, "note": "Simulated at ..."}`
    """

    do: ClassVar[str] = "low_dose"
    series: str
    dose: float
    method: str = DEFAULT_METHOD
    seed: int = 0


@dataclass(frozen=True)
class VerbenaInput:
    """The series at a dose, its brain and an arterial input as FSL's program `verbena` reads them: NIfTI files that are
    not compressed, steady frames only.

    :param curve: the arterial input at full dose as `aif` answers it, one value a steady frame
    :returns: `{"folder": "9"}`, which holds `data.nii`, `mask.nii`, and `aif.nii` with the curve in every voxel
    """

    do: ClassVar[str] = "verbena_input"
    series: str
    curve: list[float]
    dose: float = 1.0
    method: str = DEFAULT_METHOD
    seed: int = 0


@dataclass(frozen=True)
class Compare:
    """How well a map agrees with a reference.

    :param map: .npy, (Z, Y, X)
    :param reference: .npy, (Z, Y, X), in the same unit
    :param mask: .npy, (Z, Y, X) bool, the brain
    :param tumor: .npy, or None
    :param nawm: .npy, normal-appearing white matter, or None
    :param names: what messages call the two maps
    :returns: the numbers of `metrics.compare_maps`: `{"l1", "l2", "ssim", "ssim_range", "pearson", "concordance",
        "nrmse", "bias", "limit_low", "limit_high"}`, with a tumor `tumor_l1`, `tumor_l2`, `tumor_ssim`, with
        both `nrcbv`, `nrcbv_reference`, `nrcbv_error`
    """

    do: ClassVar[str] = "compare"
    map: str
    reference: str
    mask: str
    tumor: str | None = None
    nawm: str | None = None
    names: list[str] | None = None


@dataclass(frozen=True)
class MeasureRegion:
    """Numbers of a region in maps of an open series, as `stunet-perfusion regions` computes them.

    :param maps: .npy files, (Z, Y, X) float32, by name: `ncbv`, and `ncbv_uncertainty`, `psr`, `tmax`, ... where there
    :param region: .npy, (Z, Y, X) bool
    :param nawm: .npy, (Z, Y, X) bool, white matter, for the histogram; or None
    :param mirror: measure the other side, too; the plane of symmetry is found once for an open series
    :param turn: degrees by which it is turned, counterclockwise from above
    :param shift: mm by which it is shifted to the patient's right
    :param hot_spot: diameter of the disk, voxels
    :param thresholds: nCBV between the classes of tumor burden; None takes 1.0 and 1.75
    :returns: `{"numbers": {...}` (`RegionNumbers.as_json`)`, "histogram": {"edges": [...], "shares": {"region": [...],
        "white_matter": [...]}}, "files": {"tumor_burden", "hot_spot", "mirror"}}` (uint8 labels and bool masks)
    """

    do: ClassVar[str] = "measure_region"
    series: str
    maps: dict
    region: str
    nawm: str | None = None
    mirror: bool = False
    turn: float = 0.0
    shift: float = 0.0
    hot_spot: float = 3.0
    thresholds: list | None = None


@dataclass(frozen=True)
class RegisterAnatomy:
    """Where an anatomic image (T1 after contrast, FLAIR, T2) lies, seen from an open series. Takes seconds.

    :param image: .npy, (K, J, I)
    :param ijk_to_ras: of the image, 4 rows of 4 numbers
    :param name: what messages call the image
    :returns: `{"to_anatomy_ras": [[...4 rows of 4...]]` (from a place in the series to that in the image, mm)`,
        "turn_degrees", "shift_mm", "mutual_information", "mutual_information_displaced", "note": sentence}`
    """

    do: ClassVar[str] = "register_anatomy"
    series: str
    image: str
    ijk_to_ras: list
    name: str = "anatomy"


@dataclass(frozen=True)
class Sample:
    """The sample case: a drawn head with a tumor, the same each time. Takes some seconds.

    :returns: `{"name", "signal": "11/signal.npy"` ((T, Z, Y, X) float32)`, "times": [...]` (seconds)`, "ijk_to_ras": [[
        ...4 rows of 4...]], "echo_time": 0.03, "brain", "tumor", "nawm", "vessels"` ((Z, Y, X) bool files)`, "cbv"`
        (the truth, (Z, Y, X) float32 file, fraction)`}`
    """

    do: ClassVar[str] = "sample"


@dataclass(frozen=True)
class ExportDicom:
    """Write maps as DICOM into a folder of the user's: the one thing that a worker writes outside of its own. The
    folder gets all files or none; it must be new or empty. Needs the package highdicom.

    :param maps: .npy files, (Z, Y, X) float32 each, by what they are: cbv, cbv_uncertainty, cbv_standardized, cbf, mtt
    :param ijk_to_ras: 4 rows of 4 numbers, voxel (column, row, slice) to mm, right-anterior-superior
    :param origin: fields of `dicom_export.origin.MapOrigin`: method, checkpoint, checkpoint_sha256, dose, dose_method
    :param output: the folder
    :param source: the folder with the DICOM files of the series that the maps were computed from: its patient and study
        are those of the maps. None makes a study of nobody
    :param format: "parametric-map", "mr" or "both"
    :returns: `{"files": 8, "notes": [sentences]}`
    """

    do: ClassVar[str] = "export_dicom"
    maps: dict[str, str]
    ijk_to_ras: list[list[float]]
    origin: dict[str, Any]
    output: str
    source: str | None = None
    format: str = "both"


@dataclass(frozen=True)
class Shutdown:
    """Finish what was asked for before, answer `{}`, and leave."""

    do: ClassVar[str] = "shutdown"


Request = (
    Environment
    | Describe
    | Open
    | Close
    | Aif
    | WhiteMatter
    | Preview
    | Predict
    | Reference
    | LowDose
    | VerbenaInput
    | Compare
    | MeasureRegion
    | RegisterAnatomy
    | Sample
    | ExportDicom
    | Shutdown
)

#: The class of each `do`.
REQUESTS: dict[str, type[Request]] = {kind.do: kind for kind in get_args(Request)}
