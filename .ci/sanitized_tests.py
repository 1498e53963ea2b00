"""Run pytest on the tree named first, whatever deltarule is installed (an editable one redirects the import)."""

import sys
from pathlib import Path

import pytest


def main(tree: str, *tests: str) -> int:
    """The exit code of pytest."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
    sys.path.insert(0, tree)
    from deltarule import _native

    assert Path(_native.__file__).is_relative_to(tree), _native.__file__
    return pytest.main(["-q", "-s", "-p", "no:cacheprovider", *tests])  # -s: a sanitizer's last words must be seen


if __name__ == "__main__":  # children that are spawned import this file
    sys.exit(main(*sys.argv[1:]))
