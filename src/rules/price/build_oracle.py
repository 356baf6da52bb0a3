#!/usr/bin/env python3
"""Builds tests/oracle.tsv: what genai-prices' own engine says that some usage costs, for models of many vendors.

    pip install genai-prices==0.2.3
    python3 build_oracle.py

Its sums count cached tokens in the input, ours do not: the usage is written down in our kinds. Left out is what the book decides
otherwise (differences.md), and prices by the hour, which it cannot tell by weekday.
"""

import pathlib
import sys
from datetime import UTC, datetime
from decimal import Decimal

from genai_prices import Usage, calc_price
from genai_prices.data import providers

HERE = pathlib.Path(__file__).parent
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
VENDORS = {"aws": "bedrock", "azure": "azure", "deepseek": "deepseek", "openai": "openai", "anthropic": "anthropic", "google": "google", "mistral": "mistral", "groq": "groq", "cohere": "cohere", "x-ai": "xai", "perplexity": "perplexity", "openrouter": "openrouter", "together": "together", "fireworks": "fireworks"}
# Input, cache read, cache write, output: apart from each other.
USES = [(1000, 0, 0, 100), (0, 123_457, 0, 3_333), (12_345, 100_000, 0, 777), (99_999, 1, 0, 1), (150_001, 50_000, 0, 2_500), (260_000, 40_000, 0, 12_000)]
WRITES = (2_001, 10_007, 4_003, 599)


def main():
    # Only what changes these sums: not another tier, nor a factor.
    rows = [[cell.strip() for cell in line.split("|")[1:6]] for line in (HERE / "differences.md").read_text().splitlines() if line.startswith("| ")]
    decided = {(shelf, model) for shelf, model, tier, _, kind in rows if tier in ("standard", "all") and kind in ("all", "input", "cache_read", "cache_write", "output")}
    lines = ["# vendor\tmodel\tinput\tcache_read\tcache_write\toutput\tpico-USD, by genai-prices 0.2.3"]
    for provider in providers:
        shelf = VENDORS.get(provider.id)
        models = [m for m in provider.models if shelf and m.prices and not m.deprecated]
        for model in models[:: 12 if provider.id == "openrouter" else 3 if len(models) > 40 else 1]:
            if (shelf, model.id.lower()) in decided or not hasattr(model.get_prices(AT), "input_mtok"):
                continue
            price = model.get_prices(AT)
            # No name of Amazon's: theirs for all its regions together.
            if model.id.startswith("regional."):
                continue
            if price.output_mtok is None or price.input_mtok is None or price.output_reasoning_mtok:
                continue
            uses = USES + ([WRITES] if price.cache_write_mtok else [])
            for given in uses:
                fresh, read, write, out = given
                if read and not price.cache_read_mtok:
                    continue
                usage = Usage(input_tokens=fresh + read + write, cache_read_tokens=read, cache_write_tokens=write, output_tokens=out)
                try:
                    cost = calc_price(usage, model.id, provider_id=provider.id, genai_request_timestamp=AT)
                except LookupError:
                    continue
                if cost.model.id != model.id:
                    continue
                pico = Decimal(cost.total_price) * 10**12
                if pico != pico.to_integral_value():
                    continue
                lines.append("\t".join([shelf, model.id, *map(str, given), str(int(pico))]))
    (HERE / "tests/oracle.tsv").write_text("\n".join(lines) + "\n")
    print(len(lines) - 1, file=sys.stderr)


if __name__ == "__main__":
    main()
