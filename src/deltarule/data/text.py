"""Text as tokens: each character by its place in a vocabulary, in order of code points; a byte or two a character.

    stream s of B:   x = tokens[s n : s n + n],  t = the same one further        n steps, what is left over is not used

A network learns from B streams side by side, each a stretch of the text, and predicts at every step the character that
follows. Nothing is expanded: streams and windows are views of the tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.data.checks import reading
from deltarule.errors import DataError, HyperparameterError
from deltarule.limits import whole

__all__ = ["MOST_CHARACTERS", "Streams", "Text", "Vocabulary", "read_text", "streams"]

CHUNK = 1 << 20  # characters that are encoded in one go
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
        if ((codes >= 0xD800) & (codes < 0xE000)).any():
            raise HyperparameterError("a vocabulary has whole characters, and half a surrogate pair is none")
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
        characters = "".join(sorted(set(text)))
        if len(characters) < 2:
            raise DataError(
                f"{name}: {f'consists of the character {text[0]!r} alone' if text else 'is empty'}; a model of text "
                "needs two characters or more to tell apart"
            )
        if len(characters) > MOST_CHARACTERS:
            raise DataError(
                f"{name}: has {len(characters):,} different characters, and at most {MOST_CHARACTERS:,} are taken"
            )
        return cls(characters)

    def encode(self, text: str, name: str = "the text") -> NDArray[np.unsignedinteger]:
        """The tokens `(n,)` of a text.

        Raises:
            DataError: a character is not in the vocabulary.
        """
        own = _codes(self.characters)
        tokens: NDArray[np.unsignedinteger] = np.empty(len(text), np.uint8 if len(self) <= 256 else np.uint16)
        for at in range(0, len(text), CHUNK):
            codes = _codes(text[at : at + CHUNK])
            places = np.minimum(np.searchsorted(own, codes), len(own) - 1)
            if (own[places] != codes).any():
                raise DataError(self._unknown(text, name))
            tokens[at : at + CHUNK] = places
        return tokens

    def _unknown(self, text: str, name: str) -> str:
        known = set(self.characters)
        first, never = next(k for k, c in enumerate(text) if c not in known), sorted(set(text) - known)
        shown = ", ".join(map(repr, never[:5])) + (", …" if len(never) > 5 else "")
        return (
            f"{name}: the model has never seen {shown} (first at character {first}); it knows "
            f"{self.characters[:60]!r}{'…' if len(self) > 60 else ''}"
        )

    def decode(self, tokens: NDArray[np.integer]) -> str:
        """The text of some tokens."""
        return _text(_codes(self.characters)[np.asarray(tokens, np.int64)])


def _codes(text: str) -> NDArray[np.uint32]:
    """Code points; halves of pairs, as an undecodable argument has them, are characters that nobody knows."""
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


@dataclass(frozen=True)
class Text:
    """A text as it was read: a short name, its characters, and where they came from."""

    name: str
    characters: str
    source: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Text:
        """A file of UTF-8 (`read_text`)."""
        name = path.stem if path.suffix.lower() == ".txt" else path.name
        return cls(name, read_text(path), {"kind": "text", "path": str(path.absolute())})

    def __len__(self) -> int:
        return len(self.characters)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the characters."""
        digest = hashlib.sha256(f"text {len(self)};".encode())
        for at in range(0, len(self), CHUNK):
            digest.update(self.characters[at : at + CHUNK].encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


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
