#!/usr/bin/env python3
"""Builds book.jsonl, the shipped prices, and differences.md, from two packages on PyPI (both MIT, see THIRD_PARTY_NOTICES):

    pip download --no-deps genai-prices==0.2.3 litellm==1.109.1
    python3 build.py genai_prices-*.whl litellm-*.whl

genai-prices gives names, dated prices and tool fees; LiteLLM gives limits, service and context tiers, multipliers, media and
hours. Where one is silent the other speaks. Where both speak and differ:
  1. OVERRIDES, by hand and with a reason, win;
  2. of two spellings of one number (3.083e-05 a second, 0.111 an hour) the one with more digits wins;
  3. a zero never wins against a price;
  4. on Bedrock a bare name is a region's own endpoint, a tenth dearer than `global.`: where only genai-prices says so, it wins;
  5. what genai-prices lists for an earlier day, and LiteLLM for today, is old: genai-prices wins;
  6. else LiteLLM wins: its entries are two weeks newer.
Each such difference stands in differences.md. All numbers are decimals; nothing passes through a float.
"""

import collections
import json
import pathlib
import re
import sys
from decimal import Decimal

from build_sources import Rec, genai, litellm, matches, simple, variant_tier

CHECKED = "2026-11-19"
GENAI, LITELLM = "genai-prices 0.2.3", "litellm 1.109.1"
TODAY = "2026-11-21"
HERE = pathlib.Path(__file__).parent
MILLION = Decimal(1_000_000)
# Our shelf: providers of LiteLLM's, what their keys begin with, and the provider of genai-prices.
VENDORS = {
    "openai": (["openai"], r"", "openai"),
    "anthropic": (["anthropic"], r"", "anthropic"),
    "google": (["gemini"], r"gemini/", "google"),
    "vertex": (["vertex_ai*"], r"vertex_ai/", "google"),
    "azure": (["azure", "azure_ai"], r"azure(?:_ai)?/", "azure"),
    "bedrock": (["bedrock", "bedrock_converse"], r"bedrock/(?:us-gov-[a-z]+-\d/claude)?", "aws"),
    "mistral": (["mistral"], r"mistral/", "mistral"),
    "groq": (["groq"], r"groq/", "groq"),
    "cohere": (["cohere", "cohere_chat"], r"cohere/", "cohere"),
    "xai": (["xai"], r"xai/", "x-ai"),
    "deepseek": (["deepseek"], r"deepseek/", "deepseek"),
    "perplexity": (["perplexity"], r"perplexity/", "perplexity"),
    "openrouter": (["openrouter"], r"openrouter/", "openrouter"),
    "together": (["together_ai"], r"together_ai/", "together"),
    "fireworks": (["fireworks_ai"], r"fireworks_ai/", "fireworks"),
}
# Names of ours, of genai-prices, of LiteLLM, and of so many units theirs is a price.
TOKENS = [
    ("input", "input_mtok", "input_cost_per_token"),
    ("cache_read", "cache_read_mtok", "cache_read_input_token_cost"),
    ("cache_write", "cache_write_mtok", "cache_creation_input_token_cost"),
    ("cache_write_long", "cache_write_1h_mtok", "cache_creation_input_token_cost_above_{long}"),
    ("output", "output_mtok", "output_cost_per_token"),
    ("reasoning", "output_reasoning_mtok", "output_cost_per_reasoning_token"),
    ("audio_input", "input_audio_mtok", "input_cost_per_audio_token"),
    ("audio_cached", "cache_audio_read_mtok", "cache_read_input_audio_token_cost"),
    ("audio_output", "output_audio_mtok", "output_cost_per_audio_token"),
    ("image_input", "input_image_mtok", "input_cost_per_image_token"),
    ("image_cached", "cache_image_read_mtok", "cache_read_input_image_token_cost"),
    ("image_output", "output_image_mtok", "output_cost_per_image_token"),
    ("video_input", "input_video_mtok", "input_cost_per_video_token"),
    ("video_output", "output_video_mtok", "output_cost_per_video_token"),
    ("citation", "output_citation_mtok", "citation_cost_per_token"),
    ("characters_in", "input_mchars", "input_cost_per_character"),
    ("characters_out", None, "output_cost_per_character"),
]
EACH = [
    ("pages", "input_document_kpages", "ocr_cost_per_page"),
    ("search_units", None, "input_cost_per_query"),
    ("requests", "requests_kcount", "input_cost_per_request"),
    ("images_in", None, "input_cost_per_image"),
    ("images_out", None, "output_cost_per_image"),
]
TIME = [
    ("audio_time_in", "input_audio_hours", "input_cost_per_audio_per_second"),
    ("video_time_in", None, "input_cost_per_video_per_second"),
    ("video_time_out", None, "output_cost_per_video_per_second"),
]
KINDS = [row[0] for row in TOKENS + EACH + TIME] + ["audio_time_out"]
PER_MILLION = {row[0] for row in TOKENS}
ANSWERS = ("output", "reasoning", "audio_output", "image_output", "video_output")
TIERS = {"standard": "", "flex": "_flex", "priority": "_priority", "ultrafast": "_ultrafast", "balanced": "_balanced", "batch": "_batches"}
FEES = [
    ("web_search", "web_searches_kcount", None),
    ("file_search", "storage_searches_kcount", "file_search_cost_per_1k_calls"),
    ("annotation", "input_annotated_document_kpages", "annotation_cost_per_page"),
    ("maps", None, "google_maps_grounding_cost_per_query"),
    ("code_interpreter", None, "code_interpreter_cost_per_session"),
]
# What a vendor charges for a tool where the model's own row names no fee: the dearest that the vendor lists.
VENDOR_FEES = {
    "openai": {"web_search": "0.025", "file_search": "0.0025", "code_interpreter": "0.03"},
    "azure": {"web_search": "0.025", "file_search": "0.0025", "code_interpreter": "0.03"},
    "anthropic": {"web_search": "0.01"},
    "bedrock": {"web_search": "0.01"},
}
# By hand: (shelf, name, tier, above, kind) -> price, with the reason and where the figure stands. `None` drops a rate.
OVERRIDES = json.loads((HERE / "overrides.json").read_text())
# A beta header lets these read more than their sources say, at the prices that the sources list for it.
LONGER = re.compile(r"(?:^|\.)claude-sonnet-4(?:-5)?(?=$|[-@]20)")
LONGER_BY_NAME = ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929")
LONGEST = 1_000_000
# Clouds that list a price for what is longer than the model's own limit there: the longest that its maker lists.
LONGER_THERE = {"grok-4.3": 1_000_000, "grok-4.6": 500_000}
# Models of Google's that charge searches by the prompt, and not by the query.
PER_PROMPT = re.compile(r"gemini-[12]\b")
# Context steps that begin at the threshold itself.
INCLUSIVE = {"xai"}
# Days without peak hours, from DeepSeek's calendar: public holidays of China that fall on weekdays.
HOLIDAYS = ["2026-09-25", *(f"2026-10-0{day}" for day in (1, 2, 5, 6, 7)), "2027-01-01"]
# Its days begin in Beijing: genai-prices has the day there, DeepSeek's notice the instant. At rest it costs half of the peak.
DEEPSEEK_PEAK_FROM = "2026-08-16T16:00:00Z"
DEEPSEEK_PEAK_DAY = "2026-08-17"
PEAK = {"days": "mon-fri", "utc": ["01:00-04:00", "06:00-10:00"], "except": HOLIDAYS}
SKIP = re.compile(r"month-commitment|:extended|steps/|^ft:.*babbage|^sample_spec$|^together-ai-|^fireworks-ai-")
DATED = re.compile(r"^(.+?)[-@](\d{4}-\d{2}-\d{2}|\d{8})$")
SIZED = re.compile(r"^(?:(low|medium|high|standard|hd|auto)/)?(\d+)-x-(\d+)/(.+)$")
differences = []
# Of the model at hand: what genai-prices lists for days before the last one, by place and kind.
EARLIER = {}


