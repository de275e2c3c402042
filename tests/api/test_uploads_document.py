"""Every command of docs/uploads.md is run as it stands, in one shell after the other's work: one that fails is a bug."""

import json
import os
from pathlib import Path

from tests.api.conftest import Running
from tests.documents.blocks import blocks_of, pasted


async def test_the_documents_commands_do_what_it_says(api: Running, tmp_path: Path) -> None:
    environ = {**os.environ, "URL": str(api.http.base_url).rstrip("/")}
    await pasted(blocks_of("docs/uploads.md", "sh"), tmp_path, environ, pipefail=False)
    said = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert said["job"]["job"]["status"] == "queued"
    assert (said["state"]["received"], [part["number"] for part in said["state"]["parts"]]) == ([1], [2, 3])
    assert (said["complete"]["state"], said["complete"]["received"]) == ("complete", [1, 2, 3])
    assert said["deleted"]["state"] == "deleted"
    small = await api.to.objects.sources.head(said["ticket"]["uploadKey"])
    assert small
    assert small.size == 1_000_000
