"""One page with the views, the numbers and what they were made from, as PDF or PNG."""

from __future__ import annotations

import datetime
import html
import tempfile
from pathlib import Path

import qt
import slicer

from stunet_perfusion.support.errors import OutputError
from stunet_perfusion.support.staged import staged_file
from StUNetPerfusionLib.scene.appliedResult import AppliedResult
from StUNetPerfusionLib.scene.reportFacts import factsInWords
from StUNetPerfusionLib.translation import tr as _

#: A4 at 150 dots an inch.
_PAGE_SIZE = (1240, 1754)
_MARGIN = 70
_DOTS_PER_INCH = 150


def writeReport(path: Path, result: AppliedResult, layoutManager) -> None:
    """Write the page.

    :param path: ends with .pdf or .png
    :param result: whose maps the views show
    :param layoutManager: of the application; its views are shown as they are
    :raises OutputError: another kind of file, or one that cannot be written
    """
    if path.suffix.lower() not in (".pdf", ".png"):
        raise OutputError(path, _("is no name for a report"), _("let it end with .pdf or .png"))
    with tempfile.TemporaryDirectory() as folder, staged_file(path) as staged:
        views = str(Path(folder) / "views.png")
        # What was put into the views a moment ago must be what the page shows.
        slicer.app.processEvents()
        slicer.util.forceRenderAllViews()
        width = _PAGE_SIZE[0] - 2 * _MARGIN
        layoutManager.viewport().grab().scaledToWidth(width, qt.Qt.SmoothTransformation).save(views, "PNG")
        page = _paint(_asHtml(views, result))
        written = _savePdf(page, str(staged)) if path.suffix.lower() == ".pdf" else page.save(str(staged), "PNG")
        if not written:
            raise OutputError(path, _("could not be written"), _("choose another folder"))


def _paint(text: str):
    """The page as a QImage."""
    width, height = _PAGE_SIZE
    image = qt.QImage(width, height, qt.QImage.Format_RGB32)
    image.setDotsPerMeterX(round(_DOTS_PER_INCH / 0.0254))
    image.setDotsPerMeterY(round(_DOTS_PER_INCH / 0.0254))
    image.fill(qt.QColor("white"))
    document = qt.QTextDocument()
    document.setDefaultFont(qt.QFont("Sans Serif", 9))
    document.setDocumentMargin(0)
    document.setHtml(text)
    document.setTextWidth(width - 2 * _MARGIN)
    painter = qt.QPainter()
    painter.begin(image)
    painter.translate(_MARGIN, _MARGIN)
    document.drawContents(painter)
    painter.end()
    return image


def _savePdf(page, path: str) -> bool:
    writer = qt.QPdfWriter(path)
    writer.setResolution(_DOTS_PER_INCH)
    painter = qt.QPainter()
    if not painter.begin(writer):
        return False
    painter.drawImage(0, 0, page)
    return painter.end()


def _asHtml(views: str, result: AppliedResult) -> str:
    width = _PAGE_SIZE[0] - 2 * _MARGIN
    today = datetime.date.today().isoformat()
    parts = [
        f"<h2>{html.escape(result.cbv.GetName())}</h2>",
        f"<p>{html.escape(_('Research use only: not for diagnosis.'))} StUNetPerfusion, {today}.</p>",
        f'<p><img src="{html.escape(views)}" width="{width}"></p>',
    ]
    if result.table is not None:
        parts.append(_tableAsHtml(result.table))
    parts.append(_factsAsHtml(factsInWords(result.cbv, result.reference)))
    return "\n".join(parts)


def _tableAsHtml(tableNode) -> str:
    rows = [
        "".join(
            f"<th align='left'>{html.escape(tableNode.GetColumnName(c))}</th>"
            for c in range(tableNode.GetNumberOfColumns())
        )
    ]
    for r in range(tableNode.GetNumberOfRows()):
        cells = (tableNode.GetCellText(r, c) for c in range(tableNode.GetNumberOfColumns()))
        rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table cellspacing="0" cellpadding="4" border="1" style="border-collapse:collapse">{lines}</table>'


def _factsAsHtml(facts: list[tuple[str, str]]) -> str:
    lines = "".join(
        f"<tr><td width='260'>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in facts
    )
    return f'<p>&nbsp;</p><table cellspacing="0" cellpadding="2">{lines}</table>'
