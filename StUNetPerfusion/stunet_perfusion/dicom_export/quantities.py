"""What a map shows, in the codes of DICOM.

Concepts: DICOM PS3.16, CID 4108 "Perfusion Model Parameter", which is part of CID 7180 "Abstract Multi-dimensional
Image Model Component Semantics", and DCM 113071 of the latter. The codes for cerebral blood volume and flow (113056,
113055) are retired in favor of these. Units: UCUM, as CID 4108 and CID 7181 give them. CAPLEX: the lexicon of OSIPI,
whose blood volume (a relative volume fraction) and blood flow are per 100 ml of tissue too.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.sr.coding import Code

from stunet_perfusion.support.errors import InputError


@dataclass(frozen=True)
class Quantity:
    """One kind of map.

    :param name: what files of it are called
    :param label: at most 16 characters
    :param meaning: one phrase of at most 64 characters
    :param concept: what is measured
    :param unit: of the exported values
    :param unit_label: the same for people, short
    :param factor: from the map's values to the exported ones
    :param derivation: set where the map holds a statistic of the concept, not the concept
    :param window: the fixed display window (low, high) in `unit`, or None to find it in the values
    :param caplex: code in the CAPLEX lexicon, empty where it has none
    """

    name: str
    label: str
    meaning: str
    concept: Code
    unit: Code
    unit_label: str
    factor: float = 1.0
    derivation: Code | None = None
    window: tuple[float, float] | None = None
    caplex: str = ""


_RELATIVE_VOLUME = Code("126398", "DCM", "Relative Regional Blood Volume")
_ABSOLUTE_VOLUME = Code("126391", "DCM", "Absolute Regional Blood Volume")
_RELATIVE_FLOW = Code("126397", "DCM", "Relative Regional Blood Flow")
_ABSOLUTE_FLOW = Code("126390", "DCM", "Absolute Regional Blood Flow")
_TRANSIT_TIME = Code("113052", "DCM", "Mean Transit Time")
_Z_SCORE = Code("113071", "DCM", "Z-score")
#: CID 7464, as a value of (121401, DCM, "Derivation") of CID 9000.
_STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")

_PER_100_ML = Code("ml/(100.ml)", "UCUM", "ml/(100.ml)")
_PER_100_G = Code("ml/(100.g)", "UCUM", "ml/(100.g)")
_PER_100_ML_MINUTE = Code("ml/(100.ml)/min", "UCUM", "ml/(100.ml)/min")
_PER_100_G_MINUTE = Code("ml/(100.g)/min", "UCUM", "ml/(100.g)/min")
_SECOND = Code("s", "UCUM", "s")
_NO_UNIT = Code("1", "UCUM", "no units")
_RATIO = Code("{ratio}", "UCUM", "ratio")
_PERCENT = Code("%", "UCUM", "Percent")
_PER_SECOND = Code("/s", "UCUM", "/s")

_TMAX = Code("113084", "DCM", "Tmax")
_ARRIVAL = Code("126371", "DCM", "Bolus Arrival Time")
_TIME_TO_PEAK = Code("113069", "DCM", "Time To Peak")
_MAXIMUM_DIFFERENCE = Code("126376", "DCM", "Maximum Difference")
_BACK = Code("126313", "DCM", "kep")
_WIDTH = Code("FWHM", "99STUNETPERF", "Full width at half maximum")
_RECOVERY = Code("PSR", "99STUNETPERF", "Percentage signal recovery")
_LEAKAGE = Code("K2", "99STUNETPERF", "Leakage scaling term K2")


def _over_white_matter(name: str, label: str, meaning: str) -> Quantity:
    return Quantity(name, label, meaning, _RELATIVE_VOLUME, _RATIO, "x white matter", window=(0.0, 6.0))


def _fraction(name: str, label: str, meaning: str) -> Quantity:
    return Quantity(name, label, meaning, _RELATIVE_VOLUME, _PER_100_ML, "ml/100ml", factor=100.0)


def _of_seconds(
    name: str, label: str, meaning: str, concept: Code, window: tuple[float, float] | None = None, caplex: str = ""
) -> Quantity:
    return Quantity(name, label, meaning, concept, _SECOND, "s", window=window, caplex=caplex)


#: A fraction is 100 ml per 100 ml, and 1/s is 6000 ml per 100 ml and minute: the same values, in numbers that viewers
#: show. Many of them cannot window an image whose values are all below 1.
_RELATIVE = (
    _over_white_matter("ncbv", "nCBV", "Blood volume in multiples of normal white matter"),
    Quantity(
        "ncbv_uncertainty",
        "nCBV uncertainty",
        "Standard deviation of nCBV",
        _RELATIVE_VOLUME,
        _RATIO,
        "x white matter",
        derivation=_STANDARD_DEVIATION,
        window=(0.0, 2.0),
    ),
    Quantity(
        "cbv",
        "CBV",
        "Blood volume, relative to the arterial input",
        _RELATIVE_VOLUME,
        _PER_100_ML,
        "ml/100ml",
        factor=100.0,
        caplex="Q.PH1.001.[b]",
    ),
    Quantity(
        "cbf",
        "CBF",
        "Blood flow, relative to the arterial input",
        _RELATIVE_FLOW,
        _PER_100_ML_MINUTE,
        "ml/100ml/min",
        factor=6000.0,
        caplex="Q.PH1.003",
    ),
    Quantity("mtt", "MTT", "Mean transit time", _TRANSIT_TIME, _SECOND, "s", caplex="Q.PH1.006.[b]"),
    Quantity(
        "cbv_uncertainty",
        "CBV uncertainty",
        "SD of CBV over the strips that cover a pixel",
        _RELATIVE_VOLUME,
        _PER_100_ML,
        "ml/100ml",
        factor=100.0,
        derivation=_STANDARD_DEVIATION,
    ),
    Quantity(
        "cbv_standardized",
        "CBV z-score",
        "Blood volume as z-score over the brain",
        _Z_SCORE,
        _NO_UNIT,
        "z",
        window=(-5.0, 5.0),
    ),
)

#: What `reference --maps all` adds. Peak height is a maximum difference. Width, signal recovery and leakage have no
#: code in the standard, and are named by codes of this program's own scheme.
_OTHERS = (
    _over_white_matter("ncbv_corrected", "nCBV corrected", "nCBV, corrected for leakage (Boxerman 2006)"),
    _over_white_matter("ncbv_corrected_bidirectional", "nCBV corr. 2-way", "nCBV, corrected for leakage (Leu 2016)"),
    _of_seconds("tmax", "Tmax", "Time of the residue function's maximum", _TMAX, window=(0.0, 12.0)),
    _of_seconds("bat", "BAT", "Bolus arrival time", _ARRIVAL, caplex="Q.BA1.001"),
    _of_seconds("ttp", "TTP", "Time from bolus arrival to peak", _TIME_TO_PEAK, caplex="Q.CD1.010"),
    _of_seconds("fwhm", "FWHM", "Full width of the first pass at half maximum", _WIDTH),
    Quantity(
        "peak_height",
        "Peak height",
        "Largest delta R2* of the first pass",
        _MAXIMUM_DIFFERENCE,
        _PER_SECOND,
        "1/s",
        caplex="Q.CD1.008",
    ),
    Quantity("psr", "PSR", "Percentage signal recovery", _RECOVERY, _PERCENT, "%", window=(0.0, 150.0)),
    Quantity(
        "psr_ratio",
        "PSR ratio",
        "Percentage signal recovery over white matter",
        _RECOVERY,
        _RATIO,
        "x white matter",
        window=(0.0, 2.0),
    ),
    Quantity("k2", "K2", "Leakage K2 (Boxerman 2006)", _LEAKAGE, _PER_SECOND, "1/s", caplex="Q.LC1.002"),
    Quantity("k2_bidirectional", "K2 2-way", "Leakage K2 (Leu 2016)", _LEAKAGE, _PER_SECOND, "1/s", caplex="Q.LC1.002"),
    Quantity("kep", "kep", "Rate at which leaked agent comes back (Leu 2016)", _BACK, _PER_SECOND, "1/s"),
    _fraction("cbv_corrected", "CBV corrected", "Blood volume, corrected for leakage (Boxerman 2006)"),
    _fraction("cbv_corrected_bidirectional", "CBV corr. 2-way", "Blood volume, corrected for leakage (Leu 2016)"),
)
_ABSOLUTE = (
    Quantity("cbv", "CBV", "Blood volume", _ABSOLUTE_VOLUME, _PER_100_G, "ml/100g"),
    Quantity("cbf", "CBF", "Blood flow", _ABSOLUTE_FLOW, _PER_100_G_MINUTE, "ml/100g/min"),
)

#: The names of maps that can be exported.
QUANTITIES = tuple(quantity.name for quantity in (*_RELATIVE, *_OTHERS))

#: Maps that are 0 in many voxels of the brain, where a curve tells nothing, or where tissue is as early as the artery.
SPARSE = tuple(quantity.name for quantity in _OTHERS)

#: Units of maps that are absolute, as reports of this program name them.
ABSOLUTE_UNITS = frozenset({"ml/100 g", "ml/100 g/min"})


def quantity_of(name: str, absolute: bool = False) -> Quantity:
    """What a map of this name shows.

    :param name: one of `QUANTITIES`
    :param absolute: whether CBV is in ml/100 g and CBF in ml/100 g/min; else they are a fraction and 1/s
    :raises InputError: no such quantity
    """
    for quantity in (_ABSOLUTE if absolute else ()) + _RELATIVE + _OTHERS:
        if quantity.name == name:
            return quantity
    raise InputError(name, "is no map that DICOM has a code for", f"export some of {', '.join(QUANTITIES)}")