def text(number, places=6):
    """Plain digits; what is finer is noise of a float in the source."""
    number = Decimal(number).quantize(Decimal(1).scaleb(-places)).normalize()
    return format(number, "f")


def put(where, rates, key, kind, value, source):
    """The later source wins, and says so."""
    row = rates.setdefault(key, {})
    old = row.get(kind)
    if old is not None and old != value:
        zero, finer, stale = value == "0", rounds(old, value), value in EARLIER.get((key, kind), ())
        by = "no zero beside a price" if zero else "the more exact one" if finer else "an earlier day's price" if stale else "LiteLLM"
        differences.append((*where, *key, kind, old, value, by))
        if by != "LiteLLM":
            return
    row[kind] = value


def rounds(exact, value):
    """Is the value the exact one with fewer digits?"""
    if "/" in exact and "/" not in value:
        hourly = Decimal(exact.split("/")[0]) / 3600
        return abs(hourly - Decimal(value)) < hourly / 1000
    last = Decimal(1).scaleb(Decimal(value).as_tuple().exponent) if "/" not in value else 0
    return "/" not in value + exact and len(exact) > len(value) and abs(Decimal(exact) - Decimal(value)) < min(last, Decimal(exact) / 50)


def add_genai(where, rates, prices, tier):
    for kind, theirs, _ in TOKENS + EACH:
        value = prices.get(theirs) if theirs else None
        # Perplexity's price of a request is that of its search, which is a fee by the size of its context.
        if value is None or (where[0], kind) == ("perplexity", "requests"):
            continue
        tiered = isinstance(value, Rec)
        base = value.base if tiered else value
        if base == 0 and kind != "input":
            continue
        each = kind not in PER_MILLION
        put(where, rates, (tier, 0), kind, text(base / 1000, 12) if each else text(base), "genai")
        for step in value.tiers if tiered else []:
            put(where, rates, (tier, step.start), kind, text(step.price), "genai")
    hours = prices.get("input_audio_hours") or prices.get("audio_hours")
    if hours:
        put(where, rates, (tier, 0), "audio_time_in", f"{text(hours)}/hour", "genai")


