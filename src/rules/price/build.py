#!/usr/bin/env python3
"""Builds book.toml, the shipped prices, from two packages on PyPI (both MIT, see THIRD_PARTY_NOTICES):

    pip download --no-deps genai-prices==0.2.3 litellm==1.109.1
    python3 build.py genai_prices-*.whl litellm-*.whl > book.toml

genai-prices gives names, dated prices and tool fees; LiteLLM gives limits, service tiers, context tiers and multipliers.
Where one is silent the other speaks; where both speak and differ, LiteLLM wins (it is the newer) and the difference is
printed on stderr. All numbers are decimals; nothing passes through a float.
"""

import builtins
import datetime
import json
import re
import sys
import zipfile
from decimal import Decimal

CHECKED = "2026-11-19"
VENDORS = ("openai", "anthropic")
MILLION = Decimal(1_000_000)
# Names of ours, of genai-prices, of LiteLLM.
RATES = [
    ("input", "input_mtok", "input_cost_per_token"),
    ("cache_read", "cache_read_mtok", "cache_read_input_token_cost"),
    ("cache_write", "cache_write_mtok", "cache_creation_input_token_cost"),
    ("cache_write_long", "cache_write_1h_mtok", "cache_creation_input_token_cost_above_{long}"),
    ("output", "output_mtok", "output_cost_per_token"),
    ("audio_input", "input_audio_mtok", "input_cost_per_audio_token"),
    ("audio_cached", "cache_audio_read_mtok", "cache_read_input_audio_token_cost"),
    ("audio_output", "output_audio_mtok", "output_cost_per_audio_token"),
    ("image_input", "input_image_mtok", "input_cost_per_image_token"),
    ("image_cached", "cache_image_read_mtok", "cache_read_input_image_token_cost"),
    ("image_output", "output_image_mtok", "output_cost_per_image_token"),
]
TIERS = {"standard": "", "flex": "_flex", "priority": "_priority", "ultrafast": "_ultrafast", "batch": "_batches"}
FEES = [("web_search", "web_searches_kcount"), ("file_search", "storage_searches_kcount")]
# What a vendor charges for a tool where the model's own row names no fee: the dearest that the vendor lists.
VENDOR_FEES = {
    "openai": {"web_search": "0.025", "file_search": "0.0025", "code_interpreter": "0.03"},
    "anthropic": {"web_search": "0.01"},
}
# Mistakes in the sources, seen by comparing them with each other: (name, rate) -> the rate that was meant.
CORRECTIONS = {("ft:gpt-4o-2024-11-20", "cache_write"): "cache_read"}
# A beta header lets these read more than their sources say, at the prices that the sources list for it.
LONGER = {"claude-sonnet-4-5": 1_000_000, "claude-sonnet-4-5-20250929": 1_000_000}
SKIP = re.compile(r"image|realtime|transcribe|tts|whisper|moderation|live-1|sora|translate|davinci|curie|babbage|^ada$|gpt-oss|:extended")
DATED = re.compile(r"^(.+?)[-@](\d{4}-\d{2}-\d{2}|\d{8})$")


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
    return {p.id: p for p in names["providers"] if p.id in VENDORS}


def litellm(wheel):
    raw = zipfile.ZipFile(wheel).read("litellm/model_prices_and_context_window_backup.json")
    return json.loads(raw, parse_float=Decimal)


def clauses(match):
    kind = type(match).__name__[len("Clause") :]
    if kind in ("Or", "And"):
        for inner in match.get("or_") or match.get("and_"):
            yield from clauses(inner)
    else:
        yield kind, next(iter(match.__dict__.values()))


def matches(model, name):
    tests = {
        "Equals": lambda v: name == v,
        "StartsWith": lambda v: name.startswith(v),
        "Contains": lambda v: v in name,
        "Regex": lambda v: re.search(v, name),
    }
    return any(tests[kind](value) for kind, value in clauses(model.match))


def text(number):
    """USD per million tokens, at most six decimals, as plain digits."""
    number = Decimal(number).quantize(Decimal("0.000001")).normalize()
    return format(number, "f")


def put(rates, key, name, value):
    """rates[(tier, above)][name] = value; the later source wins, and says so."""
    row = rates.setdefault(key, {})
    if name in row and row[name] != value:
        print(f"differs: {key} {name}: {row[name]} -> {value}", file=sys.stderr)
    row[name] = value


def add_genai(rates, prices, tier):
    for ours, theirs, _ in RATES:
        value = prices.get(theirs)
        if value is None:
            continue
        tiered = isinstance(value, Rec)
        put(rates, (tier, 0), ours, text(value.base if tiered else value))
        for step in value.tiers if tiered else []:
            put(rates, (tier, step.start), ours, text(step.price))


def add_litellm(rates, name, entry):
    for ours, _, field in RATES:
        ours = CORRECTIONS.get((name, ours), ours)
        for field in {field.format(long=long) for long in ("1hr", "12hr")}:
            for tier, suffix in TIERS.items():
                for key, value in entry.items():
                    found = re.fullmatch(re.escape(field) + r"(?:_above_(\d+)k_tokens)?" + suffix, key)
                    if found and (value or ours == "input"):
                        put(rates, (tier, int(found[1] or 0) * 1000), ours, text(value * MILLION))


def schedules(model):
    prices = model.prices if isinstance(model.prices, list) else [Rec(prices=model.prices)]
    for price in prices:
        constraint = price.get("constraint")
        yield (constraint.start_date if constraint else None), price.prices


