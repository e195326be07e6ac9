"""Whether a network does what it is meant to do, said in one line a goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stunet_perfusion.evaluation.classical import CLOSED_FORM, SMOOTHED
from stunet_perfusion.evaluation.methods import Method
from stunet_perfusion.evaluation.paper_table import PAPER_TABLE
from stunet_perfusion.evaluation.scores import PAPER_SCORES
from stunet_perfusion.evaluation.summary import Row, cell, doses_of, nrcbv_agreement, rows_of

#: A network's L2 has to be so many times smaller than that of the best classical row at the same dose.
TIMES_CLOSER = {1.0: 3.0, 0.5: 6.0, 0.25: 8.0}
NRCBV_CONCORDANCE = {1.0: 0.95, 0.25: 0.90}
COVERAGE = (0.93, 0.97)


@dataclass(frozen=True)
class Goal:
    """A goal and what was reached.

    :param sentence: what is wanted
    :param found: what was measured, for people
    :param met: whether it was reached
    """

    sentence: str
    found: str
    met: bool


def paper_goals(rows: Sequence[Row], network: str, methods: Sequence[Method]) -> list[Goal]:
    """Better than the paper's stU-Net in every cell, and never worse than a floor.

    :param rows: of one family, table `paper`
    """
    better, worse, cells = 0, {}, 0
    for dose in doses_of(rows):
        for score in PAPER_SCORES:
            own = cell(rows_of(rows, dose=dose, method=network), score)
            if not own.count:
                continue
            cells += 1
            sign = -1 if score == "ssim" else 1
            if sign * own.mean < sign * PAPER_TABLE["stU-Net"][dose][score][0]:
                better += 1
            for method in methods:
                other = cell(rows_of(rows, dose=dose, method=method.name), score)
                if method.kind == "floor" and other.count and sign * own.mean > sign * other.mean:
                    worse[method.title] = worse.get(method.title, 0) + 1
    return [
        Goal(
            "better than the paper's stU-Net (on its own data) in all cells",
            f"{better} of {cells}",
            0 < cells == better,
        ),
        Goal(
            "never worse than the floors",
            "; ".join(f"worse than {title} in {count} of {cells} cells" for title, count in worse.items()) or "never",
            not worse,
        ),
    ]


def truth_goals(rows: Sequence[Row], network: str, methods: Sequence[Method]) -> list[Goal]:
    """Times closer to the truth than the best classical row, agreement of nRCBV, coverage.

    The classical rows are the closed form over all frames with a mean baseline, smoothed and not. The closed form over
    the first pass, which this program scales its maps by, and the ridge regression are asked for separately.

    :param rows: of one family, table `truth`
    """
    closed = [method for method in methods if method.name == CLOSED_FORM or method.name.startswith(SMOOTHED)]
    others = [method for method in methods if method.kind != "network"]
    classical = {dose: _best(rows, closed, dose) for dose in doses_of(rows)}
    goals = []
    for dose, best in classical.items():
        own = cell(rows_of(rows, dose=dose, method=network), "l2")
        if best is None or not own.count:
            continue
        wanted, times = TIMES_CLOSER.get(dose, 1.0), best[0] / own.mean
        sentence = f"L2 at {100 * dose:g} % dose {wanted:g} times below the best classical row"
        goals.append(Goal(sentence, f"{times:.2f} times ({best[1]})", times >= wanted))
        any_other = _best(rows, others, dose)
        sentence = f"L2 at {100 * dose:g} % dose below every row that is no network"
        found = f"{own.mean:.4f} against {any_other[0]:.4f} ({any_other[1]})"
        goals.append(Goal(sentence, found, own.mean < any_other[0]))
    if classical.get(1.0) and (own := cell(rows_of(rows, dose=0.25, method=network), "l2")).count:
        goals.append(
            Goal(
                "L2 at a quarter of the dose below the best classical row at full dose",
                f"{own.mean:.4f} against {classical[1.0][0]:.4f} ({classical[1.0][1]})",
                own.mean < classical[1.0][0],
            )
        )
    for dose, wanted in NRCBV_CONCORDANCE.items():
        found = nrcbv_agreement(rows_of(rows, dose=dose, method=network))
        if found.limits is not None:
            sentence = f"nRCBV concordance at {100 * dose:g} % dose at least {wanted:g}"
            goals.append(Goal(sentence, f"{found.concordance:.3f}", found.concordance >= wanted))
    for dose in doses_of(rows):
        share = cell(rows_of(rows, dose=dose, method=network), "coverage_95")
        if share.count:
            sentence = f"coverage of the 95 % interval at {100 * dose:g} % dose 93 to 97 %"
            goals.append(Goal(sentence, f"{100 * share.mean:.1f} %", COVERAGE[0] <= share.mean <= COVERAGE[1]))
    return goals


def _best(rows: Sequence[Row], methods: Sequence[Method], dose: float) -> tuple[float, str] | None:
    """The smallest mean L2 among methods at a dose, and whose it is."""
    cells = [(cell(rows_of(rows, dose=dose, method=method.name), "l2"), method.title) for method in methods]
    return min(((found.mean, title) for found, title in cells if found.count), default=None)