def add_litellm(where, rates, entry):
    mode, shelf = entry.get("mode"), where[0]
    time = list(TIME)
    if mode == "audio_transcription":
        time += [("audio_time_in", None, "input_cost_per_second")]
    if mode in ("audio_speech", "video_generation"):
        time += [("audio_time_out" if mode == "audio_speech" else "video_time_out", None, "output_cost_per_second")]
    drawn = mode in ("image_generation", "image_edit") and "output_cost_per_image" not in entry
    for kind, _, field in TOKENS + EACH + time:
        if kind == "images_in" and drawn:
            kind = "images_out"
        for field in {field.format(long=long) for long in ("1hr", "12hr")}:
            for tier, suffix in TIERS.items():
                for key, value in entry.items():
                    found = re.fullmatch(re.escape(field) + r"(?:_above_(\d+)k_tokens)?" + suffix, key)
                    if not found or not (value or kind == "input" and not found[1]):
                        continue
                    above = int(found[1] or 0) * 1000 - (1 if found[1] and shelf in INCLUSIVE else 0)
                    shown = text(value * MILLION) if kind in PER_MILLION else text(value, 12)
                    put(where, rates, (tier, above), kind, shown, "litellm")


def schedules(model):
    """(from, hours, prices), the general ones first."""
    prices = model.prices if isinstance(model.prices, list) else [Rec(prices=model.prices)]
    for price in prices:
        constraint = price.get("constraint")
        day = constraint.get("start_date") if constraint else None
        start, end = (constraint.get("start_time"), constraint.get("end_time")) if constraint else (None, None)
        hours = {"utc": [f"{start:%H:%M}-{end:%H:%M}"]} if start else None
        yield (day.isoformat() if day else None), hours, price.prices


