"""Files of visitors: what is taken of them, and what is said of bad ones."""

import pickle

import pytest

from bayesnn.playground.upload import LARGEST, read_upload


def test_the_last_column_is_the_target_and_the_first_two_the_inputs():
    upload = read_upload(b"a,b,c,d\n1,2,3,1.5\n2,3,5,2.5\n4,4,4,1\n", "rows.csv")
    assert (upload.inputs, upload.target, upload.task) == (("a", "b"), "d", "regression")
    assert upload.points[0] == (1.0, 2.0, 1.5)
    assert upload.said == "rows.csv: all 3 rows, d from a and b."
    other = read_upload(b"a,b,c,d\n1,2,3,1.5\n2,3,5,2.5\n4,4,4,1\n", "rows.csv", ("c",), "a")
    assert (other.inputs, other.target, other.points[1]) == (("c",), "a", (5.0, 2.0))


def test_labels_become_0_and_1():
    upload = read_upload(b"x,y\n1,no\n2,yes\n3,no\n", "rows.csv")
    assert upload.task == "binary"
    assert upload.points == ((1.0, 0.0), (2.0, 1.0), (3.0, 0.0))


def test_two_levels_are_0_and_1_and_it_is_said_which():
    content = b"sex,tagged,y\nf,True,1.5\nm,False,2.5\nf,True,1.25\nm,True,4\n"
    upload = read_upload(content, "rows.csv")
    assert upload.inputs == ("tagged",)
    assert upload.said.endswith("y from tagged. tagged is 1 for True, 0 for False.")
    both = read_upload(content, "rows.csv", ("sex", "tagged"))
    assert [row[:2] for row in both.points] == [(0.0, 1.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
    assert "sex is 1 for m, 0 for f. tagged is 1" in both.said
    alone = read_upload(b"sex,y\nf,1.5\nm,2.5\nf,1.25\n", "rows.csv")
    assert alone.points[1] == (1.0, 2.5)
    assert "'sex' with levels of a single row: 'm'" in alone.said
    three = read_upload(b"kind,y\na,1.5\nb,2.5\nc,1\na,3\nb,1\nc,2\n", "rows.csv", ("kind",))
    assert "Got kind with 3 levels; the page draws an input that is a number" in three.trouble


def test_no_more_than_200_rows_are_used_and_that_is_said():
    content = "x,y\n" + "".join(f"{i},{i / 7}\n" for i in range(300))
    upload = read_upload(content.encode(), "long.csv")
    assert len(upload.points) == 200
    assert "the first 200 of 300 rows" in upload.said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not read as CSV"),
        (b"\xff\xfe\x00", "does not read as CSV"),
        (b"1,2\n3,4\n", "must hold the names"),
        (b"x\n1\n", "one column"),
        (b"x,y\na,1.5\nb,2.5\nc,1.5\n", "without a numeric column"),
        (b"x,y\na,1.5\na,2.5\n7,4.5\n", "'x' with both numbers and text"),
        (b"x,y\n1,2.2\n,3.3\n", "missing values in 'x'"),
        (b"x,y\n1,a\n2,b\n3,c\n", "two classes"),
        (b"x,y\n1,2.5\n1,3.5\n", "constant"),
        (b"x" * (LARGEST + 1), "the page takes 200 kB"),
    ],
)
def test_a_bad_file_is_told_in_words_that_travel(content, said):
    upload = read_upload(content, "rows.csv")
    assert said in upload.trouble
    assert not upload.points
    assert pickle.loads(pickle.dumps(upload)) == upload


def test_a_name_can_hold_neither_a_path_nor_markup():
    upload = read_upload(b"x,y\n1,2.5\n2,3\n", "../../etc/<img src=x onerror=alert(1)>.csv")
    assert "/" not in upload.said
    assert "<" not in upload.said
