"""Who is trained on: what `--cases` and `--anatomy` take, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest

from science.small_cases import write_small_case
from stunet_perfusion.networks.checkpoint import NetworkInput
from stunet_perfusion.phantom import anatomy_by_name, drawn_heads
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.curriculum import (
    DRAWN_TO_VALIDATE_WITH,
    curriculum_of,
    persons_to_validate_with,
)
from stunet_perfusion.training.fixed_phantoms import FixedPhantomLessons
from stunet_perfusion.training.scanned_cases import find_cases
from stunet_perfusion.training.settings import read_settings


def test_the_folder_that_phantom_wrote_is_a_case(tmp_path: Path) -> None:
    """One of them, or a folder of several; `--anatomy` takes heads only, and says what to do with a phantom."""
    for name in ("one", "two"):
        write_small_case(tmp_path, name)
        (tmp_path / name / "mask.nii.gz").rename(tmp_path / name / "truth_cbv.nii.gz")
    (alone,) = find_cases(tmp_path / "one", (25, 12, 12), 0)
    assert (alone.name, alone.part, alone.series) == ("one", "train", tmp_path / "one" / "dsc.nii.gz")
    assert set(alone.files) == {"nawm", "tumor", "truth"}
    assert [case.name for case in find_cases(tmp_path, (25, 12, 12), 0)] == ["one", "two"]
    for place in (tmp_path, tmp_path / "one"):
        settings = read_settings(None, {"phantoms.anatomies": [str(place)]})
        with pytest.raises(InputError, match="wrote, and no label maps of heads; give it as cases"):
            curriculum_of(settings, NetworkInput())


def test_drawn_heads_are_trained_on_and_others_validate() -> None:
    settings = read_settings(None, {"phantoms.anatomies": ["drawn"], "phantoms.an_epoch": 3})
    curriculum = curriculum_of(settings, NetworkInput())
    heads = curriculum.lessons.source.anatomies
    assert curriculum.counted == (
        "Training on 3 new phantoms per epoch of 8 heads (drawn-0, drawn-1, drawn-2, drawn-3, drawn-4, drawn-5, 2 more)"
        "; validating on none; tumors are simulated."
    )
    assert not set(heads) & set(drawn_heads(DRAWN_TO_VALIDATE_WITH))
    with mock.patch("stunet_perfusion.phantom.named_heads._drawn_head", lambda seed: f"head of seed {seed}"):
        assert anatomy_by_name(heads[3]) == "head of seed 3"


def test_the_papers_persons_stay_the_same_and_the_heads_validate_in_turn() -> None:
    changes = {
        "phantoms.anatomies": ["drawn"],
        "phantoms.validation": ["drawn"],
        "phantoms.an_epoch": 3,
        "phantoms.fixed": True,
        "phantoms.slices": 2,
        "phantoms.validation_persons": 5,
        "phantoms.target": "reference",
        "dose.method": "equation1",
    }
    nobody = curriculum_of(read_settings(None, changes | {"phantoms.validation": []}), NetworkInput())
    assert isinstance(nobody.lessons, FixedPhantomLessons)
    assert (nobody.lessons.slices, nobody.lessons.an_epoch) == (2, 3)
    assert nobody.counted.startswith("Training on 3 persons in all epochs of 8 heads")
    unseen = drawn_heads(DRAWN_TO_VALIDATE_WITH)
    assert persons_to_validate_with(unseen, 2 * len(unseen) + 1) == [*unseen, *unseen, unseen[0]]
    assert persons_to_validate_with(unseen, 0) == list(unseen)
    assert persons_to_validate_with((), 5) == []
