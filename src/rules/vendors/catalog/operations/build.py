#!/usr/bin/env python3
"""Builds github.tsv and stripe.tsv: every operation of the vendor's published API with its action kind and risk tier.

    npm pack @octokit/plugin-rest-endpoint-methods@18.0.0 stripe@23.1.0
    python3 build.py octokit-plugin-*.tgz stripe-*.tgz

Both packages are generated from the vendors' own OpenAPI descriptions and are MIT-licensed (see THIRD_PARTY_NOTICES); taken
from them are methods and paths alone. The rules below are the review: the first that matches gives the tier. Where the
catalogue says what an operation moves or buys (`payment.charge`, ...), that stands; the tables never change a price.
"""

import pathlib
import re
import sys
import tarfile

HERE = pathlib.Path(__file__).parent
LOCAL, EXTERNAL, MUTATION, EXECUTION, READ = "write-local", "write-external", "mutation", "execution", "read-only"

# Method, expression on the path, tier.
GITHUB = [
    ("POST", r"/markdown(/raw)?$", READ),
    # What only the caller sees.
    ("*", r"^/(user/starred|notifications|repos/[^/]+/[^/]+/(notifications|subscription))", LOCAL),
    # What runs code, or gives a machine to run it on.
    ("POST", r"/dispatches$|/rerun(-failed-jobs)?$|/runs/[^/]+/(approve|pending_deployments|deployment_protection_rule)$", EXECUTION),
    ("POST", r"/(generate-jitconfig|registration-token|remove-token)$|/hosted-runners$|/codespaces(/[^/]+/start)?$", EXECUTION),
    ("POST", r"/(deployments|pages/deployments|pages/builds)$|/hooks/[^/]+/(pings|tests)$|/deliveries/[^/]+/attempts$", EXECUTION),
    ("POST", r"/agents/|/copilot-spaces|/copilot/coding", EXECUTION),
    ("DELETE", r".", MUTATION),
    # Who may do what, with which keys and secrets.
    ("*", r"/(secrets|variables|keys|gpg_keys|ssh_signing_keys|hooks|environments|private-registries)(/|$)", MUTATION),
    ("*", r"/(collaborators|memberships|members|teams|outside_collaborators|invitations|blocks|public_members)(/|$)", MUTATION),
    ("*", r"/(protection|rulesets|properties|permissions|interaction-limits|automated-security-fixes|vulnerability-alerts)(/|$)", MUTATION),
    ("*", r"/(access_tokens|installations?|app-manifests|token|tokens|credentials|personal-access-tokens?[^/]*|oidc|security-managers|organization-roles)(/|$)", MUTATION),
    ("*", r"/(billing|copilot|runner-groups|runners|hosted-runners|network-configurations|code-security|security-advisories|private-vulnerability-reporting|campaigns)(/|$)", MUTATION),
    ("*", r"^/(enterprises|orgs)/[^/]+$|^/repos/[^/]+/[^/]+$|/(transfer|migrations|archive|lock)(/|$)", MUTATION),
    # What rewrites history, or cannot be taken back.
    ("*", r"/pulls/[^/]+/merge$|/merges$|/merge-upstream$|/rename$|/immutable-releases", MUTATION),
    ("PATCH", r"/git/refs/", MUTATION),
    ("POST", r"/(cancel|force-cancel|restore)$", MUTATION),
]

STRIPE = [
    ("POST", r"/(invoices/create_preview|tax/calculations|reporting/report_runs)$|/search$", READ),
    ("POST", r"/test_helpers/", LOCAL),
    ("DELETE", r".", MUTATION),
    # Keys, accounts, and where money goes.
    ("POST", r"/(ephemeral_keys|webhook_endpoints|event_destinations|apps/secrets|accounts|account_links|account_sessions|external_accounts)(/|$)", MUTATION),
    ("POST", r"/(issuing|treasury|climate|financial_accounts|balance_settings|forwarding|radar|reviews|identity)(/|$)", MUTATION),
    ("POST", r"/(cancel|void|close|finalize|mark_uncollectible|deactivate|detach|expire|redact|delete|archive|disable|reject|approve|confirm|resume|release|revoke|unlink|reactivate)$", MUTATION),
]


def github(package):
    """Method, path, action: `issues.createComment` is the action `issues`."""
    text = package.extractfile("package/dist-src/generated/endpoints.js").read().decode()
    found = {}
    category = None
    for line in re.split(r"\n", re.sub(r"\[\s+", "[", text)):
        named = re.match(r"  (\w+): \{", line)
        category = named.group(1) if named else category
        for method, path in re.findall(r'"([A-Z]+) (/[^"]*)"', line):
            # Paths of files and names of refs have slashes of their own.
            path = re.sub(r"\{(path|ref|package_name|dir)\}$", r"{\1+}", path)
            found.setdefault((method, path), snake(category))
    return found


def stripe(package):
    found = {}
    for member in package.getmembers():
        if not re.fullmatch(r"package/esm/resources/.*\.js", member.name):
            continue
        text = package.extractfile(member).read().decode()
        for method, path in re.findall(r"_makeRequest\(\s*'([A-Z]+)',\s*['`](/v[12][^'`]*)['`]", text):
            parts = path.split("/")[2:]
            words = [part for part in parts if "${" not in part]
            # A policy's `customer = { one_of = [...] }` looks into the path, too: so each is called what it is one of.
            named = [f"{{{one(parts[at - 1])}}}" if "${" in part else part for at, part in enumerate(parts)]
            path = "/" + "/".join([path.split("/")[1]] + named)
            spaces = ("billing", "issuing", "treasury", "terminal", "tax", "radar", "test_helpers", "reporting", "identity", "core")
            noun = "_".join(words[:2]) if words[0] in spaces else words[0]
            found[(method, path)] = noun
    return found


def one(many):
    """`customers` -> `customer`, `tax_ids` -> `tax_id`."""
    for ending, single in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if many.endswith(ending) and not many.endswith("ss"):
            return many.removesuffix(ending) + single
    return many


def snake(name):
    return re.sub(r"([A-Z])", lambda m: "_" + m.group(1).lower(), name)


def tier(rules, method, path):
    if method == "GET":
        return READ
    for wanted, expression, found in rules:
        if wanted in ("*", method) and re.search(expression, path):
            return found
    return EXTERNAL


VERBS = {READ: "read", MUTATION: "change", EXECUTION: "run"}


def row(rules, method, path, noun):
    found = tier(rules, method, path)
    action = f"{noun}.{'delete' if method == 'DELETE' else VERBS.get(found, 'write')}"
    return f"{method} {path}\t{action}\t{found}"


def write(name, source, rules, operations):
    # Nobody calls the root of an API but to look around.
    rows = sorted(row(rules, method, path, noun) for (method, path), noun in operations.items() if path != "/")
    head = f"# {len(rows)} operations, from {source}. Written by build.py; the review stands there.\n"
    (HERE / f"{name}.tsv").write_text(head + "\n".join(rows) + "\n")


def main():
    packages = [tarfile.open(path) for path in sys.argv[1:3]]
    write("github", "@octokit/plugin-rest-endpoint-methods 18.0.0 (MIT)", GITHUB, github(packages[0]))
    write("stripe", "stripe-node 23.1.0 (MIT)", STRIPE, stripe(packages[1]))


main()
