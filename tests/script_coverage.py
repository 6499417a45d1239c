"""What pages execute of the web runtime, as V8 counts it; `tools/script_coverage.py` reports it by source line.

Recorded only where TINYINFER_TEST_SCRIPT_COVERAGE names a folder, as `tools/run_tests.py` does: a file for each page.
Workers are not recorded: the counts of one are lost as soon as it is ended. Nor are the demo's pages: one that is
recorded does not see that its network was cut.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Error, Page


@contextmanager
def recorded(page: Page) -> Iterator[Page]:
    """Record what the page executes until the block ends; nothing of a page that a test has closed or brought down."""
    folder = os.environ.get("TINYINFER_TEST_SCRIPT_COVERAGE")
    if not folder:
        yield page
        return
    client = page.context.new_cdp_session(page)
    client.send("Profiler.enable")
    client.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": True})
    yield page
    try:
        scripts = client.send("Profiler.takePreciseCoverage")["result"]
    except Error:
        return
    records = [
        [
            [part["startOffset"], part["endOffset"], part["count"]]
            for function in script["functions"]
            for part in function["ranges"]
        ]
        for script in scripts
        if urlsplit(script["url"]).path == "/index.js"
    ]
    Path(folder, f"{uuid.uuid4()}.json").write_text(json.dumps(records), encoding="utf-8")
