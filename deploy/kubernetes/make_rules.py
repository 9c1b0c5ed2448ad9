"""Write components/podmonitor/prometheusrule.yaml: the alerts of ../prometheus as an object.

python deploy/kubernetes/make_rules.py        a test holds that it is up to date
"""

from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
RULES: Final = HERE.parent / "prometheus" / "stepwell.rules.yml"
FILE: Final = HERE / "components" / "podmonitor" / "prometheusrule.yaml"
_HEAD: Final = """\
# Written by make_rules.py from ../prometheus/stepwell.rules.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: stepwell
  namespace: stepwell
spec:
"""


def text() -> str:
    """Return the object: the file of rules without its comments, indented below spec."""
    lines = [line for line in RULES.read_text().splitlines() if not line.startswith("#")]
    return _HEAD + "".join(f"  {line}".rstrip() + "\n" for line in lines).lstrip("\n")


if __name__ == "__main__":
    FILE.write_text(text())
