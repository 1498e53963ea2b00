"""Text as tokens: vocabularies, files, streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.data.text import Vocabulary, read_text, streams
from deltarule.errors import DataError, HyperparameterError


@given(st.text(min_size=2).filter(lambda text: len(set(text)) > 1))
def test_there_and_back(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    assert vocabulary.characters == "".join(sorted(set(text)))
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.uint8 if len(vocabulary) <= 256 else np.uint16
    assert vocabulary.decode(tokens) == text


def test_many_characters() -> None:
    text = "".join(chr(k) for k in range(300, 900))
    vocabulary = Vocabulary.of(text)
    assert vocabulary.encode(text).dtype == np.uint16
    assert vocabulary.decode(vocabulary.encode(text[::-1])) == text[::-1]


@pytest.mark.parametrize(("text", "said"), [
    ("", "is empty"), ("aaaa", "consists of the character 'a' alone"),
    ("".join(map(chr, [*range(0xD800), *range(0xE000, 0x13000)])), "different characters"),
])  # fmt: skip
def test_texts_without_anything_to_learn(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Vocabulary.of(text)


def test_characters_never_seen() -> None:
    with pytest.raises(DataError, match=r"has never seen 'x', 'ü' \(first at character 2\); it knows 'abc'"):
        Vocabulary("abc").encode("abücx")


@pytest.mark.parametrize("characters", ["", "a", "ba", "aab"])
def test_what_is_no_vocabulary(characters: str) -> None:
    with pytest.raises(HyperparameterError, match="each once"):
        Vocabulary(characters)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes("\ufeffTo be, or not…\r\n".encode())
    assert read_text(path) == "To be, or not…\r\n"
    for content, said in (
        (b"", "is empty"), (b"\xef\xbb\xbf", "is empty"), (b"abc\xffdef", r"offset 3 \(0xff\)"),
        (b"\xef\xbb\xbfab\xfe", r"offset 5 \(0xfe\)"), (b"ab\xc3", r"offset 2 \(0xc3\)"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(DataError, match=said):
            read_text(path)
    with pytest.raises(DataError):
        read_text(tmp_path / "nowhere.txt")


@given(st.integers(2, 500), st.integers(1, 7), st.integers(1, 9))
def test_streams_are_views(n: int, count: int, window: int) -> None:
    tokens = np.arange(n)
    if n - 1 < count * window:
        with pytest.raises(DataError, match="too few"):
            streams(tokens, count, window)
        return
    X, t = streams(tokens, count, window)
    assert np.shares_memory(X, tokens)
    np.testing.assert_array_equal(X.ravel(), tokens[: X.size])
    np.testing.assert_array_equal(t, X + 1)
    assert X.shape[0] == count
    assert X.shape[1] % window == 0
    assert n - 1 - X.size < count * window
