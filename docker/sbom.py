"""``python sbom.py PYTHON TARGET``: bill of materials (CycloneDX) of an environment and the Debian packages."""

import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(python: str, target: Path) -> None:
    """Write the bill of materials, once it is valid."""
    command = [str(Path(sys.executable).with_name("cyclonedx-py")), "environment", "--output-reproducible"]
    bill = json.loads(subprocess.run([*command, python], check=True, stdout=subprocess.PIPE, text=True).stdout)
    bill["components"] += debian_packages()
    text = json.dumps(bill, indent=1)
    if error := JsonStrictValidator(SchemaVersion.from_version(bill["specVersion"])).validate_str(text):
        sys.exit(f"The bill of materials is not valid: {error}")
    target.write_text(text)
    print(f"{len(bill['components'])} components in {target}.")


def debian_packages() -> list[dict[str, str]]:
    """Components of all installed Debian packages."""
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\n"]
    lines = subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    packages = (line.split() for line in lines)
    return [component(*package) for package in packages]


def component(name: str, version: str, architecture: str) -> dict[str, str]:
    """One Debian package."""
    purl = f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={architecture}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
