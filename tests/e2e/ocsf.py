"""Checks lines of an export against OCSF 1.5.0 itself, as the package ocsf-json-schema carries it.

ocsf.py FILE        prints the classes seen; fails at the first line that is no event of OCSF
"""
import collections
import json
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0"))
validators, seen = {}, collections.Counter()
for number, line in enumerate(open(sys.argv[1], encoding="utf-8"), 1):
    event = json.loads(line)
    uid = event["class_uid"]
    if uid not in validators:
        name = schemas.lookup_class_name_from_uid(class_uid=uid)
        validators[uid] = jsonschema.Draft202012Validator(schemas.get_class_schema(class_name=name))
    faults = [f"{list(e.absolute_path)}: {e.message[:300]}" for e in validators[uid].iter_errors(event)]
    assert not faults, f"line {number}: {faults}"
    assert event["type_uid"] == uid * 100 + event["activity_id"], line
    seen[uid] += 1
print(" ".join(f"{uid}={count}" for uid, count in sorted(seen.items())))
