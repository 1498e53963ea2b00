"""Pictures of networks."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from deltarule.drawing import MOST, Column, svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("units", "circles"), [(1, 1), (MOST, MOST), (MOST + 1, MOST - 1 + 3), (None, MOST - 1 + 3)])
def test_circles_and_lines(units: int | None, circles: int) -> None:
    """All units of a small layer, the first and last of a large one, with three dots between."""
    root = ElementTree.fromstring(svg([Column(units, ["n"]), Column(2, ["two", "units"])], "a network"))
    assert len(root.findall(f"{NAMESPACE}circle")) == circles + 2
    (path,) = root.findall(f"{NAMESPACE}path")
    assert path.attrib["d"].count("M") == 2 * (circles if circles <= MOST else MOST - 1)
    assert [t.text for t in root.findall(f"{NAMESPACE}text")] == ["n", "two", "units"]


def test_everything_lies_within_the_picture() -> None:
    root = ElementTree.fromstring(svg([Column(3, ["a"]), Column(12, ["b", "c", "d"]), Column(1, [])], "t"))
    _, _, wide, tall = map(float, root.attrib["viewBox"].split())
    for tag, x, y in (("circle", "cx", "cy"), ("text", "x", "y")):
        for node in root.findall(f"{NAMESPACE}{tag}"):
            assert 0 < float(node.attrib[x]) < wide
            assert 0 < float(node.attrib[y]) < tall


def test_texts_are_no_markup() -> None:
    hostile = '<script>alert("1")</script>&'
    root = ElementTree.fromstring(svg([Column(1, [hostile])], hostile))
    assert root.findtext(f"{NAMESPACE}text") == root.findtext(f"{NAMESPACE}title") == hostile
