"""`stunet-perfusion export`: maps as DICOM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from stunet_perfusion.cli import options
from stunet_perfusion.dicom_export import FORMATS, anonymous_source, export_maps, read_source
from stunet_perfusion.dicom_export.run_maps import read_run_maps
from stunet_perfusion.dicom_export.source import keeping_quiet_about_values
from stunet_perfusion.support.errors import InputError, OutputError
from stunet_perfusion.support.identity import Identity, identity_of
from stunet_perfusion.support.progress import part_of


def command(
    maps: Annotated[
        list[Path], typer.Argument(metavar="MAPS", help="folder that 'predict' or 'reference' wrote, or maps of it")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="new or empty folder")],
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="DICOM_FOLDER", help="DICOM series that the maps were computed from"),
    ] = None,
    format: Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="DICOM objects to write")] = "both",
    patient_id: Annotated[
        str | None,
        typer.Option("--patient-id", metavar="ID", help="without --source: the Patient ID, empty by default"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Writes parametric-map/NAME.dcm (Parametric Map) and mr/NAME/ (MR series, for viewers without Parametric Map).
    They belong to the study of the source, or to a new anonymous study. Relative CBV is in ml/100 ml, relative CBF in
    ml/100 ml/min.
    """
    if source is not None and patient_id is not None:
        raise InputError("--patient-id", "contradicts --source, which names the patient", "give one of them")
    with keeping_quiet_about_values():
        identity = Identity() if source is None else identity_of(source)
    with _naming_nobody(identity), options.progress_bar(quiet=json) as progress:
        run = read_run_maps(maps)
        belongs_to = (
            anonymous_source(patient_id or "") if source is None else read_source(source, part_of(progress, 0.0, 0.5))
        )
        written = export_maps(
            run.maps,
            run.grid,
            belongs_to,
            run.origin,
            output,
            format,
            absolute=run.absolute,
            progress=part_of(progress, 0.5, 1.0),
        )
    notes = [identity.withheld_from(note) for note in (*run.notes, *written.notes)]
    report: dict[str, Any] = {
        "files": list(written.files),
        "notes": notes,
        "use": "Research use only: not for diagnosis.",
    }
    if json:
        options.print_json(report)
        return
    for note in notes:
        options.console.print(note)
    options.console.print(
        identity.withheld_from(f"Wrote {len(run.maps)} maps as {len(written.files)} DICOM files to {output}. ")
        + report["use"]
    )


@contextmanager
def _naming_nobody(identity: Identity) -> Iterator[None]:
    """Errors end up in logs, and folders of DICOM files are often called after the patient."""
    try:
        yield
    except (InputError, OutputError) as error:
        raise error.rewritten(identity.withheld_from) from None