def row(shelf, name, model, entry):
    """One name's price: everything but its names."""
    where, prices, fees = (shelf, name), [], {}
    for start, hours, rates_of in schedules(model) if model else [(None, None, Rec())]:
        if hours and entry:
            continue
        rates = {}
        add_genai(where, rates, rates_of, "standard")
        prices.append([DEEPSEEK_PEAK_FROM if shelf == "deepseek" and start == DEEPSEEK_PEAK_DAY else start, hours, rates])
        for ours, theirs, _ in FEES:
            if rates_of.get(theirs or "-") is not None and (start or "") <= TODAY:
                fees[ours] = text(rates_of.get(theirs) / 1000, 12)
    add_variants(where, prices, model)
    now = max((p for p in prices if not p[1] and (p[0] or "") <= TODAY), key=lambda p: p[0] or "")
    before = {key: dict(value) for key, value in now[2].items()}
    busy = {}
    EARLIER.clear()
    for start, hours, rates in prices:
        for key, values in rates.items() if (start or "") < (now[0] or "") else ():
            for kind, value in values.items():
                EARLIER.setdefault((key, kind), set()).add(value)
    if entry:
        entry = regional(where, entry, now[2])
        add_litellm(where, now[2], off_peak(where, entry, busy))
        add_later(prices, now, before)
        add_fees(shelf, name, fees, entry)
    # Older models charge the prompt that led to searches, whoever lists the fee.
    if shelf in ("google", "vertex") and PER_PROMPT.match(name) and "web_search" in fees:
        fees["grounded_prompt"] = fees.pop("web_search")
    prices += peaks(prices, now, busy) if busy else []
    factors = multipliers(model, entry)
    by_hand = override(where, prices, factors)
    for price in prices:
        complete(where, entry, price[2])
    return {
        "limits": limits(model, entry, longer(name, prices)),
        "multipliers": factors,
        "fees": fees,
        "source": source(model, entry, by_hand),
        "prices": [p for p in prices if p[2].get(("standard", 0))],
    }


def peaks(prices, now, busy):
    """Peak hours: of the price that holds today, and of those that held before since there were such hours."""
    earlier = [p for p in prices if p is not now and not p[1] and DEEPSEEK_PEAK_FROM <= (p[0] or "") < (now[0] or "")]
    double = lambda rates: {key: {kind: text(Decimal(value) * 2) for kind, value in values.items()} for key, values in rates.items()}
    own = [[start, PEAK, double(rates)] for start, _, rates in earlier]
    return own + [[max(now[0] or "", DEEPSEEK_PEAK_FROM), PEAK, busy]]


def add_variants(where, prices, model):
    """A variant belongs to the schedule of its own day, or to the one that holds on that day."""
    for variant in (model.get("price_variants") or []) if model else []:
        tier = variant_tier(variant)
        if tier not in TIERS or tier == "standard":
            continue
        constraint = variant.get("constraint")
        day = constraint.start_date.isoformat() if constraint else ""
        for start, hours, rates in prices:
            until = min((p[0] for p in prices if p[0] and p[0] > (start or "")), default="9999")
            if not hours and day < until and (start or "") <= max(day, TODAY):
                if (tier, 0) in rates and day < (start or ""):
                    continue
                quiet = {}
                add_genai(where, quiet, variant.prices, tier)
                for key, values in quiet.items():
                    rates[key] = values


def add_later(prices, now, before):
    """A price of a day to come has no tiers of LiteLLM's yet: they keep their relation to the standard rate."""
    base = before.get(("standard", 0), {})
    for start, hours, rates in prices:
        if hours or not start or start <= TODAY:
            continue
        later = rates.get(("standard", 0), {})
        for key, values in now[2].items():
            for kind, value in values.items():
                if kind in rates.get(key, {}) or "/" in value:
                    continue
                like = kind if kind in later and kind in base else "output" if kind in ("reasoning", "audio_output", "image_output") else "input"
                if like in later and Decimal(base.get(like, "0")):
                    factor = Decimal(later[like]) / Decimal(base[like])
                    rates.setdefault(key, {})[kind] = text(Decimal(value) * factor)


