"""Runs schemathesis against the api at API_URL, and checks that the run covered enough.

`just contract-test` and `just fuzz` run this script, with further arguments for schemathesis.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent.parent / "target" / "contract" / "report.json"
# A run with fewer test cases counts as too short.
MIN_CASES = 2000
# If one of these statuses does not occur, the run has tested too little.
REQUIRED_STATUSES = ["200", "400", "429"]


def statuses_seen() -> dict[str, float]:
    """Returns the number of link requests by status, from the api's metrics."""
    seen: dict[str, float] = {}
    with urllib.request.urlopen(os.environ["API_METRICS_URL"]) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("magic_link_api_requests_total{"):
                labels, count = line.rsplit(" ", 1)
                status = labels.split('status="', 1)[1].split('"', 1)[0]
                seen[status] = seen.get(status, 0) + float(count)
    return seen


def missing_coverage() -> list[str]:
    """Returns the reasons why the run did not cover enough, or an empty list if it did."""
    seen = statuses_seen()
    report = json.loads(REPORT.read_text())
    cases = report["test_cases"]["generated"]
    print(f"{cases} cases with seed {report['seed']}; requests for a link by status:", json.dumps(seen, sort_keys=True))
    missing = [status for status in REQUIRED_STATUSES if not seen.get(status)]
    found = [f"no response had the status {', '.join(missing)}"] if missing else []
    if cases < MIN_CASES:
        found.append(f"only {cases} test cases were generated, but at least {MIN_CASES} are required")
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
    # Without PYTHONHASHSEED, the order of Python's sets differs between processes, and the same seed would not repeat
    # the same requests.
    code = subprocess.run(command, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}).returncode
    found = missing_coverage()
    for problem in found:
        print(problem, file=sys.stderr)
    return code or bool(found)


if __name__ == "__main__":
    sys.exit(main())
