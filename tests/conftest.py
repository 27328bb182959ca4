"""The order of the tests: long files first, so that no worker is left with one while the others have ended."""

import pytest

from nestde import processor

# As the command does, before numpy is there: what is computed here is what it computes.
processor.hold()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that have a slow test first, and leave their order and that of the others as it is."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