def regional(where, entry, rates):
    """A bare name of Bedrock's runs in one region, which costs a tenth more than `global.`; LiteLLM's entry may not know."""
    listed = Decimal(rates.get(("standard", 0), {}).get("input", "0"))
    own = entry.get("input_cost_per_token", Decimal(0)) * MILLION
    if where[0] != "bedrock" or not own or listed != own * Decimal("1.1") or where[1].startswith("global."):
        return entry
    differences.append((*where, "all", 0, "all", text(own), text(listed), "in one region: a tenth more (rule 4)"))
    tenth = lambda key, value: value * Decimal("1.1") if "_token" in key and "cost" in key and isinstance(value, Decimal) else value
    return {key: tenth(key, value) for key, value in entry.items()}


def off_peak(where, entry, busy):
    """DeepSeek's entries are peak prices with off-peak hours; here what holds most of the time comes first."""
    off = entry.get("off_peak_pricing")
    if not off:
        return entry
    add_litellm(where, busy, entry)
    return entry | {key: value for key, value in off.items() if key != "windows"}


def like_standard(where, rates, tier, above, kind):
    """A tier's rate of a kind, in the relation that its input or its output has to the standard tier's."""
    usual, values = rates.get(("standard", above), {}), rates[(tier, above)]
    like = "output" if kind in ANSWERS and kind != "output" else "input"
    if kind in values or not {kind, like} <= set(usual) or like not in values or not Decimal(usual[like]):
        return
    # Where hearing costs no more than reading, it is charged as that.
    if kind == "audio_input" and Decimal(usual[kind]) <= Decimal(usual[like]):
        return
    values[kind] = text(Decimal(usual[kind]) * Decimal(values[like]) / Decimal(usual[like]))
    differences.append((*where, tier, above, kind, None, values[kind], f"as its {like}'s relation to the standard tier"))


def complete_tiers(where, rates):
    """A tier that lists some rates keeps for others its relation to the standard tier."""
    google, openai = where[0] in ("google", "vertex") and "claude" not in where[1], where[0] in ("openai", "azure")
    kinds = ["output"] if openai else []
    kinds += ["cache_write_long"] if openai else ["audio_input", "audio_output", "image_output"] if google else []
    for (tier, above) in [key for key in rates if key[0] in ("flex", "batch", "priority")]:
        for kind in kinds:
            like_standard(where, rates, tier, above, kind)
    # What is cheaper in every short prompt is so in a long one: the step is as much dearer as the standard tier's.
    for tier, (_, above) in [(tier, key) for tier in ("flex", "batch") for key in rates if key[0] == "standard" and key[1] and (google or openai)]:
        first, base, step = (rates.get(key, {}) for key in ((tier, 0), ("standard", 0), ("standard", above)))
        if (tier, above) in rates or not {"input", "output"} <= set(first) or not {"input", "output"} <= set(step):
            continue
        shared = [kind for kind in first if kind in base and kind in step and kind in PER_MILLION and Decimal(base[kind])]
        rates[(tier, above)] = {kind: text(Decimal(first[kind]) * Decimal(step[kind]) / Decimal(base[kind])) for kind in shared}
        differences.append((*where, tier, above, "all", None, rates[(tier, above)]["input"], "as the standard tier's step"))


def complete(where, entry, rates):
    """Rates that a source leaves unsaid because they are like others."""
    complete_tiers(where, rates)
    for (tier, above), values in rates.items():
        step, first = Decimal(values.get("input", "0")), rates.get((tier, 0), {})
        for kind, value in first.items():
            # A step names what it changes; the rest grows with the input, or the output.
            like = "output" if kind in ("reasoning", "audio_output", "image_output") else "input"
            if above and kind not in values and "/" not in value and kind in PER_MILLION and Decimal(first.get(like, "0")) and like in values:
                values[kind] = text(Decimal(value) * Decimal(values[like]) / Decimal(first[like]))
        # Flex that lists only its input keeps the relation to the standard tier.
        usual = rates.get(("standard", above), {})
        if tier == "flex" and "input" in values and "output" not in values and "output" in usual and Decimal(usual.get("input", "0")):
            values["output"] = text(Decimal(usual["output"]) * Decimal(values["input"]) / Decimal(usual["input"]))
            differences.append((*where, tier, above, "output", None, values["output"], "as its input's relation to the standard tier"))
        if values.get("reasoning") == values.get("output"):
            values.pop("reasoning", None)
        # Gemini hears at the price at which it reads, unless it says otherwise.
        # Claude: five minutes in the cache cost a quarter more than input, an hour twice as much.
        if "claude" in where[1] and "cache_write" in values:
            if abs(step * Decimal("1.25") - Decimal(values["cache_write"])) < Decimal("0.01"):
                values["cache_write"] = text(step * Decimal("1.25"))
            values.setdefault("cache_write_long", text(step * 2))
        hears = where[0] in ("google", "vertex") and "supports_audio_input" in (entry or {}) and step
        if hears and "audio_input" not in values:
            values |= {"audio_input": values["input"], "audio_cached": values.get("cache_read", values["input"])}
        # What was heard and is cached costs the same part of its price as what was read.
        if where[0] in ("google", "vertex") and step and "cache_read" in values and "audio_input" in values and "audio_cached" not in values:
            values["audio_cached"] = text(Decimal(values["cache_read"]) * Decimal(values["audio_input"]) / step)


