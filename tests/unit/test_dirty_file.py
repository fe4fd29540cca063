"""The dirty file of the how-to: made by a program, and as dirty as the how-to says."""

from __future__ import annotations

import json
import re

from support import docs
from support.dirty_file import ENCODING, FILE, make

PAGE = docs.ROOT / "docs/how-to/first-campaign.md"


def test_the_file_is_the_one_that_is_made() -> None:
    """Whoever changes one changes the other: `PYTHONPATH=tests python -m support.dirty_file`."""
    assert FILE.read_bytes() == make()[0].replace("\n", "\r\n").encode(ENCODING)


def test_the_page_tells_the_truth_of_it() -> None:
    """The counts that the how-to shows are those by which the file was made."""
    truth = make()[1]
    shown = [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    ]
    unmapped, mapped, _consents = (block["trial"] for block in shown if "trial" in block)
    both = {"rows": truth.rows, "duplicates": truth.duplicates, "blank": truth.blank}
    assert unmapped == {"cut": False, **both, "loaded": truth.loaded, "rejected": truth.rejected}
    loaded, rejected = truth.loaded + truth.unless_mapped, truth.rejected - truth.unless_mapped
    assert mapped == {**both, "loaded": loaded, "rejected": rejected}
    first, again, _consents = (block for block in shown if block.get("status") == "done")
    assert first == {"status": "done", **mapped}
    assert again == first | {"loaded": 0, "duplicates": loaded + truth.duplicates}
    (funnel,) = (block for block in shown if "phones" in block)
    # Whose first number was a word has one number, in the second column.
    assert (funnel["contacts"], funnel["phones"]) == (loaded, loaded + truth.second)
    assert funnel["campaigns"][0]["leads"] == {"new": loaded}
