"""Table 1 of the paper: means and standard deviations over 12 patients of TCIA QIN-BRAIN-DSC-MRI.

L2, t-L2, L1 and t-L1 of standardized maps, and SSIM. Other data than anything this program evaluates: these figures
stand beside a table, they are not comparable cell by cell.
"""

from __future__ import annotations

SOURCE = "Veron Vialard et al. 2021, Table 1: 12 patients of TCIA QIN-BRAIN-DSC-MRI, another data set"

#: Column to dose to score to (mean, standard deviation).
PAPER_TABLE: dict[str, dict[float, dict[str, tuple[float, float]]]] = {
    "Verbena": {
        0.5: {
            "l2": (0.1597, 0.0370),
            "tumor_l2": (0.1124, 0.1550),
            "l1": (0.2269, 0.0370),
            "tumor_l1": (0.2062, 0.1459),
            "ssim": (0.7790, 0.0422),
        },
        0.25: {
            "l2": (0.7090, 0.7447),
            "tumor_l2": (0.3867, 0.4345),
            "l1": (0.4616, 0.1911),
            "tumor_l1": (0.4166, 0.2432),
            "ssim": (0.5908, 0.0657),
        },
    },
    "Hess": {
        1.0: {
            "l2": (0.3871, 0.1506),
            "tumor_l2": (0.2630, 0.6729),
            "l1": (0.3401, 0.0549),
            "tumor_l1": (0.2689, 0.2151),
            "ssim": (0.6316, 0.0571),
        },
        0.5: {
            "l2": (0.3900, 0.1595),
            "tumor_l2": (0.2809, 0.7244),
            "l1": (0.3387, 0.0604),
            "tumor_l1": (0.2731, 0.2247),
            "ssim": (0.6367, 0.0547),
        },
        0.25: {
            "l2": (0.3982, 0.1586),
            "tumor_l2": (0.3006, 0.7035),
            "l1": (0.3472, 0.0609),
            "tumor_l1": (0.3007, 0.2232),
            "ssim": (0.6278, 0.0537),
        },
    },
    "stU-Net": {
        1.0: {
            "l2": (0.0838, 0.0352),
            "tumor_l2": (0.0593, 0.0644),
            "l1": (0.1758, 0.0405),
            "tumor_l1": (0.1652, 0.0937),
            "ssim": (0.8208, 0.0502),
        },
        0.5: {
            "l2": (0.0886, 0.0298),
            "tumor_l2": (0.0395, 0.0417),
            "l1": (0.1897, 0.0376),
            "tumor_l1": (0.1396, 0.0707),
            "ssim": (0.7919, 0.0517),
        },
        0.25: {
            "l2": (0.0968, 0.0272),
            "tumor_l2": (0.0626, 0.0748),
            "l1": (0.1822, 0.0235),
            "tumor_l1": (0.1753, 0.1089),
            "ssim": (0.8136, 0.0391),
        },
    },
}