def add_fees(shelf, name, fees, entry):
    for ours, _, field in FEES:
        value = entry.get(field or "-")
        if value:
            fees[ours] = text(value / 1000 if field.endswith("1k_calls") else value, 12)
    search = entry.get("search_context_cost_per_query")
    if search:
        dearest = text(max(Decimal(v) for v in search.values()), 12)
        per_prompt = shelf in ("google", "vertex") and "claude" not in name and not entry.get("web_search_billing_unit")
        fees.pop("web_search", None)
        fees["grounded_prompt" if per_prompt else "web_search"] = dearest
        for size, value in search.items():
            if text(value, 12) != dearest:
                fees[f"web_search.{size.rsplit('_', 1)[1]}"] = text(value, 12)
    for key, value in entry.items():
        found = re.fullmatch(r"output_cost_per_(image|second)_(\d[\w.]*)", key)
        if found and value:
            fees[f"{'video' if found[1] == 'second' else 'image'}.{found[2]}"] = text(value, 12)


def source(model, entry, by_hand):
    """Who told it: the packages, as nobody here read the pages that they name."""
    named = re.sub(r"\?.*", "", (entry or {}).get("source") or "")
    told = [GENAI] if model else []
    told += [f"{LITELLM} ({named})" if named else LITELLM] if entry else []
    return "; ".join(told + [f"by hand: {one}" for one in by_hand])


def override(where, prices, factors):
    """Gives the sources of what was changed."""
    found = []
    for rule in OVERRIDES:
        dated = DATED.match(where[1])
        if (rule["vendor"], rule["name"]) not in (where, (where[0], dated[1] if dated else None)):
            continue
        found += [rule["source"]] if rule["source"] not in found else []
        if "multiplier" in rule:
            differences.append((*where, "all", 0, rule["multiplier"], factors.get(rule["multiplier"]), rule["price"], "by hand: " + rule["why"]))
            factors[rule["multiplier"]] = rule["price"]
            continue
        for start, hours, rates in prices:
            key = (rule.get("tier", "standard"), rule.get("above", 0))
            old = rates.get(key, {}).get(rule["kind"])
            if (old is not None or rule.get("add") and key in rates) and rule["price"] != old:
                differences.append((*where, *key, rule["kind"], old, rule["price"], "by hand: " + rule["why"]))
                rates[key].pop(rule["kind"], None)
                if rule["price"]:
                    rates[key][rule["kind"]] = rule["price"]
    return found


def longer(name, prices):
    """The longest prompt of a model whose listed limit stops where a price for longer ones begins."""
    step = max((above for _, _, rates in prices for _, above in rates), default=0)
    most = LONGEST if LONGER.search(name) else LONGER_THERE.get(name.rsplit("/", 1)[-1])
    return (LONGEST if name in LONGER_BY_NAME else step, most) if most else None


