"""Holds compose files against their schema, and looks that everything waits for what it needs.

compose.py SCHEMA FILE...
"""

import json
import sys

import jsonschema
import yaml


def main():
    schema_file, *files = sys.argv[1:]
    with open(schema_file, encoding="utf-8") as text:
        schema = json.load(text)
    validator = jsonschema.validators.validator_for(schema)(schema)
    wrong = []
    for file in files:
        with open(file, encoding="utf-8") as text:
            compose = yaml.safe_load(text)
        for error in validator.iter_errors(compose):
            wrong.append(f"{file}: {'.'.join(map(str, error.path))}: {error.message}")
        services = compose["services"]
        for name, service in services.items():
            for other, how in service.get("depends_on", {}).items():
                if other not in services:
                    wrong.append(f"{file}: {name} depends on {other}, which is not there")
                elif how["condition"] == "service_healthy" and "healthcheck" not in services[other]:
                    wrong.append(f"{file}: {name} waits for the health of {other}, which has no check")
    for finding in wrong:
        print(finding)
    sys.exit(bool(wrong))


main()
