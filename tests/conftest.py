"""The order of the tests: long files first, so that no worker is left with one while the others have ended."""

import os

import pytest

# As the command sets it, before numpy is there: two workers' threads of linear algebra would wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that have a slow test first, and leave their order and that of the others as it is."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
