"""Runs schemathesis against the api at API_URL, and asks besides that the answers that matter were all seen.

Called by `just contract-test` and `just fuzz`, with schemathesis's own arguments.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent.parent / "target" / "contract" / "report.json"
# A run of fewer cases has tried out too little.
CASES = 2000
# Of these each must have been answered: a run that meets none of them has tried out nothing.
WANTED = ["200", "400", "429"]


def statuses_seen() -> dict[str, float]:
    """How many requests for a link were answered with which status, as the api itself counts them."""
    seen: dict[str, float] = {}
    with urllib.request.urlopen(os.environ["API_METRICS_URL"]) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("magic_link_api_requests_total{"):
                labels, count = line.rsplit(" ", 1)
                status = labels.split('status="', 1)[1].split('"', 1)[0]
                seen[status] = seen.get(status, 0) + float(count)
    return seen


def complaints() -> list[str]:
    """What is wrong with the run itself, whatever it found."""
    seen = statuses_seen()
    report = json.loads(REPORT.read_text())
    cases = report["test_cases"]["generated"]
    print(f"{cases} cases with seed {report['seed']}; requests for a link by status:", json.dumps(seen, sort_keys=True))
    missing = [status for status in WANTED if not seen.get(status)]
    found = [f"never answered: {', '.join(missing)}"] if missing else []
    if cases < CASES:
        found.append(f"only {cases} of {CASES} cases")
    return found


def main() -> int:
    REPORT.unlink(missing_ok=True)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    url = os.environ["API_URL"]
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"{url}/openapi.json",
        f"--url={url}",
        f"--report-json-path={REPORT}",
        "--checks=all",
        *sys.argv[1:],
    ]
    code = subprocess.run(command, check=False).returncode
    found = complaints()
    for complaint in found:
        print(complaint, file=sys.stderr)
    return code or bool(found)


if __name__ == "__main__":
    sys.exit(main())
