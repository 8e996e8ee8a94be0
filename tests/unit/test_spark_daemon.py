"""What Spark's Python workers do with garbage after each task."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import PROJECT

TASKS = """
import gc, weakref
from local.spark_daemon import NewGarbage

class Node:
    def __init__(self):
        self.itself = self

garbage = NewGarbage()
outliving = Node()
seen = weakref.ref(outliving)
garbage.collect()
looked_through = len(gc.get_objects())
del outliving
new = weakref.ref(Node())
garbage.collect()
print(new() is None, looked_through < 100 < gc.get_freeze_count())
tasks = 2
while seen() is not None and tasks < 2000:
    garbage.collect()
    tasks += 1
print(tasks)
"""


def test_what_outlived_a_task_is_looked_through_again_after_a_thousand() -> None:
    """In a process of its own: a frozen object stays so as long as its process."""
    answer = subprocess.run(
        [sys.executable, "-c", TASKS], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.split() == ["True", "True", "1000"]
