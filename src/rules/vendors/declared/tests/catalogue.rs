//! The shipped catalogue by example: one call of each vendor, its hold and its cost, computed by hand (micro-cents, 1e-8 USD).

use crate::rules::vendors::catalog::{names, shipped};
use crate::rules::vendors::testkit::{Call, call, headers, run};
use crate::rules::vendors::{End, Family, RawVendor, Usage};

/// As Twilio takes its arguments.
const FORM: &str = "application/x-www-form-urlencoded";

/// A call of a vendor with these rates set by the operator.
fn of(vendor: &str, path: &'static str, rates: &str) -> Call {
    let own: RawVendor = toml::from_str(rates).expect("well-formed");
    let raw = shipped(vendor).expect("it ships").expect("it parses").merge(own);
    Call { vendor: raw.check(vendor).expect("sound"), ..call(vendor, path) }
}

/// One example.
struct Example {
    vendor: &'static str,
    /// `GET /path?query`, or `/path` of a POST.
    on: &'static str,
    rates: &'static str,
    body: &'static str,
    hold: u64,
    header: (&'static str, &'static str),
    answer: &'static str,
    cost: u64,
}

const NONE: (&str, &str) = ("x-none", "0");

#[rustfmt::skip]
const EXAMPLES: &[Example] = &[
    // Three recipients * 0.0009.
    Example { vendor: "resend", on: "/emails", rates: "", body: r#"{"to":["a@x","b@x"],"cc":"c@x"}"#, hold: 270_000, header: NONE, answer: r#"{"id":"1"}"#, cost: 270_000 },
    // (2 + 1) * 0.001.
    Example { vendor: "sendgrid", on: "/v3/mail/send", rates: "rates.email = { usd = \"0.001\" }", body: r#"{"personalizations":[{"to":[{"email":"a"},{"email":"b"}]},{"to":[{"email":"c"}]}]}"#, hold: 300_000, header: NONE, answer: "", cost: 300_000 },
    // 2 * 0.0015.
    Example { vendor: "postmark", on: "/email", rates: "rates.email = { usd = \"0.0015\" }", body: r#"{"To":"a@x,b@x"}"#, hold: 300_000, header: NONE, answer: r#"{"ErrorCode":0}"#, cost: 300_000 },
    // 10 characters * 0.0001; the header says 9 credits.
    Example { vendor: "elevenlabs", on: "/v1/text-to-speech/v1", rates: "", body: r#"{"text":"0123456789"}"#, hold: 100_000, header: ("character-cost", "9"), answer: "ID3", cost: 90_000 },
    // Half as much with a fast model; without the header as estimated.
    Example { vendor: "elevenlabs", on: "/v1/text-to-speech/v1", rates: "", body: r#"{"text":"0123456789","model_id":"eleven_flash_v2_5"}"#, hold: 50_000, header: NONE, answer: "ID3", cost: 50_000 },
    // By its older name.
    Example { vendor: "elevenlabs", on: "/v1/text-to-speech/v1", rates: "", body: r#"{"text":"0123456789"}"#, hold: 100_000, header: ("x-character-count", "8"), answer: "ID3", cost: 80_000 },
    // Eight characters at half a credit; one that was made before costs none.
    Example { vendor: "elevenlabs", on: "/v1/text-to-speech/v1", rates: "", body: r#"{"text":"0123456789","model_id":"eleven_flash_v2_5"}"#, hold: 50_000, header: ("x-character-count", "8"), answer: "ID3", cost: 40_000 },
    Example { vendor: "elevenlabs", on: "/v1/text-to-speech/v1", rates: "", body: r#"{"text":"0123456789"}"#, hold: 100_000, header: ("character-cost", "0"), answer: "ID3", cost: 0 },
    // 10 * 0.00003 / 2, of the first Aura; the second is not halved.
    Example { vendor: "deepgram", on: "/v1/speak", rates: "", body: r#"{"text":"0123456789"}"#, hold: 15_000, header: NONE, answer: "", cost: 15_000 },
    Example { vendor: "deepgram", on: "/v1/speak?model=aura-asteria-en", rates: "", body: r#"{"text":"0123456789"}"#, hold: 15_000, header: ("dg-char-count", "8"), answer: "", cost: 12_000 },
    Example { vendor: "deepgram", on: "/v1/speak?model=aura-2-thalia-en", rates: "", body: r#"{"text":"0123456789"}"#, hold: 30_000, header: NONE, answer: "", cost: 30_000 },
    Example { vendor: "exa", on: "/search", rates: "", body: r#"{"query":"x"}"#, hold: 700_000, header: NONE, answer: r#"{"costDollars":{"total":0.007}}"#, cost: 700_000 },
    // 0.007 + (25 - 10) * 0.001 + 25 summaries * 0.001.
    Example { vendor: "exa", on: "/search", rates: "", body: r#"{"query":"x","numResults":25,"contents":{"summary":true}}"#, hold: 4_700_000, header: NONE, answer: r#"{"costDollars":{"total":0.047000000000000004}}"#, cost: 4_700_000 },
    Example { vendor: "exa", on: "/search", rates: "", body: r#"{"query":"x","type":"lite","numResults":5}"#, hold: 400_000, header: NONE, answer: r#"{"costDollars":{"total":0.004}}"#, cost: 400_000 },
    Example { vendor: "exa", on: "/search", rates: "", body: r#"{"query":"x","type":"deep"}"#, hold: 1_200_000, header: NONE, answer: r#"{"costDollars":{"total":0.012}}"#, cost: 1_200_000 },
    Example { vendor: "exa", on: "/search", rates: "", body: r#"{"query":"x","type":"newer"}"#, hold: 1_500_000, header: NONE, answer: r#"{"costDollars":{"total":0.012}}"#, cost: 1_200_000 },
    // 0.007 + 2 results * 3 subpages * 3 kinds * 0.001.
    Example { vendor: "exa", on: "/search", rates: "", body: r#"{"query":"x","numResults":2,"contents":{"subpages":3}}"#, hold: 2_500_000, header: NONE, answer: r#"{"costDollars":{"total":0.013}}"#, cost: 1_300_000 },
    Example { vendor: "exa", on: "/answer", rates: "", body: r#"{"query":"x"}"#, hold: 500_000, header: NONE, answer: r#"{"costDollars":{"total":0.005}}"#, cost: 500_000 },
    // 2 pages * 3 * 0.001.
    Example { vendor: "exa", on: "/contents", rates: "", body: r#"{"urls":["a","b"]}"#, hold: 600_000, header: NONE, answer: r#"{"costDollars":{"total":0.002}}"#, cost: 200_000 },
    // 2 credits * 0.008.
    Example { vendor: "tavily", on: "/search", rates: "", body: r#"{"query":"x","search_depth":"advanced"}"#, hold: 1_600_000, header: NONE, answer: "{}", cost: 1_600_000 },
    // It might have chosen the deeper one, and says that it did not.
    Example { vendor: "tavily", on: "/search", rates: "", body: r#"{"query":"x","auto_parameters":true}"#, hold: 1_600_000, header: NONE, answer: r#"{"usage":{"credits":1}}"#, cost: 800_000 },
    // ceil(6 / 5) * 1 * 0.008.
    Example { vendor: "tavily", on: "/extract", rates: "", body: r#"{"urls":[1,2,3,4,5,6]}"#, hold: 1_600_000, header: NONE, answer: "{}", cost: 1_600_000 },
    // What it says that it took, also if that is nothing.
    Example { vendor: "tavily", on: "/extract", rates: "", body: r#"{"urls":[1]}"#, hold: 800_000, header: NONE, answer: r#"{"usage":{"credits":0}}"#, cost: 0 },
    Example { vendor: "tavily", on: "/extract", rates: "", body: r#"{"urls":[1]}"#, hold: 800_000, header: NONE, answer: r#"{"usage":{"credits":"some"}}"#, cost: 800_000 },
    // ceil(12 / 10) pages found * 1, ceil(12 / 5) pages read * 1, * 0.008.
    Example { vendor: "tavily", on: "/crawl", rates: "", body: r#"{"url":"x","limit":12}"#, hold: 4_000_000, header: NONE, answer: "{}", cost: 4_000_000 },
    // 2 * 2 + 3 * 2.
    Example { vendor: "tavily", on: "/crawl", rates: "", body: r#"{"url":"x","limit":12,"instructions":"y","extract_depth":"advanced"}"#, hold: 8_000_000, header: NONE, answer: r#"{"usage":{"credits":6}}"#, cost: 4_800_000 },
    // ceil(50 / 10) * 0.008.
    Example { vendor: "tavily", on: "/map", rates: "", body: r#"{"url":"x"}"#, hold: 4_000_000, header: NONE, answer: "{}", cost: 4_000_000 },
    // 9 credits * 0.00083, and 5 of them.
    Example { vendor: "firecrawl", on: "/v2/scrape", rates: "", body: r#"{"url":"x","parsers":[]}"#, hold: 747_000, header: NONE, answer: r#"{"data":{"metadata":{"creditsUsed":5}}}"#, cost: 415_000 },
    // A PDF of at most 200 pages: 209 credits; 201 were taken.
    Example { vendor: "firecrawl", on: "/v2/scrape", rates: "", body: r#"{"url":"x","parsers":[{"type":"pdf","maxPages":200}]}"#, hold: 17_347_000, header: NONE, answer: r#"{"data":{"metadata":{"creditsUsed":201}}}"#, cost: 16_683_000 },
    Example { vendor: "firecrawl", on: "/v1/scrape", rates: "", body: r#"{"url":"x","parsePDF":false}"#, hold: 747_000, header: NONE, answer: "{}", cost: 747_000 },
    // 2 * 2 + 11 * (9 + 3).
    Example { vendor: "firecrawl", on: "/v2/search", rates: "", body: r#"{"query":"x","limit":11,"scrapeOptions":{"parsers":[{"type":"pdf","maxPages":3}]}}"#, hold: 11_288_000, header: NONE, answer: r#"{"creditsUsed":4}"#, cost: 332_000 },
    // ceil(11 / 10) * 2 * 0.00083.
    Example { vendor: "firecrawl", on: "/v2/search", rates: "", body: r#"{"query":"x","limit":11}"#, hold: 332_000, header: NONE, answer: r#"{"creditsUsed":4}"#, cost: 332_000 },
    Example { vendor: "serpapi", on: "GET /search?q=x", rates: "", body: "", hold: 2_500_000, header: NONE, answer: r#"{"search_metadata":{"status":"Success"}}"#, cost: 2_500_000 },
    Example { vendor: "serpapi", on: "GET /search?q=x", rates: "", body: "", hold: 2_500_000, header: NONE, answer: r#"{"search_metadata":{"status":"Error"},"error":"x"}"#, cost: 0 },
    // It found nothing, and was a search.
    Example { vendor: "serpapi", on: "GET /search?q=x", rates: "", body: "", hold: 2_500_000, header: NONE, answer: r#"{"search_metadata":{"status":"Success"},"error":"none"}"#, cost: 2_500_000 },
    Example { vendor: "serper", on: "/search", rates: "", body: r#"{"q":"x"}"#, hold: 100_000, header: NONE, answer: r#"{"credits":1}"#, cost: 100_000 },
    Example { vendor: "serper", on: "/search", rates: "", body: r#"{"q":"x","num":100}"#, hold: 200_000, header: NONE, answer: r#"{"credits":2}"#, cost: 200_000 },
    // Held for two credits, one taken.
    Example { vendor: "serper", on: "/scholar", rates: "", body: r#"{"q":"x"}"#, hold: 200_000, header: NONE, answer: r#"{"credits":1}"#, cost: 100_000 },
    Example { vendor: "brave", on: "GET /res/v1/web/search?q=x", rates: "", body: "", hold: 500_000, header: NONE, answer: "{}", cost: 500_000 },
    Example { vendor: "google_maps", on: "GET /maps/api/geocode/json?address=x", rates: "", body: "", hold: 500_000, header: NONE, answer: r#"{"status":"OK"}"#, cost: 500_000 },
    Example { vendor: "google_maps", on: "GET /maps/api/geocode/json?address=x", rates: "", body: "", hold: 500_000, header: NONE, answer: r#"{"status":"REQUEST_DENIED"}"#, cost: 0 },
    Example { vendor: "google_maps", on: "GET /maps/api/geocode/json?address=x", rates: "", body: "", hold: 500_000, header: NONE, answer: r#"{"status":"OVER_QUERY_LIMIT"}"#, cost: 0 },
    Example { vendor: "google_maps", on: "GET /maps/api/geocode/json?address=x", rates: "", body: "", hold: 500_000, header: NONE, answer: r#"{"status":"INVALID_REQUEST"}"#, cost: 0 },
    // It found nothing, and was asked.
    Example { vendor: "google_maps", on: "GET /maps/api/geocode/json?address=x", rates: "", body: "", hold: 500_000, header: NONE, answer: r#"{"status":"ZERO_RESULTS"}"#, cost: 500_000 },
    Example { vendor: "google_maps", on: "GET /maps/api/directions/json?origin=x&destination=y", rates: "", body: "", hold: 500_000, header: NONE, answer: r#"{"status":"OK"}"#, cost: 500_000 },
    // With traffic, with waypoints, from one side of the road.
    Example { vendor: "google_maps", on: "GET /maps/api/directions/json?origin=x&destination=y&departure_time=now&traffic_model=best_guess", rates: "", body: "", hold: 1_000_000, header: NONE, answer: r#"{"status":"OK"}"#, cost: 1_000_000 },
    Example { vendor: "google_maps", on: "GET /maps/api/directions/json?origin=x&destination=y&waypoints=z", rates: "", body: "", hold: 1_000_000, header: NONE, answer: r#"{"status":"OK"}"#, cost: 1_000_000 },
    Example { vendor: "google_maps", on: "GET /maps/api/directions/json?origin=side_of_road:x&destination=y", rates: "", body: "", hold: 1_000_000, header: NONE, answer: r#"{"status":"OK"}"#, cost: 1_000_000 },
    // 2 * 3 elements * 0.005.
    Example { vendor: "google_maps", on: "/distanceMatrix/v2:computeRouteMatrix", rates: "rates.matrix_element = { usd = \"0.005\" }", body: r#"{"origins":[1,2],"destinations":[1,2,3]}"#, hold: 3_000_000, header: NONE, answer: "[]", cost: 3_000_000 },
    // ceil(90 / 60) minutes * 0.014.
    Example { vendor: "twilio", on: "/2010-04-01/Accounts/AC1/Calls.json", rates: "rates.call_minute = { usd = \"0.014\" }", body: "To=%2B1555&TimeLimit=90", hold: 2_800_000, header: NONE, answer: r#"{"sid":"CA1"}"#, cost: 2_800_000 },
    Example { vendor: "twilio", on: "/v2/Services/VA1/Verifications", rates: "rates.verification = { usd = \"0.06\" }", body: "To=%2B1555&Channel=sms", hold: 6_000_000, header: NONE, answer: r#"{"sid":"VE1"}"#, cost: 6_000_000 },
];

#[test]
fn each_vendor_costs_what_was_computed_by_hand() {
    for example in EXAMPLES {
        let (method, target) = example.on.split_once(' ').unwrap_or(("POST", example.on));
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut call = of(example.vendor, path, example.rates);
        (call.method, call.query) = (method, query);
        if example.vendor == "twilio" {
            call.content_type = FORM;
        }
        assert_eq!(call.bound(example.body), example.hold, "{} {}", example.vendor, example.on);
        let list = headers(&[("content-type", "application/json"), example.header]);
        let plan = call.plan(example.body);
        let metered = run(&plan, 200, &list, [example.answer.as_bytes()], End::Complete).1;
        assert!(metered.usage.is_exact(), "{} {}: {metered:?}", example.vendor, example.on);
        assert_eq!(metered.usage.charge().usd.0, example.cost, "{} {}", example.vendor, example.on);
        assert_eq!(run(&plan, 429, &list, [&b"{}"[..]], End::Complete).1.usage, Usage::ZERO);
    }
}

/// Resend repeats an answer under its key without a word of it.
#[test]
fn a_keyed_call_may_be_a_repeat() {
    for (vendor, path, keyed) in [("resend", "/emails", true), ("resend", "/emails", false), ("exa", "/search", true)] {
        let mut call = of(vendor, path, "");
        if keyed {
            call.headers = headers(&[("idempotency-key", "welcome/1")]);
        }
        let plan = call.plan(r#"{"to":"a@x","query":"x"}"#);
        let told = run(&plan, 200, &headers(&[("content-type", "application/json")]), [&b"{}"[..]], End::Complete).1;
        assert_eq!(told.replayed, keyed && vendor == "resend", "{vendor} {keyed}");
    }
}

/// What is not known is refused, and charged in full where a ceiling let it pass.
#[test]
fn what_has_no_price_is_not_free() {
    for (vendor, path, body) in [
        ("sendgrid", "/v3/mail/send", r#"{"personalizations":[{"to":[{"email":"a"}]}]}"#),
        ("twilio", "/v2/Services/VA1/Verifications", "To=%2B1555"),
        ("deepgram", "/v1/listen", r#"{"url":"https://x"}"#),
        ("assemblyai", "/v2/transcript", r#"{"audio_url":"https://x"}"#),
        ("google_maps", "/v1/places:searchText", r#"{"textQuery":"x"}"#),
        ("exa", "/research/v1", "{}"),
        ("cloudflare", "/client/v4/accounts/a/ai/v1/chat/completions", "{}"),
        ("github", "/user/codespaces", "{}"),
        ("firecrawl", "/v2/agent", "{}"),
        // A PDF of any length.
        ("firecrawl", "/v2/scrape", r#"{"url":"x"}"#),
        ("firecrawl", "/v2/scrape", r#"{"url":"x","parsers":["pdf"]}"#),
        ("firecrawl", "/v2/scrape", r#"{"url":"x","parsers":[{"maxPages":1},{"type":"pdf"}]}"#),
        ("firecrawl", "/v1/scrape", r#"{"url":"x","parsePDF":true}"#),
        ("firecrawl", "/v2/crawl", r#"{"url":"x","limit":5}"#),
        ("firecrawl", "/v2/search", r#"{"query":"x","scrapeOptions":{}}"#),
        ("vercel", "/v4/domains/buy", "{}"),
        ("shopify", "/admin/api/2026-10/graphql.json", "{}"),
    ] {
        let mut call = of(vendor, path, "");
        if vendor == "twilio" {
            call.content_type = FORM;
        }
        let why = call.estimate(body).map(|_| ()).expect_err(path);
        assert!(why.ceiling_helps() && why.status() == 403, "{vendor} {path}: {why}");
        call.ceiling = Some(crate::units::money::MicroCents(5));
        let metered =
            run(&call.plan(body), 200, &headers(&[("content-type", "application/json")]), [&b"{}"[..]], End::Complete)
                .1;
        assert_eq!(metered.usage, Usage::UNKNOWN, "{vendor} {path}");
    }
}

/// A list of searches is not one search.
#[test]
fn several_searches_at_once_are_refused() {
    let why = of("serper", "/search", "").estimate(r#"[{"q":"x"},{"q":"y"}]"#).map(|_| ()).expect_err("a list");
    assert_eq!(why.status(), 400, "{why}");
    let why = of("serper", "/search", "").estimate("{}").map(|_| ()).expect_err("no search");
    assert_eq!(why.status(), 403, "{why}");
}

/// Seconds * channels * the price of a minute / 60, rounded up to the micro-cent once.
#[test]
fn a_recording_costs_its_seconds() {
    for (query, answer, cost) in [
        ("model=nova-2", r#"{"metadata":{"duration":60,"channels":1}}"#, 430_000),
        // 12.5 * 2 * 0.0077 / 60 = 0.00320833…
        ("model=nova-3", r#"{"metadata":{"duration":12.5,"channels":2}}"#, 320_834),
        ("model=nova-3&language=en-GB", r#"{"metadata":{"duration":60}}"#, 770_000),
        ("model=nova-3&language=multi", r#"{"metadata":{"duration":60}}"#, 920_000),
        ("model=nova-3&detect_language=true&language=de", r#"{"metadata":{"duration":60}}"#, 920_000),
        // What nobody listed is as dear as the dearest.
        ("model=other", r#"{"metadata":{"duration":60}}"#, 1_450_000),
    ] {
        let mut heard = of("deepgram", "/v1/listen", "");
        (heard.ceiling, heard.query) = (Some(crate::units::money::MicroCents(5)), Some(query));
        let list = headers(&[("content-type", "application/json")]);
        let plan = heard.plan(r#"{"url":"https://x"}"#);
        let metered = run(&plan, 200, &list, [answer.as_bytes()], End::Complete).1;
        assert_eq!((metered.usage.is_exact(), metered.usage.charge().usd.0), (true, cost), "{query}");
    }
}

#[test]
fn every_rate_says_where_it_is_from() {
    for name in names() {
        let raw = shipped(name).expect("it ships").expect("it parses");
        for (rate, entry) in &raw.rates {
            assert!(entry.source.is_some() && entry.checked.is_some(), "{name}.{rate}");
        }
        let vendor = raw.check(name).expect("sound");
        assert!(
            vendor.family != Family::Declared || vendor.otherwise.is_none(),
            "{name}: what is not listed has no price"
        );
    }
}