def limits(model, entry, longer):
    found = {"context": model.get("context_window") if model else None}
    found |= {"input": (entry or {}).get("max_input_tokens"), "output": (entry or {}).get("max_output_tokens")}
    known = [value for key, value in found.items() if value and key != "output"]
    if longer and known and max(known) <= longer[0]:
        found |= {"context": longer[1], "input": longer[1]}
    return {key: int(value) for key, value in found.items() if value}


def multipliers(model, entry):
    entry, found = entry or {}, {}
    for ours, theirs in (("eu", "processing_uplift_multiplier_eu"), ("us", "processing_uplift_multiplier_us"), ("regional", "endpoint_uplift_multiplier")):
        if entry.get(f"regional_{theirs}"):
            found[f"host.{ours}"] = text(entry[f"regional_{theirs}"], 3)
    special = entry.get("provider_specific_entry") or {}
    for key, ours in (("us", "geo.us"), ("fast", "speed.fast")):
        if key in special:
            found[ours] = text(special[key], 3)
    for variant in (model.get("price_variants") or []) if model else []:
        if variant.when.get("speed") == "fast":
            base = model.prices if not isinstance(model.prices, list) else model.prices[-1].prices
            found["speed.fast"] = text(variant.prices.input_mtok / base.input_mtok, 3)
    return found


def priced(entry):
    """Free is only what is meant to be: everywhere else a zero is a hole in the data."""
    return entry.get("mode") == "moderation" or any(
        isinstance(v, (Decimal, int)) and not isinstance(v, bool) and v > 0 for k, v in entry.items() if "cost" in k
    )


def collect(shelf, models, entries):
    """name -> row, and beginnings, endings and patterns of names -> row."""
    providers, head, _ = VENDORS[shelf]
    names, parts, sizes = {}, {"prefixes": {}, "suffixes": {}, "patterns": {}}, {}
    # Where two providers list one name, the first provider counts, and the name with the provider's own head; what it does not
    # say, the other says.
    rank = lambda full: (next((i for i, p in enumerate(providers) if entries[full].get("litellm_provider") == p), 0), not re.match(head, full))
    second = {}
    for full in sorted(entries, key=rank, reverse=True):
        if any(str(entries[full].get("litellm_provider")) == p for p in providers):
            second.setdefault(re.sub("^" + head, "", full).lower(), entries[full])
    for full in sorted(entries, key=rank):
        entry, provider = entries[full], str(entries[full].get("litellm_provider"))
        ours = any(provider == p or p.endswith("*") and provider.startswith(p[:-1]) for p in providers)
        name = re.sub("^" + head, "", full).lower() if ours else ""
        other = second.get(name, {})
        # Here as well, no zero wins against a price.
        entry = other | {key: value for key, value in entry.items() if value != 0 or key not in other}
        sized = SIZED.match(name)
        if sized:
            sizes.setdefault(sized[4], {})[f"image.{sized[1] or 'standard'}.{sized[2]}x{sized[3]}"] = picture(entry, sized)
        elif ours and not SKIP.search(name) and priced(entry) and name not in names:
            model = next((m for m in models if matches(m.match, name)), None)
            names[name] = row(shelf, name, model, entry)
    for model in models:
        if model.prices is None or SKIP.search(model.id):
            continue
        own = row(shelf, model.id.lower(), model, None)
        free = all(Decimal(v.split("/")[0]) == 0 for p in own["prices"] for values in p[2].values() for v in values.values())
        if own["prices"] and free and model.id.endswith(":free"):
            own["prices"][0][2][("standard", 0)]["output"] = "0"
        elif free and not any(p[2] for p in own["prices"]) or free and own["prices"]:
            continue
        if not own["prices"] or shelf == "vertex" and not model.id.startswith("claude"):
            continue
        known = [n for n in names if matches(model.match, n)]
        best = next((n for n in known if n == model.id.lower()), known[0] if known else None)
        for kind, value in simple(model.match, shelf):
            value = value.lower()
            if kind == "names":
                names.setdefault(value, names[best] if best else own)
            elif value not in names:
                parts[kind].setdefault(value, names[best] if best else own)
    for name, table in sizes.items():
        base = names.setdefault(name, {"limits": {}, "multipliers": {}, "fees": {}, "source": LITELLM, "prices": []})
        base["fees"] = base["fees"] | {key: value for key, value in table.items() if value}
    return {name: body for name, body in names.items() if body["prices"] or body["fees"]}, parts


