"""The table of cases."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stunet_perfusion.cases import FILES, PARTS, Case, read_cases, write_cases
from stunet_perfusion.support.errors import InputError

_WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@st.composite
def tables(draw) -> list[Case]:
    names = draw(st.lists(_WORDS, min_size=1, max_size=6, unique_by=str.casefold))
    return [
        Case(
            name,
            Path("folder") / f"{draw(_WORDS)}, {draw(_WORDS)}.nii.gz",
            name,
            draw(st.sampled_from(("", *PARTS))),
            {column: Path(f"{draw(_WORDS)}.nii.gz") for column in draw(st.sets(st.sampled_from(FILES)))},
            draw(st.none() | st.floats(0.001, 1)),
            draw(st.none() | st.floats(0.1, 5)),
            {"grade": draw(st.sampled_from(["", "II", "IV, uncertain"]))},
        )
        for name in names
    ]


@given(tables())
def test_a_table_comes_back_as_it_was_written(cases):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        absolute = [
            Case(
                case.name,
                root / case.series,
                case.subject,
                case.part,
                {column: root / path for column, path in case.files.items()},
                case.echo_time,
                case.frame_interval,
                case.facts,
            )
            for case in cases
        ]
        write_cases(root / "cases.csv", absolute)
        assert read_cases(root / "cases.csv") == absolute
        assert folder not in (root / "cases.csv").read_text(), "paths are relative to the table"


def test_two_columns_are_enough(tmp_path):
    (tmp_path / "t.csv").write_text("\ufeffcase, series\nfirst, sub/dsc.nii.gz\n\n,\nsecond,/data/dicom\n", "utf-8")
    assert read_cases(tmp_path / "t.csv") == [
        Case("first", tmp_path / "sub" / "dsc.nii.gz"),
        Case("second", Path("/data/dicom")),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no column 'case'"),
        ("case,path\na,b\n", "has no column 'series'"),
        ("case,series\n", "has no cases"),
        ("case,series\na,\n", "line 2: has no series"),
        ("case,series\na,b,c\n", "line 2: has more values than the table has columns"),
        ("case,series\na,x\nA,y\n", "has two cases 'A'"),
        ("case,series\na,x\na,y\n", "has two cases 'a'"),
        ("case,series\n../a,x\n", "'../a' cannot be the name of a folder"),
        ("case,series\n..,x\n", "'..' cannot be the name of a folder"),
        ("case,series,part\na,x,training\n", "'training' is no part; write train, validation, test, or nothing"),
        ("case,series,echo_time\na,x,30 ms\n", "echo_time '30 ms' is no number of seconds; write for example 0.03"),
        ("case,series,echo_time\na,x,nan\n", "echo_time 'nan' is no number of seconds"),
        (
            "case,subject,part,series\na,p,train,x\nb,p,test,y\n",
            "has subject 'p' in two parts, 'train' and 'test'; put all cases of a person into one part",
        ),
        ('case,series\n"a,x\n', "is no table"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "cases.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_cases(path)
    assert sentence in str(error.value)
    assert str(error.value).startswith(str(path))


def test_no_table(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_cases(tmp_path / "cases.csv")
    (tmp_path / "cases.csv").write_bytes(b"case,series\n\xff,x\n")
    with pytest.raises(InputError, match="save it as comma-separated UTF-8"):
        read_cases(tmp_path / "cases.csv")
