"""Run pytest on the tree named first, whatever deltarule is installed (an editable one redirects the import)."""

import sys
from pathlib import Path

import pytest

tree, *tests = sys.argv[1:]
sys.meta_path[:] = [finder for finder in sys.meta_path if "Redirecting" not in type(finder).__name__]
sys.path.insert(0, tree)

from deltarule import _native  # noqa: E402

assert Path(_native.__file__).is_relative_to(tree), _native.__file__
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-k", "not subprocess", *tests]))