def picture(entry, sized):
    """Prices by the pixel are list prices divided; they come back as whole tenths of a cent."""
    if entry.get("output_cost_per_image") or entry.get("input_cost_per_image"):
        return text(entry.get("output_cost_per_image") or entry["input_cost_per_image"], 12)
    pixel = entry.get("output_cost_per_pixel") or entry.get("input_cost_per_pixel") or 0
    return text(pixel * int(sized[2]) * int(sized[3]), 3) if pixel else None


def collapse(names, parts):
    """Rows with their names; a dated name that its own base already covers is left out."""
    rows = {}
    same = lambda body: repr({part: value for part, value in body.items() if part != "source"}) if body else None
    place = lambda body: rows.setdefault(same(body), (body, {"names": [], "prefixes": [], "suffixes": [], "patterns": []}))[1]
    for name, body in names.items():
        dated = DATED.match(name)
        if not (dated and same(names.get(dated[1])) == same(body)):
            place(body)["names"].append(name)
    for kind, table in parts.items():
        for value, body in table.items():
            place(body)[kind].append(value)
    return sorted(rows.values(), key=lambda r: min(n for names in r[1].values() for n in names))


def line(shelf, body, names):
    # The plainest name of all is the row's own.
    plain = lambda name: (name.startswith("claude-5") or "/" in name or "@" in name, "claude" not in name and "." not in name, len(name), name)
    found = {"vendor": shelf} | {kind: sorted(values, key=plain) for kind, values in names.items() if values}
    found |= {part: body[part] for part in ("limits", "multipliers", "fees") if body[part]}
    found["source"] = body["source"]
    found["price"] = []
    for start, hours, rates in body["prices"]:
        schedule = {"from": start} if start else {}
        schedule |= {"hours": hours} if hours else {}
        order = sorted(rates.items(), key=lambda r: (list(TIERS).index(r[0][0]), r[0][1]))
        schedule["rates"] = [
            ({"tier": tier} if tier != "standard" else {})
            | ({"above": above} if above else {})
            | {kind: values[kind] for kind in KINDS if kind in values}
            for (tier, above), values in order
            if values
        ]
        found["price"].append(schedule)
    found["price"] = found["price"] or [{"rates": [{}]}]
    return json.dumps(found, separators=(",", ":"))


def report(shelves):
    out = ["# Where the sources of book.jsonl differ", "", __doc__.split("\n\n")[2].strip(), ""]
    out += ["| shelf | model | tier | above | kind | not used | used | decided by |", "| - | - | - | - | - | - | - | - |"]
    seen = dict.fromkeys(d for d in differences if d[0] in shelves)
    for shelf, name, tier, above, kind, old, new, by in seen:
        kept = by in ("the more exact one", "no zero beside a price", "an earlier day's price")
        chosen, other = (old, new) if kept else (new, old)
        chosen, other = chosen or "none", other or "none"
        out.append(f"| {shelf} | {name} | {tier} | {above} | {kind} | {other} | {chosen} | {by} |")
    return "\n".join(out) + "\n"


def main():
    providers, entries = genai(sys.argv[1]), litellm(sys.argv[2])
    header = {"checked": CHECKED, "vendor": [{"name": name, "fees": fees} for name, fees in VENDOR_FEES.items()]}
    lines = [json.dumps(header, separators=(",", ":"))]
    for shelf, (_, _, theirs) in VENDORS.items():
        models = providers[theirs].models if theirs in providers else []
        names, parts = collect(shelf, models, entries)
        lines += [line(shelf, body, own) for body, own in collapse(names, parts)]
    (HERE / "book.jsonl").write_text("\n".join(lines) + "\n")
    (HERE / "differences.md").write_text(report(VENDORS))
    print(collections.Counter(json.loads(l)["vendor"] if '"names"' in l or '"prefixes"' in l else "-" for l in lines[1:]))


if __name__ == "__main__":
    main()
