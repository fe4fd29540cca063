"""Files that are not what they were taken for: the refusal says what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dialer.contacts.files import inspect, look
from dialer.contacts.reading import Reading
from dialer.errors import Invalid, UnreadableFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the test puts its file."""
    return tmp_path / "list.csv"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xef\xbb\xbf", "it is empty"),
        (b"\xff\xfe", "it is empty"),
        (b"\r\n  \n\n", "it is empty"),
        ("Телефон;Имя\n89161234567;Пётр\n".encode("utf-16-le"), "UTF-16"),
        ("phone;name\n89161234567;Peter\n".encode("utf-16-be"), "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "picture"),
        (b"GIF89a\x01\x00\x01\x00", "picture"),
        ("Телефон;Имя\n89161234567;Пётр\n".encode("koi8-r"), "choose another encoding"),
    ],
)
def test_the_refusal_says_what_the_file_is(file: Path, content: bytes, reason: str) -> None:
    """Nothing but marks and blanks, UTF-16 without its mark, a picture, letters of another encoding."""
    file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=reason):
        inspect(file)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_a_file_that_is_not_utf_16_is_not_read_as_such(file: Path, encoding: str) -> None:
    """The choice is refused by its name; a file that is UTF-16 may be said to be."""
    file.write_bytes("Телефон;Имя\n89161234567;Пётр\n".encode(encoding))
    with pytest.raises(Invalid, match="encoding: the file is not UTF-16"):
        look(file, Reading(encoding="utf-16"))
    file.write_bytes("Телефон;Имя\n89161234567;Пётр\n".encode("utf-16"))
    assert look(file, Reading(encoding="utf-16")).encoding == "utf-16"


def test_a_csv_has_no_sheets(file: Path) -> None:
    """One that is named is refused, not passed over."""
    file.write_text("phone\n89161234567\n")
    with pytest.raises(Invalid, match="sheet: the file has no sheets"):
        look(file, Reading(sheet="Лист9"))
