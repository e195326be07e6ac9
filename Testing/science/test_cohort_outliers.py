"""Which cases of a cohort are unlike the others."""

from __future__ import annotations

import numpy as np

from stunet_perfusion.cohort.outliers import FEWEST_CASES, unusual_cases


def cohort(count: int, **odd: float) -> dict[str, dict[str, float | None]]:
    """Cases whose SNR is about 60; the last one has what `odd` says."""
    values = np.random.default_rng(0).normal(60, 3, count)
    cases: dict[str, dict[str, float | None]] = {
        f"c{n}": {"temporal_snr": float(value), "brain_ml": 1200.0, "nrcbv": None} for n, value in enumerate(values)
    }
    cases[f"c{count - 1}"] |= odd
    return cases


def test_a_case_far_from_the_others_is_named_with_its_number():
    assert unusual_cases(cohort(12)) == {}
    assert unusual_cases(cohort(12, temporal_snr=15.0)) == {"c11": ["temporal_snr"]}
    assert unusual_cases(cohort(12, brain_ml=300.0, temporal_snr=200.0)) == {"c11": ["brain_ml", "temporal_snr"]}


def test_few_cases_are_no_cohort_and_failed_ones_do_not_count():
    assert unusual_cases(cohort(FEWEST_CASES - 1, temporal_snr=15.0)) == {}
    assert unusual_cases(cohort(12, temporal_snr=15.0) | {"failed": {}}) == {"c11": ["temporal_snr"]}
