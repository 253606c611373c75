"""Holds Kubernetes objects against the schemas of some of its versions.

objects.py VERSION... -- FILE...: each file has YAML documents. What is no object of Kubernetes itself is printed as JSON, for others to judge.
"""

import json
import sys

import kubernetes_validate
import yaml

ELSEWHERE = ("gateway.networking.k8s.io/", "monitoring.coreos.com/")


def main():
    split = sys.argv.index("--")
    versions, files = sys.argv[1:split], sys.argv[split + 1:]
    others, wrong, held = [], [], 0
    for file in files:
        with open(file, encoding="utf-8") as text:
            objects = [found for found in yaml.safe_load_all(text) if found]
        named = set()
        for found in objects:
            name = (found["kind"], found["metadata"]["name"])
            if name in named:
                wrong.append(f"{file}: {name} is there twice")
            named.add(name)
            if found["apiVersion"].startswith(ELSEWHERE):
                others.append(found)
                continue
            for version in versions:
                held += 1
                try:
                    kubernetes_validate.validate(found, version, strict=True)
                except Exception as error:  # each kind of error is a finding
                    where = ".".join(str(part) for part in getattr(error, "path", []))
                    what = getattr(error, "message", error)
                    wrong.append(f"{file}: {name} under {version}: {where}: {what}")
    for finding in wrong:
        print(finding, file=sys.stderr)
    if wrong or not held:
        sys.exit(1)
    print(f"xtask: {held} objects are as Kubernetes {' and '.join(versions)} know them", file=sys.stderr)
    json.dump(others, sys.stdout)


main()
