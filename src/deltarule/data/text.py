"""Text as tokens: each character by its place in a vocabulary, in order of code points; a byte or two a character.

    stream s of B:   x = tokens[s n : s n + n],  t = the same one further        n steps, what is left over is not used

A network learns from B streams side by side, each a stretch of the text, and predicts at every step the character that
follows. Nothing is expanded: streams and windows are views of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import reading
from deltarule.errors import DataError, HyperparameterError
from deltarule.limits import whole

__all__ = ["MOST_CHARACTERS", "Streams", "Vocabulary", "read_text", "streams"]

MOST_CHARACTERS = 2**16  # of a vocabulary: what two bytes tell apart


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model of text knows, each once, in the order of their code points.

    >>> Vocabulary.of("abba").characters
    'ab'
    >>> Vocabulary("ab").encode("abba").tolist()
    [0, 1, 1, 0]
    """

    characters: str

    def __post_init__(self) -> None:
        codes = _codes(self.characters)
        if not 2 <= len(codes) <= MOST_CHARACTERS or not (np.diff(codes.astype(np.int64)) > 0).all():
            raise HyperparameterError(
                f"a vocabulary has 2 to {MOST_CHARACTERS:,} characters, each once, in the order of their code points"
            )

    def __len__(self) -> int:
        return len(self.characters)

    @classmethod
    def of(cls, text: str, name: str = "the text") -> Vocabulary:
        """That of a text.

        Raises:
            DataError: the text is empty, or of one character, or of too many kinds.
        """
        codes = np.unique(_codes(text))
        if len(codes) < 2:
            raise DataError(
                f"{name}: {f'consists of the character {text[0]!r} alone' if text else 'is empty'}; a model of text "
                "needs two characters or more to tell apart"
            )
        if len(codes) > MOST_CHARACTERS:
            raise DataError(
                f"{name}: has {len(codes):,} different characters, and at most {MOST_CHARACTERS:,} are taken"
            )
        return cls(_text(codes))

    def encode(self, text: str, name: str = "the text") -> NDArray[np.unsignedinteger]:
        """The tokens `(n,)` of a text.

        Raises:
            DataError: a character is not in the vocabulary.
        """
        own, codes = _codes(self.characters), _codes(text)
        places = np.minimum(np.searchsorted(own, codes), len(own) - 1)
        unknown = np.flatnonzero(own[places] != codes)
        if len(unknown):
            never = sorted(set(_text(codes[unknown])))
            shown = ", ".join(map(repr, never[:5])) + (", …" if len(never) > 5 else "")
            raise DataError(
                f"{name}: the model has never seen {shown} (first at character {unknown[0]}); it knows "
                f"{self.characters[:60]!r}{'…' if len(self) > 60 else ''}"
            )
        return places.astype(np.uint8 if len(self) <= 256 else np.uint16)

    def decode(self, tokens: NDArray[np.integer]) -> str:
        """The text of some tokens."""
        return _text(_codes(self.characters)[np.asarray(tokens, np.int64)])


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _text(codes: NDArray[np.uint32]) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def read_text(path: Path) -> str:
    """A file of UTF-8, as it is but for a byte order mark.

    Raises:
        DataError: the file is not there, is empty, or is no UTF-8; the offset of the first byte that is not is named.
    """
    with reading(path):
        content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = 3 if content.startswith(b"\xef\xbb\xbf") else 0
        at = error.start + mark
        raise DataError(
            f"{path}: the byte at offset {at} (0x{content[at]:02x}) is no UTF-8; convert the file, as by iconv -t utf-8"
        ) from None
    if not text:
        raise DataError(f"{path}: is empty; there is nothing to learn from")
    return text


class Streams(NamedTuple):
    """Stretches of a text side by side, `(B, n)`, and what follows each character."""

    X: NDArray[np.integer]
    t: NDArray[np.integer]


def streams(tokens: NDArray[np.integer], count: int, window: int = 1) -> Streams:
    """`count` streams of as many steps as there are, a multiple of `window`; views of the tokens.

    >>> streams(np.arange(10), 2, window=2)
    Streams(X=array([[0, 1, 2, 3],
           [4, 5, 6, 7]]), t=array([[1, 2, 3, 4],
           [5, 6, 7, 8]]))
    """
    count, window = whole("streams", count), whole("window", window)
    n = (len(tokens) - 1) // (count * window) * window
    if n < 1:
        raise DataError(
            f"{len(tokens):,} characters are too few for {count} streams in windows of {window}: they take "
            f"{count * window + 1:,}; make batch or window smaller"
        )
    return Streams(tokens[: count * n].reshape(count, n), tokens[1 : count * n + 1].reshape(count, n))
