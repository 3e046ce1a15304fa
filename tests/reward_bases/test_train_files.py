"""Folders and files as they come: several at once, of odd spelling, broken, or not what their names say."""

import gzip
import json
from pathlib import Path

import pytest
from preference_files import PAIR, refused, write

from elicitation.errors import InvalidInput
from reward_bases.train.data.reading import read
from reward_bases.train.data.values import Reason


def test_a_folder_is_read_file_by_file_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", [PAIR, PAIR | {"prompt": "?", "choice": "?"}])
    write(tmp_path / "a.jsonl", [PAIR | {"user": "bob"}, PAIR])
    (tmp_path / "README").write_text("not data")
    data = read(tmp_path)
    assert data.user_ids == ("bob", "ann")
    assert refused(data) == {
        Reason.UNKNOWN_CHOICE: (1, ("b.csv:3",)),
        Reason.JUDGED_BEFORE: (1, ("b.csv:2",)),
    }


def test_kinds_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "pairs.csv", [PAIR])
    write(tmp_path / "votes.csv", [{"user": "ann", "statement": "x", "vote": 1}])
    with pytest.raises(InvalidInput, match="one kind"):
        read(tmp_path)


def test_missing_columns_are_named_beside_those_found(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"columns user, prompt, choice; .*response_a, response_b, choice"):
        read(write(tmp_path / "pairs.csv", [{"user": "ann", "prompt": "Why?", "choice": "a"}]))


HEADER = b"user,prompt,response_a,response_b,choice\n"
LINE = b"ann,Why?,Because.,Who knows.,a\n"


def test_a_byte_order_mark_blank_lines_and_other_line_ends_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"\xef\xbb\xbf" + (HEADER + b"\n" + LINE + b"\n").replace(b"\n", b"\r\n"))
    (tmp_path / "pairs.jsonl").write_bytes(b"\xef\xbb\xbf\r\n" + json.dumps(PAIR | {"user": "bob"}).encode() + b"\n\n")
    assert read(tmp_path).refused.used == 2


def test_a_csv_row_with_too_few_or_too_many_values_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(HEADER + LINE + b"ann,Why?\n" + LINE.strip() + b",x\n")
    assert refused(read(tmp_path)) == {Reason.RAGGED: (2, ("pairs.csv:3", "pairs.csv:4"))}


def test_a_line_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    lines = ['{"user": ', "[]", json.dumps(PAIR), "7", "[" * 100_000]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    places = tuple(f"pairs.jsonl:{line}" for line in (1, 2, 4, 5))
    assert refused(read(tmp_path)) == {Reason.NOT_JSON: (4, places)}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pairs.csv", HEADER + LINE + b"ann,\xe9t\xe9,x,y,a\n", r"pairs\.csv:3 is not UTF-8"),
        ("pairs.csv", HEADER + LINE + b'ann,"Why?,Because.,Who knows.,a\n', r"pairs\.csv:3 is not valid CSV"),
        ("pairs.csv", b"", "0 columns"),
        ("pairs.csv", b"user,user\n", "once"),
        ("pairs.csv", HEADER, "no judgment"),
        ("pairs.jsonl", b"", "0 columns"),
        ("pairs.csv.gz", HEADER + LINE, "cannot be read after line 0"),
        ("pairs.csv.gz", gzip.compress(HEADER + LINE, mtime=0)[:-9], "is the file complete"),
        ("pairs.parquet", HEADER + LINE, "not a Parquet file"),
        ("pairs.txt", HEADER + LINE, r"files end in \.csv"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_an_error(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read(tmp_path / name)


def test_a_path_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not exist"):
        read(tmp_path / "missing.csv")
    with pytest.raises(InvalidInput, match="no preference data"):
        read(tmp_path)
