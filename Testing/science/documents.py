"""What tests know of the texts for readers: files, headings, links and blocks of code."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: The line before a block of code that a test runs.
RUNS = "<!-- runs in a test -->"


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    :param document: where it stands
    :param line: number of its first line, from 1
    :param language: what stands behind the fence
    :param code: what stands between the fences
    :param runs: whether the line before it says that a test runs it
    """

    document: Path
    line: int
    language: str
    code: str
    runs: bool


def documents() -> list[Path]:
    """Every Markdown file of the repository that people read."""
    folders = (ROOT / "Documentation", ROOT / "Resources", ROOT / "Testing", ROOT / ".github")
    return sorted([*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))])


def notebooks() -> list[Path]:
    """Every notebook of the documentation."""
    return sorted((ROOT / "Documentation").glob("*.ipynb"))


def cells(notebook: Path, kind: str) -> list[str]:
    """The texts of a notebook's cells of a kind: `code` or `markdown`."""
    return [
        "".join(cell["source"])
        for cell in json.loads(notebook.read_text("utf-8"))["cells"]
        if cell["cell_type"] == kind
    ]


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a Markdown file."""
    found: list[Block] = []
    lines = document.read_text("utf-8").splitlines()
    start = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
            continue
        indent = len(lines[start]) - len(lines[start].lstrip())
        before = next((text for text in reversed(lines[:start]) if text.strip()), "")
        code = "\n".join(text[indent:] for text in lines[start + 1 : number])
        found.append(Block(document, start + 2, lines[start].strip().removeprefix("```"), code, before.strip() == RUNS))
        start = None
    assert start is None, f"{document}: a block that begins in line {start} does not end"
    return found


def prose(text: str) -> str:
    """Markdown without its blocks and spans of code."""
    return re.sub(r"`[^`\n]*`", "``", re.sub(r"^\s*```.*?^\s*```", "", text, flags=re.M | re.S))


def headings(document: Path) -> set[str]:
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    text = re.sub(r"^\s*```.*?^\s*```", "", document.read_text("utf-8"), flags=re.M | re.S)
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?) *#*$", text, flags=re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = sum(1 for other in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", other))
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


def links(text: str) -> list[str]:
    """Where the links and pictures of a Markdown text lead."""
    return re.findall(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)", prose(text)) + re.findall(
        r"(?:src|href)=\"([^\"]+)\"", text
    )
