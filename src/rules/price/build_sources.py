"""Reads the packages that build.py merges: genai-prices' data module, without the package's own imports, and LiteLLM's JSON."""

import builtins
import datetime
import json
import re
import zipfile
from decimal import Decimal


class Rec:
    def __init__(self, *_, **fields):
        self.__dict__.update(fields)

    def get(self, name):
        return getattr(self, name, None)


class Kinds(dict):
    """Makes a class for whatever name the data uses, so that the package's own imports are not needed."""

    def __missing__(self, name):
        if hasattr(builtins, name):
            raise KeyError(name)
        self[name] = type(name, (Rec,), {})
        return self[name]


def genai(wheel):
    text = zipfile.ZipFile(wheel).read("genai_prices/data.py").decode()
    text = text[text.index("providers:") :].replace("providers: list[Provider] =", "providers =", 1)
    names = Kinds(datetime=datetime, Decimal=Decimal)
    exec(compile(text, "data.py", "exec"), names)
    return {p.id: p for p in names["providers"]}


def litellm(wheel):
    raw = zipfile.ZipFile(wheel).read("litellm/model_prices_and_context_window_backup.json")
    return json.loads(raw, parse_float=Decimal, parse_int=Decimal)


def kind_of(match):
    return type(match).__name__[len("Clause") :]


def clauses(match):
    if kind_of(match) in ("Or", "And"):
        for inner in match.get("or_") or match.get("and_"):
            yield from clauses(inner)
    else:
        yield kind_of(match), next(iter(match.__dict__.values()))


def matches(match, name):
    kind, name = kind_of(match), name.lower()
    if kind == "Or":
        return any(matches(inner, name) for inner in match.or_)
    if kind == "And":
        return all(matches(inner, name) for inner in match.and_)
    value = next(iter(match.__dict__.values()))
    value = value if kind == "Regex" else value.lower()
    return {
        "Equals": lambda: name == value,
        "StartsWith": lambda: name.startswith(value),
        "EndsWith": lambda: name.endswith(value),
        "Contains": lambda: value in name,
        "Regex": lambda: bool(re.search(value, name, re.IGNORECASE)),
    }[kind]()


def simple(match, shelf):
    """Our kinds of names for what can be said without `and`: (names, prefixes, suffixes, patterns; the text)."""
    for inner in match.or_ if kind_of(match) == "Or" else [match]:
        kind = kind_of(inner)
        if kind in ("Or", "And"):
            continue
        value = next(iter(inner.__dict__.values()))
        # The government's regions have prices of their own, which genai-prices does not tell apart.
        if value.startswith("us-gov."):
            continue
        # A cloud's ending or middle is the whole name here: regions and versions are taken off before it is looked up.
        if kind == "Equals" or kind == "EndsWith" and shelf in ("bedrock", "google", "vertex"):
            yield "names", value.removeprefix("/")
        elif kind == "StartsWith" and len(value) > 3:
            yield "prefixes", value
        elif kind == "EndsWith":
            yield "suffixes", value
        elif kind == "Contains" and shelf in ("bedrock", "google", "vertex") and not value.endswith("@"):
            yield "names", value
        elif kind == "Regex" and "(?" not in value and not re.search(r"\\d\{[28]\}\$$", value):
            yield "patterns", re.sub(r"\$$", "", value[1:] if value.startswith("^") else ".*" + value) + ("" if value.endswith("$") else ".*")


def variant_tier(variant):
    """The service tier of a variant, in our word; none if something else makes it differ."""
    when = variant.when
    if set(when) - {"service_tier", "processing"}:
        return None
    tier = next(iter(when.values()))
    return {"default": "standard", "fast": "priority"}.get(tier, tier)
