"""How well a perfusion map agrees with a reference: the paper's numbers, and those that a radiologist asks for.

The paper scores standardized maps: L1, L2 and SSIM, over the brain and over the tumor (Table 1). Ratios and limits of
agreement mean something only on physical maps, where no blood is 0. `compare_maps` gives each on its own ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.metrics import normalized_root_mse, structural_similarity

from stunet_perfusion.kinetics.cbv_scale import CLIP, cbv_scale, has_spread
from stunet_perfusion.support.errors import InputError, Setting

#: Standardized maps are clipped to plus and minus 5, so this is the range that SSIM's constants are taken of.
STANDARDIZED_RANGE = 2 * CLIP

#: Wang 2004: a Gaussian window with this standard deviation in pixels, cut off after 5 pixels, so 11 x 11 ...
SSIM_SIGMA = 1.5
SSIM_WINDOW = 11

#: ... and constants (K1 range)^2 and (K2 range)^2.
SSIM_K1, SSIM_K2 = 0.01, 0.03

#: Bland and Altman 1986: 95 % of normally distributed differences are within so many standard deviations.
NORMAL_95 = 1.96


#: Maps of one head and one unit differ by less than this in the brain's median.
LARGEST_RATIO_OF_ONE_UNIT = 1.5


@dataclass(frozen=True)
class Agreement:
    """Bland and Altman's limits of agreement, in the unit of the maps.

    :param bias: mean of map minus reference
    :param low: lower 95 % limit, bias - 1.96 standard deviations of the difference
    :param high: upper 95 % limit
    """

    bias: float
    low: float
    high: float


def standardized(values: np.ndarray, mask: np.ndarray, name: str = "map") -> np.ndarray:
    """A map as the paper scores it: minus the brain's mean, over its standard deviation, clipped to [-5, 5].

    :param values: (Z, Y, X) any unit
    :param mask: (Z, Y, X) bool, the brain
    :param name: what an error calls the map
    :returns: (Z, Y, X) float32
    :raises InputError: the map has one and the same value in all of the brain
    """
    if not has_spread(values[mask]):
        raise InputError(name, "has the same value in the whole mask", "give a map that was computed, not an empty one")
    return cbv_scale(values, mask).to_standardized(values)


def l1(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> float:
    """Mean absolute difference over the voxels `where`, in the unit of the maps. All three are (Z, Y, X)."""
    return float(np.abs(_difference(values, reference, where)).mean())


def l2(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> float:
    """Mean squared difference over the voxels `where`, in the squared unit of the maps. All three are (Z, Y, X)."""
    return float(np.square(_difference(values, reference, where)).mean())


def ssim(
    values: np.ndarray,
    reference: np.ndarray,
    where: np.ndarray,
    value_range: float = STANDARDIZED_RANGE,
    averaged_over: np.ndarray | None = None,
) -> float:
    """Structural similarity (Wang 2004): 11 x 11 Gaussian window, sigma 1.5, K 0.01 and 0.03.

    Computed slice by slice in the plane, then averaged over all pixels `where` of all slices. The windows of pixels at
    the rim reach out of the mask; there both maps are set to 0 (the brain's mean, on standardized maps), so that what
    one program writes outside the brain and the other does not is not counted as a difference. At the border of the
    image the window sees it mirrored. Weighted variances are divided by the sum of weights, as Wang does.

    :param values: (Z, Y, X)
    :param reference: (Z, Y, X)
    :param where: (Z, Y, X) bool
    :param value_range: L of the paper, largest minus smallest value that is possible
    :param averaged_over: (Z, Y, X) bool, a part of `where` whose pixels alone are averaged; windows see all of `where`
    :returns: 1 for identical maps, lower otherwise; can be negative
    :raises InputError: slices smaller than the window
    """
    counted = where if averaged_over is None else averaged_over
    _check_shapes(values, reference, where)
    _check_shapes(values, reference, counted)
    if min(values.shape[1:]) < SSIM_WINDOW:
        rows, columns = values.shape[1:]
        raise InputError(
            "map",
            f"slices of {columns} x {rows} pixels are smaller than the SSIM window of {SSIM_WINDOW} pixels",
            "give maps with larger slices",
        )
    total = 0.0
    for z in np.flatnonzero(counted.any(axis=(1, 2))):
        _, similarity = structural_similarity(
            np.where(where[z], reference[z], 0).astype(np.float64),
            np.where(where[z], values[z], 0).astype(np.float64),
            data_range=value_range,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            K1=SSIM_K1,
            K2=SSIM_K2,
            full=True,
        )
        total += float(similarity[counted[z]].sum())
    return total / int(counted.sum())


def concordance(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> float:
    """Lin's concordance correlation coefficient (Biometrics 1989): 1 only where both maps are the same number.

    2 cov / (var + var' + (mean - mean')^2), moments over n. Unlike Pearson's r it falls with any scale or offset.
    """
    _check_shapes(values, reference, where)
    x, y = values[where].astype(np.float64), reference[where].astype(np.float64)
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * covariance / spread) if spread else 1.0


def pearson(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> float:
    """Pearson's correlation coefficient over the voxels `where`.

    :raises InputError: one of the maps is constant there
    """
    _check_shapes(values, reference, where)
    x, y = values[where].astype(np.float64), reference[where].astype(np.float64)
    if not (has_spread(x) and has_spread(y)):
        raise InputError("map", "is constant, so it has no correlation with anything", "give a map that was computed")
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)), -1, 1))


def nrmse(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> float:
    """Root mean squared difference over the root mean square of the reference, over the voxels `where`."""
    _check_shapes(values, reference, where)
    x, y = values[where].astype(np.float64), reference[where].astype(np.float64)
    return float(normalized_root_mse(y, x, normalization="euclidean"))


def bland_altman(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> Agreement:
    """Bias and 95 % limits of agreement (Bland and Altman 1986) of the voxels `where`; at least two of them."""
    difference = _difference(values, reference, where)
    bias, reach = float(difference.mean()), NORMAL_95 * float(difference.std(ddof=1))
    return Agreement(bias, bias - reach, bias + reach)


def unit_factor(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> float:
    """The factor that brings a map nearest to a reference, by least squares through zero.

    :param values: (Z, Y, X) with a true zero
    :param reference: (Z, Y, X) with a true zero, in any unit
    :param where: (Z, Y, X) bool
    :raises InputError: the maps have nothing in common, so that no factor brings them together
    """
    _check_shapes(values, reference, where)
    x, y = values[where].astype(np.float64), reference[where].astype(np.float64)
    factor = float(x @ y / (x @ x)) if x.any() else 0.0
    if not (np.isfinite(factor) and factor > 0):
        raise InputError("map", "does not rise with the reference, so no factor brings them together", "check both")
    return factor


def likely_of_other_unit(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> bool:
    """Whether two maps of one brain differ so much in size that their units differ. All are (Z, Y, X)."""
    one, other = (float(np.median(image[where])) for image in (values, reference))
    if not (one > 0 and other > 0):
        return False
    return max(one / other, other / one) > LARGEST_RATIO_OF_ONE_UNIT


def nrcbv(values: np.ndarray, tumor: np.ndarray, nawm: np.ndarray, name: str = "map") -> float:
    """Normalized relative CBV: the tumor's mean over that of normal-appearing white matter (NAWM).

    :param values: (Z, Y, X) CBV with a physical zero: not a z-score
    :param tumor: (Z, Y, X) bool
    :param nawm: (Z, Y, X) bool
    :param name: what an error calls the map
    :raises InputError: the mean of NAWM is not positive, so that there is no ratio to it
    """
    white_matter = float(values[nawm].mean(dtype=np.float64))
    if not white_matter > 0:
        raise InputError(
            name,
            f"has a mean of {white_matter:g} in normal-appearing white matter, so there is no ratio to it",
            "give a map whose zero means no blood (a standardized map has no such zero), or leave white matter out",
            Setting.WHITE_MATTER,
        )
    return float(values[tumor].mean(dtype=np.float64)) / white_matter


def compare_maps(
    values: np.ndarray,
    reference: np.ndarray,
    mask: np.ndarray,
    tumor: np.ndarray | None = None,
    nawm: np.ndarray | None = None,
    *,
    standardize: bool = True,
    value_range: float | None = None,
    names: tuple[str, str] = ("map", "reference"),
) -> dict[str, float]:
    """Every number at once.

    :param values: (Z, Y, X) the map to score
    :param reference: (Z, Y, X) what it should be, in the same unit
    :param mask: (Z, Y, X) bool, the brain
    :param tumor: (Z, Y, X) bool, or None
    :param nawm: (Z, Y, X) bool, normal-appearing white matter, or None
    :param standardize: L1, L2 and SSIM on maps that are each standardized over the mask, as in the paper; otherwise on
        the maps as they are
    :param value_range: of SSIM; by default 10 on standardized maps, else from the reference's lowest to highest value
        in the mask
    :param names: what errors call the two maps
    :returns: `l1`, `l2`, `ssim` with its `ssim_range`, and with a tumor `tumor_l1`, `tumor_l2`, `tumor_ssim`
        (standardized where asked for); `pearson`, `concordance`, `nrmse`, `bias`, `limit_low`, `limit_high` of the maps
        as they are; with tumor and NAWM `nrcbv`, `nrcbv_reference` and `nrcbv_error` (map minus reference), of the maps
        as they are
    :raises InputError: an empty mask, voxels that are not numbers, or a map that is constant in the mask
    """
    regions = {"mask": mask, "tumor mask": tumor, "white-matter mask": nawm}
    for name, region in regions.items():
        if region is not None:
            _check_region(values, reference, region, name, names)
    scored = (values, reference)
    if standardize:
        scored = (standardized(values, mask, names[0]), standardized(reference, mask, names[1]))
    if value_range is None:
        value_range = STANDARDIZED_RANGE if standardize else float(np.ptp(reference[mask]))
    scores = {"l1": l1(*scored, mask), "l2": l2(*scored, mask), "ssim": ssim(*scored, mask, value_range)}
    scores["ssim_range"] = float(value_range)
    if tumor is not None:
        scores |= {"tumor_l1": l1(*scored, tumor), "tumor_l2": l2(*scored, tumor)}
        scores["tumor_ssim"] = ssim(*scored, mask | tumor, value_range, averaged_over=tumor)
    agreement = bland_altman(values, reference, mask)
    scores |= {
        "pearson": pearson(values, reference, mask),
        "concordance": concordance(values, reference, mask),
        "nrmse": nrmse(values, reference, mask),
        "bias": agreement.bias,
        "limit_low": agreement.low,
        "limit_high": agreement.high,
    }
    if tumor is not None and nawm is not None:
        ratio, expected = nrcbv(values, tumor, nawm, names[0]), nrcbv(reference, tumor, nawm, names[1])
        scores |= {"nrcbv": ratio, "nrcbv_reference": expected, "nrcbv_error": ratio - expected}
    return scores


def _difference(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> np.ndarray:
    _check_shapes(values, reference, where)
    return values[where].astype(np.float64) - reference[where].astype(np.float64)


def _check_shapes(values: np.ndarray, reference: np.ndarray, where: np.ndarray) -> None:
    if not values.shape == reference.shape == where.shape:
        raise ValueError(f"map, reference and mask differ in shape: {values.shape}, {reference.shape}, {where.shape}")


def _check_region(
    values: np.ndarray, reference: np.ndarray, region: np.ndarray, name: str, names: tuple[str, str]
) -> None:
    _check_shapes(values, reference, region)
    if region.sum() < 2:
        raise InputError(name, f"holds {int(region.sum())} voxels", "draw it on the brain that the maps show")
    for map_name, array in zip(names, (values, reference), strict=True):
        if not np.isfinite(array[region]).all():
            raise InputError(map_name, f"has voxels in the {name} that are not numbers", "mend the map or the mask")