def row(name, model, entry):
    """One name's price: everything but its names."""
    prices, fees = [], {}
    for start, rates_of in schedules(model) if model else [(None, Rec())]:
        rates = {}
        add_genai(rates, rates_of, "standard")
        prices.append((start.isoformat() if start else None, rates))
        for ours, theirs in FEES:
            if rates_of.get(theirs) is not None:
                fees[ours] = format((rates_of.get(theirs) / 1000).normalize(), "f")
    latest = prices[-1][1]
    for variant in (model.get("price_variants") or []) if model else []:
        tier = next(iter(variant.when.values()))
        if "speed" not in variant.when and tier in TIERS:
            add_genai(latest, variant.prices, tier)
    if entry:
        add_litellm(latest, name, entry)
        search = entry.get("search_context_cost_per_query")
        if search:
            fees["web_search"] = format(max(Decimal(v) for v in search.values()).normalize(), "f")
    return {
        "limits": limits(model, entry, LONGER.get(name)),
        "multipliers": multipliers(model, entry),
        "fees": fees,
        "source": (entry or {}).get("source") or (model and model.get("pricing_url")) or "genai-prices 0.2.3",
        "prices": prices,
    }


def limits(model, entry, longer):
    found = {"context": model.get("context_window") if model else None}
    found |= {"input": (entry or {}).get("max_input_tokens"), "output": (entry or {}).get("max_output_tokens")}
    found |= {key: longer for key in ("context", "input")} if longer else {}
    return {key: value for key, value in found.items() if value}


def multipliers(model, entry):
    found = {}
    for where in ("eu", "us"):
        factor = (entry or {}).get(f"regional_processing_uplift_multiplier_{where}")
        if factor:
            found[f"host.{where}"] = str(factor)
    special = (entry or {}).get("provider_specific_entry") or {}
    for key, ours in (("us", "geo.us"), ("fast", "speed.fast")):
        if key in special:
            found[ours] = format(Decimal(special[key]).normalize(), "f")
    for variant in (model.get("price_variants") or []) if model else []:
        if variant.when.get("speed") == "fast":
            base = model.prices if not isinstance(model.prices, list) else model.prices[-1].prices
            found["speed.fast"] = format((variant.prices.input_mtok / base.input_mtok).normalize(), "f")
    return found


def wanted(name, entry):
    return entry.get("mode") in ("chat", "responses", "embedding") and "/" not in name and not SKIP.search(name)


def collect(vendor, models, entries):
    """name -> row, and prefix -> row."""
    names, prefixes = {}, {}
    for name, entry in entries.items():
        if entry.get("litellm_provider") == vendor and wanted(name, entry):
            names[name] = row(name, next((m for m in models if matches(m, name)), None), entry)
    for model in models:
        if SKIP.search(model.id) or model.prices is None:
            continue
        known = [n for n in names if matches(model, n)]
        best = next((n for n in known if n == model.id), known[0] if known else None)
        for kind, value in clauses(model.match):
            if kind == "Equals" and not SKIP.search(value):
                names.setdefault(value, names[best] if best else row(value, model, None))
            if kind == "StartsWith" and value not in names:
                prefixes[value] = names[best] if best else row(model.id, model, None)
    return names, prefixes


def collapse(names, prefixes):
    """Rows with their names; a dated name that its own base already covers is left out."""
    rows = {}
    for name, body in names.items():
        dated = DATED.match(name)
        if dated and repr(names.get(dated[1])) == repr(body):
            continue
        rows.setdefault(repr(body), (body, [], []))[1].append(name)
    for prefix, body in prefixes.items():
        rows.setdefault(repr(body), (body, [], []))[2].append(prefix)
    return sorted(rows.values(), key=lambda r: sorted(r[1] + r[2])[0])


def inline(table):
    return "{ " + ", ".join(f"{key(k)} = {v if isinstance(v, int) else json.dumps(v)}" for k, v in table.items()) + " }"


def key(name):
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def emit(vendor, body, names, prefixes):
    print(f"\n[[model]]\nvendor = {json.dumps(vendor)}")
    print(f"names = {json.dumps(sorted(names))}")
    if prefixes:
        print(f"prefixes = {json.dumps(sorted(prefixes))}")
    for part in ("limits", "multipliers", "fees"):
        if body[part]:
            print(f"{part} = {inline(body[part])}")
    print(f"source = {json.dumps(body['source'])}")
    for start, rates in body["prices"]:
        print("[[model.price]]")
        if start:
            print(f"from = {json.dumps(start)}")
        print("rates = [")
        for (tier, above), values in sorted(rates.items(), key=lambda r: (list(TIERS).index(r[0][0]), r[0][1])):
            place = {"tier": tier} if tier != "standard" else {}
            place |= {"above": above} if above else {}
            print(f"  {inline(place | values)},")
        print("]")


def main():
    providers, entries = genai(sys.argv[1]), litellm(sys.argv[2])
    print("# Prices in USD per million tokens; fees in USD each. Built by build.py; the operator's file goes on top.")
    print("# Sources: genai-prices 0.2.3 and litellm 1.109.1, both MIT: see THIRD_PARTY_NOTICES.")
    print(f"checked = {json.dumps(CHECKED)}")
    for vendor in VENDORS:
        print(f"\n[[vendor]]\nname = {json.dumps(vendor)}\nfees = {inline(VENDOR_FEES[vendor])}")
    for vendor in VENDORS:
        names, prefixes = collect(vendor, providers[vendor].models, entries)
        for body, own, heads in collapse(names, prefixes):
            emit(vendor, body, own, heads)


if __name__ == "__main__":
    main()
