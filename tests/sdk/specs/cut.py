"""Cuts a small OpenAPI file out of a vendor's large one: the named paths, and all that they refer to.

    python3 cut.py FULL.json OUT.json PATH...

twilio.json and resend.json beside this file were made with it, from the vendors' published specs (twilio/twilio-oai and
resend/resend-openapi):

    cut.py twilio_api_v2010.json twilio.json '/2010-04-01/Accounts/{AccountSid}/Messages.json' \
        '/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json'
    cut.py resend.json resend.json /emails '/emails/{email_id}'
"""

import json
import sys


def plain(value):
    """`value` without the vendors' own extensions."""
    if isinstance(value, dict):
        return {key: plain(below) for key, below in value.items() if not key.startswith("x-")}
    return [plain(below) for below in value] if isinstance(value, list) else value


def references(value):
    """Every '#/components/KIND/NAME' below `value`."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def cut(spec, paths):
    small = {"x-what": "A part of the vendor's published spec, cut out by cut.py for the mock vendor."}
    small |= {key: spec[key] for key in ("openapi", "info", "servers", "security") if key in spec}
    small["paths"] = {path: spec["paths"][path] for path in paths}
    components = {"securitySchemes": spec["components"].get("securitySchemes", {})}
    todo = list(references(small))
    while todo:
        _, _, kind, name = todo.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = spec["components"][kind][name]
            todo.extend(references(components[kind][name]))
    small["components"] = components
    return small


def main():
    source, target, *paths = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        small = cut(plain(json.load(file)), paths)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(small, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main()
