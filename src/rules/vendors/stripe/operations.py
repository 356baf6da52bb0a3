#!/usr/bin/env python3
"""Lists the operations of Stripe's public API, as the stock SDK packages carry them, for the test that goes over all of them.

    python3 operations.py SITE_PACKAGES/stripe NODE_MODULES/stripe/cjs > operations.txt
"""

import pathlib
import re
import sys

PYTHON = re.compile(r'"(get|post|delete)",\s*f?"(/[^"]+)"')
NODE = re.compile(r"""\('(GET|POST|DELETE)',\s*['`](/[^'`]+)['`]""")
# `{id}` of Python and `${encodeURIComponent(id)}` of Node.
PARAMETER = re.compile(r"\$?\{[^}]*\}")


def version(package, node):
    text = (package.parent / "VERSION").read_text() if node else (package / "_version.py").read_text()
    return re.search(r"[0-9]+\.[0-9]+\.[0-9]+", text).group()


def operations(package, pattern):
    for file in sorted(package.rglob("*.js" if pattern is NODE else "*.py")):
        for method, path in pattern.findall(file.read_text()):
            yield f"{method.upper()} {PARAMETER.sub('{}', path)}"


def main():
    python, node = map(pathlib.Path, sys.argv[1:3])
    found = set(operations(python, PYTHON)) | set(operations(node, NODE))
    print(f"# Made by operations.py from stripe {version(python, False)} (PyPI) and stripe {version(node, True)} (npm).")
    print("\n".join(sorted(found)))


if __name__ == "__main__":
    main()
