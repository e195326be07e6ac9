"""Arteries and veins drawn into an anatomy: the named ones along landmarks, the pial ones as random curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from stunet_perfusion.phantom.anatomy import PARENCHYMA, Anatomy, Tissue

#: First and last coordinate of the cerebrum in MNI space: z (feet to head), y (face to back), x (right to left).
_MNI_BOX = (np.array([-42.0, 73.0, 70.0]), np.array([80.0, -104.0, -70.0]))

#: How far a landmark is moved to reach fluid, mm.
_REACH = 8.0

_Point = tuple[float, float, float]
_Tube = tuple[float, tuple[_Point, ...]]

#: (radius in mm, way-points in MNI millimeters x, y, z). Lateral vessels are given for one side and mirrored.
_ARTERIES_LATERAL = (
    (2.2, ((15, -6, -46), (15, 2, -34), (14, 8, -26), (14, 6, -18))),  # internal carotid
    (1.8, ((14, 6, -18), (24, 6, -19), (34, 4, -14), (42, 2, -8))),  # middle cerebral, M1
    (1.3, ((42, 2, -8), (42, 12, 2), (46, 12, 14), (56, 10, 24), (56, 6, 38))),
    (1.3, ((42, 2, -8), (43, -6, 4), (44, -14, 12), (58, -16, 22), (60, -24, 36))),
    (1.3, ((42, 2, -8), (44, -18, 4), (50, -32, 14), (62, -42, 18), (60, -52, 28))),
    (1.4, ((14, 6, -18), (5, 10, -16), (4, 24, -8), (4, 40, 4), (4, 38, 22), (4, 24, 36))),  # anterior cerebral
    (1.0, ((4, 24, 36), (4, 0, 44), (4, -26, 46), (4, -44, 50))),
    (1.0, ((4, 38, 22), (4, 48, 34), (5, 42, 48))),
    (1.3, ((2, -17, -20), (14, -20, -16), (22, -32, -8), (18, -50, 0), (12, -76, 6))),  # posterior cerebral
)
_ARTERIES_MIDDLE = ((1.9, ((0, -16, -56), (0, -16, -44), (0, -17, -32), (0, -17, -20))),)  # basilar
_VEINS_LATERAL = (
    (1.2, ((3, 2, 14), (3, -16, 12), (3, -34, 8), (1, -42, 6))),  # internal cerebral
    (1.2, ((24, 0, -16), (20, -20, -14), (10, -36, 0), (1, -42, 6))),  # basal, of Rosenthal
    (1.5, ((36, 10, 58), (24, 0, 70), (8, -6, 76))),  # bridging
    (1.5, ((40, -30, 62), (26, -38, 72), (6, -40, 78))),
    (1.5, ((34, 34, 44), (22, 34, 54), (6, 30, 62))),
)
_SINUSES_LATERAL = ((3.2, ((0, -99, -14), (26, -95, -22), (46, -78, -26), (56, -58, -30), (52, -46, -40))),)
_SINUSES_MIDDLE = (
    (2.0, ((0, 64, 6), (0, 62, 32), (0, 46, 52), (0, 26, 66))),  # superior sagittal, front
    (2.8, ((0, 26, 66), (0, 0, 76), (0, -26, 80), (0, -50, 77), (0, -74, 62))),
    (3.6, ((0, -74, 62), (0, -92, 40), (0, -101, 18), (0, -102, 0), (0, -99, -14))),  # back, to the confluence
    (2.2, ((0, -42, 6), (0, -60, 0), (0, -80, -8), (0, -99, -14))),  # straight
)

#: Pial vessels: correlation length of the random fields whose common zeros they follow, mm, and how near these
#: zeros (in standard deviations) count as vessel.
_PIAL_LENGTH = 4.5
_PIAL_ARTERY = 0.32
_PIAL_VEIN = 0.60
_PIAL_REACH = 3.0  # mm from the brain's surface


def with_vessels(anatomy: Anatomy, generator: np.random.Generator) -> Anatomy:
    """The same head with arteries and veins.

    Landmarks are in proportion to the cerebrum's box, moved by up to 1.5 mm at random and then into the nearest
    fluid, so that branches run in the fissures. Dural sinuses are drawn only where the anatomy has none.
    """
    tissue = anatomy.tissue.copy()
    spacing = anatomy.grid.spacing[::-1]
    has_sinuses = (anatomy.tissue == Tissue.VEIN).sum() * spacing.prod() > 2000
    _draw_pial(tissue, anatomy, generator)
    veins = _both_sides(_VEINS_LATERAL)
    sinuses = [] if has_sinuses else [*_both_sides(_SINUSES_LATERAL), *_SINUSES_MIDDLE]
    arteries = [*_both_sides(_ARTERIES_LATERAL), *_ARTERIES_MIDDLE]
    moved: dict[tuple[Tissue, _Point], np.ndarray] = {}
    closed = (Tissue.AIR, Tissue.BONE, Tissue.SCALP)
    for kind, paths in ((Tissue.VEIN, veins), (Tissue.VEIN, sinuses), (Tissue.ARTERY, arteries)):
        # a sinus lies in the dura, which an anatomy without sinuses counts to the bone
        barrier = (Tissue.AIR, Tissue.SCALP) if paths is sinuses else closed
        for radius, path in paths:
            points = []
            for point in path:
                if (kind, point) not in moved:  # branches start where their stem ends
                    reach = 0.0 if paths is sinuses else _REACH
                    moved[kind, point] = _settle(point, anatomy, reach, generator)
                points.append(moved[kind, point])
            width = radius * generator.uniform(0.85, 1.15)
            _draw_tube(tissue, np.array(points), width, spacing, kind, barrier)
    return Anatomy(tissue, anatomy.grid, anatomy.name)


def _both_sides(paths: Sequence[_Tube]) -> list[_Tube]:
    return [(radius, tuple((side * x, y, z) for x, y, z in path)) for radius, path in paths for side in (1, -1)]


def _settle(point: _Point, anatomy: Anatomy, reach: float, generator: np.random.Generator) -> np.ndarray:
    """The voxel (z, y, x) of an MNI landmark in this head, in the nearest fluid within `reach` mm."""
    first, last = anatomy.brain_box
    share = (np.array(point[::-1], dtype=float) - _MNI_BOX[0]) / (_MNI_BOX[1] - _MNI_BOX[0])
    spacing = anatomy.grid.spacing[::-1]
    voxel = first + share * (last - first) + generator.uniform(-1.5, 1.5, 3) / spacing
    if reach == 0:
        return voxel
    half = np.ceil(reach / spacing).astype(int)
    low = np.maximum(np.round(voxel).astype(int) - half, 0)
    window = anatomy.tissue[tuple(slice(a, a + 2 * h + 1) for a, h in zip(low, half, strict=True))]
    fluid = np.argwhere((window == Tissue.FLUID) | (window == Tissue.ARTERY)) + low
    if not len(fluid):
        return voxel
    distance = np.linalg.norm((fluid - voxel) * spacing, axis=1)
    nearest = int(np.argmin(distance))
    return fluid[nearest].astype(float) if distance[nearest] <= reach else voxel


def _draw_tube(
    tissue: np.ndarray,
    points: np.ndarray,
    radius: float,
    spacing: np.ndarray,
    kind: Tissue,
    barrier: tuple[Tissue, ...],
) -> None:
    """Paint a tube of `radius` mm along `points` (n, 3), thinning to 80 %, except into `barrier`."""
    steps = np.linalg.norm(np.diff(points, axis=0) * spacing, axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    fine = np.linspace(0, along[-1], max(int(along[-1] / 0.5), 2))
    line = np.stack([np.interp(fine, along, points[:, axis]) for axis in range(3)], axis=1)
    line = ndimage.gaussian_filter1d(line, 4, axis=0, mode="nearest")
    half = np.ceil(radius / spacing).astype(int) + 1
    offsets = np.stack(np.meshgrid(*(np.arange(-h, h + 1) for h in half), indexing="ij"), axis=-1).reshape(-1, 3)
    voxels = np.round(line).astype(int)[:, None] + offsets
    distance = np.linalg.norm((voxels - line[:, None]) * spacing, axis=-1)
    voxels = voxels[distance <= radius * np.linspace(1, 0.8, len(line))[:, None]]
    voxels = voxels[((voxels >= 0) & (voxels < tissue.shape)).all(axis=1)]
    z, y, x = voxels.T
    soft = ~np.isin(tissue[z, y, x], barrier)
    tissue[z[soft], y[soft], x[soft]] = kind


def _draw_pial(tissue: np.ndarray, anatomy: Anatomy, generator: np.random.Generator) -> None:
    """Paint pial arteries and veins: curves where two smooth random fields take given values, within the fluid."""
    first, last = anatomy.brain_box
    spacing = anatomy.grid.spacing[::-1]
    box = tuple(slice(max(a - 3, 0), b + 4) for a, b in zip(first, last, strict=True))
    place = tissue[box]
    brain = np.isin(place, PARENCHYMA).view(np.uint8)
    by_the_brain = ndimage.maximum_filter(brain, size=2 * np.round(_PIAL_REACH / spacing).astype(int) + 1)
    fluid = np.nonzero((place == Tissue.FLUID) & (by_the_brain > 0))
    coarse = np.array(fluid, dtype=np.float32) * (spacing / _PIAL_LENGTH)[:, None].astype(np.float32) + 2
    shape = np.ceil((last - first + 8) * spacing / _PIAL_LENGTH).astype(int) + 5
    fields = []
    for _ in range(2):
        noise = ndimage.gaussian_filter(generator.standard_normal(shape, dtype=np.float32), 0.7)
        fields.append(ndimage.map_coordinates(noise / noise.std(), coarse, order=2))
    one, other = fields
    # veins follow another level of the same fields: near the arteries, never in them
    for kind, level, near in ((Tissue.ARTERY, 0.0, _PIAL_ARTERY), (Tissue.VEIN, 1.1, _PIAL_VEIN)):
        inside = (one - level) ** 2 + other**2 < near**2
        place[tuple(axis[inside] for axis in fluid)] = kind
