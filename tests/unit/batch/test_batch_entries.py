"""What a batch is asked to make: folders, tables, names, keys, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.batch.entries import Changed, Entry, in_folder, in_table
from deployments.batch.errors import CannotGoOn, WrongArguments
from deployments.batch.journal import NAME, Journal, Outcome

HEAD = "image,prompt,num_images\n"


def table(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def entry(photo: str, content: str = "", **fields: str) -> Entry:
    return Entry(photo, Path(photo), fields, content=content or photo)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it needs a column image"),
        (HEAD, "it has no rows"),
        ("photo,prompt\na.png,x\n", "unknown column 'photo'; there are image, prompt, model"),
        ("image,cutout\na.png,x\n", "unknown column 'cutout'"),
        ("image,idempotency_key\na.png,x\n", "unknown column 'idempotency_key'"),
        ("image,image\na.png,b.png\n", "the column image stands there twice"),
        (HEAD + "a.png,x,1\nb.png,x,1,2\n", "line 3: it has 4 cells, the head 3"),
        (HEAD + ",x,1\n", "line 2: image is empty"),
        (HEAD + 'a.png,"x,1\n', "line 2: unexpected end of data"),
        ("image,prompt\na.png,\u00fc\n".encode("latin-1"), "it is not in UTF-8"),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path, text, sentence):
    with pytest.raises(WrongArguments) as caught:
        in_table(table(tmp_path, text), {})
    assert sentence in str(caught.value)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_go_before_options(tmp_path, separator):
    text = '\ufeffImage, Prompt ,model\r\na.png,"two\r\nlines",\r\n,,\r\nb.png\r\n'
    rows = in_table(table(tmp_path, text.replace(",", separator)), {"prompt": "x", "model": "m"})
    assert [(row.photo, dict(row.fields)) for row in rows] == [
        ("a.png", {"prompt": "two\nlines", "model": "m"}),
        ("b.png", {"prompt": "x", "model": "m"}),
    ]
    assert rows[0].path == tmp_path / "a.png"


def test_folders_are_read_but_for_results_and_what_is_hidden(tmp_path):
    for name in (
        "b/a.JPG",
        "a.webp",
        "a.gif",
        ".a.png",
        ".git/a.png",
        "__MACOSX/a.png",
        "out/a.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "list.csv").write_text("x")
    found = in_folder(tmp_path, {}, tmp_path / "b" / ".." / "out")
    assert [each.photo for each in found] == ["a.gif", "a.webp", "b/a.JPG"]
    assert found[0].problem.startswith("GIF is not taken")


def test_keys_are_made_of_the_content_and_not_of_the_name(tmp_path):
    for name, content in (("a.png", b"1"), ("b.png", b"1"), ("c.png", b"2"), ("mask.png", b"3")):
        (tmp_path / name).write_bytes(content)

    def key(photo: str, name: str = "spring", attempt: int = 0, **fields: str) -> str:
        given = Entry(photo, tmp_path / photo, fields).read(name)
        return given.idempotency_key(attempt)

    same = key("a.png", prompt="x", model="m")
    assert key("b.png", model="m", prompt="x") == same
    mask = str(tmp_path / "mask.png")
    others = [
        key("c.png", prompt="x", model="m"),
        key("a.png", prompt="y", model="m"),
        key("a.png", "autumn", prompt="x", model="m"),
        key("a.png", attempt=1, prompt="x", model="m"),
        key("a.png", prompt="x", model="m", product_mask=mask),
    ]
    assert len({same, *others}) == 6
    assert len(same) <= 200


def test_a_file_that_changes_meanwhile_is_not_sent_under_the_old_key(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"1")
    read = Entry("a.png", path).read("spring")
    assert read.contents() == {"image": b"1"}
    path.write_bytes(b"2")
    with pytest.raises(Changed):
        read.contents()


def test_names_are_the_photos_own_where_these_are_free(tmp_path):
    photos = [
        "a/mug.png",
        "a/mug.jpg",
        "A/MUG.webp",
        "../mug.png",
        "/far/mug.png",
        "a/./b/../cup.png",
    ]
    with Journal(tmp_path) as journal:
        entries = [entry(photo) for photo in photos]
        for each in entries:
            journal.name(each)
        names = [journal.of(each).name for each in entries]
        journal.note(entries[0], outcome=Outcome("done", files=["a/mug-1.png"]))
    digits = [each.id[:8] for each in entries]
    assert names == [
        "a/mug",
        f"a/mug-{digits[1]}",
        f"A/MUG-{digits[2]}",
        "mug",
        f"mug-{digits[4]}",
        "a/cup",
    ]
    # Another content under the same name does not write over what is there.
    with Journal(tmp_path) as journal:
        again = entry("a/mug.png", content="other")
        journal.name(again)
        assert journal.of(again).name == f"a/mug-{again.id[:8]}"
        journal.name(entries[0])
        assert journal.of(entries[0]).name == "a/mug"
        # That of one that was never made is free.
        other = entry("a/cup.png", content="other")
        journal.name(other)
        assert journal.of(other).name == "a/cup"


def test_the_journal_is_read_again_wherever_it_was_cut(tmp_path):
    first, second = entry("a.png"), entry("b.png")
    outcome = Outcome("done", ["a-1.png"], [7], [{"pixels": 1.0, "shape": 0.9}], ["w"])
    with Journal(tmp_path) as journal:
        journal.note(first, name="a")
        journal.note(first, job="f" * 32, attempt=2)
        journal.note(first, outcome=outcome)
        journal.note(second, name="b")
        whole = journal.of(first)
    path = tmp_path / NAME
    text = path.read_bytes()
    with Journal(tmp_path) as journal:
        assert (journal.of(first), journal.of(second).name) == (whole, "b")
        assert whole.outcome == outcome
    ends = [position for position, byte in enumerate(text) if byte == 10]
    for cut in range(len(text)):
        path.write_bytes(text[:cut])
        with Journal(tmp_path) as journal:
            assert (journal.of(first).name == "a") is (cut > ends[0])
            assert (journal.of(first).outcome == outcome) is (cut > ends[2])
            journal.note(second, job="e" * 32)
        with Journal(tmp_path) as journal:
            assert journal.of(second).job == "e" * 32


def test_damaged_lines_are_passed_over(tmp_path):
    (tmp_path / NAME).write_bytes(b'\x00\xff\n[]\n{"entry": "x", "nothing": 1}\n{}\n')
    with Journal(tmp_path) as journal:
        assert journal.of(entry("a.png")).name == ""


def test_a_journal_is_for_one_process(tmp_path):
    with Journal(tmp_path), pytest.raises(CannotGoOn, match="another"):
        Journal(tmp_path)
