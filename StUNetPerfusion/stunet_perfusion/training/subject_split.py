"""Who is trained on, who is validated with, and who is tested: by person, never by series."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from stunet_perfusion.cases import PARTS

#: The paper's: 25 subjects to train, 12 to validate, 12 to test.
PAPER = (25, 12, 12)


def split_subjects(subjects: Iterable[str], seed: int = 0, shares: tuple[int, int, int] = PAPER) -> dict[str, str]:
    """Split persons at random in the ratio of `shares`.

    A subject's place in the order is a hash of its name and the seed, so that the order of the others stays as it is
    when a subject is missing, and hardly anybody changes sides.

    :param subjects: their names, in any order; one that comes twice counts once
    :returns: subject to `train`, `validation` or `test`. As many subjects as `shares` sum up to are split exactly so;
        other numbers in the same ratio, the largest remainders rounded up
    """
    order = sorted(set(subjects), key=lambda subject: hashlib.sha256(f"{seed}:{subject}".encode()).digest())
    counts = _in_ratio(len(order), shares)
    parts = [part for part, count in zip(PARTS, counts, strict=True) for _ in range(count)]
    return dict(zip(order, parts, strict=True))


def _in_ratio(count: int, shares: tuple[int, int, int]) -> list[int]:
    total = sum(shares)
    whole = [count * share // total for share in shares]
    remainders = [count * share % total for share in shares]
    largest = sorted(range(len(shares)), key=lambda part: -remainders[part])
    for part in largest[: count - sum(whole)]:
        whole[part] += 1
    return whole
