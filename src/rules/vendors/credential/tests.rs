//! Keys are found, stripped, placed and starred out in every place and across every border.

use super::*;

const KEY: &str = "vk_abc_secret12345";

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=vk_abc_secret12345/20261121/us-east-1/bedrock/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=00";

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_str(value).expect("a value"))
    };
    list.iter().map(pair).collect()
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn the_vault_key_is_found_wherever_an_sdk_puts_it() {
    let as_user = basic(&format!("{KEY}:"));
    let as_password = basic(&format!("AC123:{KEY}"));
    for (list, query) in [
        (vec![("authorization", "Bearer vk_abc_secret12345")], None),
        (vec![("authorization", "bearer  vk_abc_secret12345")], None),
        (vec![("authorization", "token vk_abc_secret12345")], None),
        (vec![("authorization", KEY)], None),
        (vec![("authorization", as_user.as_str())], None),
        (vec![("authorization", as_password.as_str())], None),
        (vec![("x-api-key", KEY)], None),
        (vec![("api-key", KEY)], None),
        (vec![("x-goog-api-key", KEY)], None),
        (vec![("authorization", SIGNED)], None),
        (vec![("xi-api-key", KEY)], None),
        (vec![], Some("alt=sse&key=vk%5Fabc_secret12345")),
        (vec![("authorization", "Bearer sk-other"), ("x-api-key", KEY)], Some("key=plain")),
        (vec![("authorization", "Bearer vk_abc_secret12345"), ("x-api-key", KEY)], None),
    ] {
        assert_eq!(find_vault_keys(&headers(&list), query), Ok(Some(KEY.to_owned())), "{list:?} {query:?}");
    }
    for (list, query) in [
        (vec![], None),
        (vec![("authorization", "Bearer sk-1")], Some("a=vk_x")),
        (vec![("authorization", "Basic !!!")], None),
        (vec![("authorization", "")], None),
    ] {
        assert_eq!(find_vault_keys(&headers(&list), query), Ok(None), "{list:?}");
    }
    let two = headers(&[("authorization", "Bearer vk_a"), ("x-api-key", "vk_b")]);
    assert_eq!(find_vault_keys(&two, None), Err(TwoKeys));
    assert_eq!(find_vault_keys(&headers(&[("api-key", "vk_a")]), Some("key=vk_b")), Err(TwoKeys));
}

#[test]
fn no_trace_of_the_key_is_left() {
    let mut map = headers(&[
        ("authorization", "Bearer vk_abc_secret12345"),
        ("x-api-key", "something else"),
        ("x-custom", "id=vk_abc_secret12345;"),
        ("cookie", "a=b"),
        ("accept", "*/*"),
    ]);
    let query = strip(
        &mut map,
        Some("a=%20b&key=vk_other&note=xvk_abc_secret12345&alt=sse&key=plain"),
        KEY,
        &Placement::Bearer,
    );
    assert_eq!(query.as_deref(), Some("a=%20b&alt=sse&key=plain"));
    let mut left: Vec<_> = map.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["accept", "cookie"]);
    let mut map = headers(&[("x-vendor-key", "abc")]);
    assert_eq!(strip(&mut map, Some("token=x"), KEY, &Placement::Query("token".into())), None);
    assert_eq!(strip(&mut map, None, KEY, &Placement::Header("x-vendor-key".into())), None);
    assert!(map.is_empty());
}

#[test]
fn the_credential_stands_in_the_vendors_own_place() {
    let secret = |text: &str| Secret::new(text.to_owned());
    for (placement, text, name, value) in [
        (Placement::Bearer, "sk-1", "authorization", "Bearer sk-1"),
        (Placement::Token, "gh", "authorization", "token gh"),
        (Placement::Header("x-api-key".into()), "k", "x-api-key", "k"),
        (Placement::Basic, "AC1:tok", "authorization", "Basic QUMxOnRvaw=="),
    ] {
        let Ok(Placed::Header(own, header)) = place(&placement, &secret(text)) else { panic!("{placement:?}") };
        assert_eq!((own.as_str(), header.as_bytes(), header.is_sensitive()), (name, value.as_bytes(), true));
    }
    assert_eq!(place(&Placement::Query("key".into()), &secret("a+b")), Ok(Placed::Query("key=a%2Bb".to_owned())));
    assert_eq!(place(&Placement::Bearer, &secret("a\nb")), Err(BadCredential));
}

fn scrubbed(placement: &Placement, secret: &str, chunks: &[&[u8]]) -> (Vec<u8>, bool) {
    let mut scrub = Scrub::new(Arc::new(Sought::new(placement, &Secret::new(secret.to_owned()))));
    let mut out = Vec::new();
    for chunk in chunks {
        scrub.push(Bytes::copy_from_slice(chunk), &mut |bytes| out.extend_from_slice(&bytes));
    }
    scrub.finish(&mut |bytes| out.extend_from_slice(&bytes));
    (out, scrub.found())
}

use bytes::Bytes;

#[test]
fn the_credential_is_starred_out_across_every_border() {
    let text = b"start sk-live-secret middle sk-live-secretsk-live-secret sk-live-sec";
    let expected = b"start ************** middle **************************** sk-live-sec".to_vec();
    for at in 0..=text.len() {
        for behind in [at, (at + 3).min(text.len()), (at + 14).min(text.len())] {
            let chunks = [&text[..at], &text[at..behind], &text[behind..]];
            assert_eq!(
                scrubbed(&Placement::Bearer, "sk-live-secret", &chunks),
                (expected.clone(), true),
                "{at} {behind}"
            );
        }
    }
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(scrubbed(&Placement::Bearer, "sk-live-secret", &bytes).0, expected);
    assert_eq!(scrubbed(&Placement::Bearer, "sk-live-secret", &[b"nothing here"]), (b"nothing here".to_vec(), false));
    // A text too short to be a secret is not looked for.
    assert_eq!(scrubbed(&Placement::Bearer, "a", &[b"banana"]), (b"banana".to_vec(), false));
    let encoded = STANDARD.encode("AC1:password1");
    let answer = format!("{{\"sid\":\"AC1\",\"p\":\"password1\",\"h\":\"{encoded}\"}}");
    let (out, found) = scrubbed(&Placement::Basic, "AC1:password1", &[answer.as_bytes()]);
    let out = String::from_utf8(out).expect("text");
    assert!(
        found
            && out.contains("\"sid\":\"AC1\"")
            && !out.contains("password1")
            && !out.contains(&encoded)
            && out.len() == answer.len()
    );
}

#[test]
fn a_clean_chunk_passes_as_it_is_and_headers_are_scrubbed_too() {
    let mut scrub = Scrub::new(Arc::new(Sought::new(&Placement::Bearer, &Secret::new("sk-live-secret".to_owned()))));
    let chunk = Bytes::from(vec![b'x'; 1000]);
    scrub.push(chunk.clone(), &mut |out| assert!(std::ptr::eq(out.as_ptr(), chunk.as_ptr()) && out.len() == 1000));
    let mut map = headers(&[("x-echo", "Bearer sk-live-secret!"), ("x-other", "fine")]);
    scrub.headers(&mut map);
    assert_eq!(map.get("x-echo").map(HeaderValue::as_bytes), Some(&b"Bearer **************!"[..]));
    assert!(scrub.found());
}

#[test]
fn a_signature_goes_whole_and_its_secrets_are_starred_out() {
    let placement = Placement::Sigv4("bedrock".into());
    let mut map =
        headers(&[("authorization", SIGNED), ("x-amz-date", "20261121T000000Z"), ("x-amz-security-token", "t")]);
    map.insert("accept", HeaderValue::from_static("*/*"));
    assert_eq!(strip(&mut map, None, KEY, &placement), None);
    assert_eq!(map.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    let credential = Secret::new("AKIDEXAMPLE:wJalrXUtnFEMI:session-token".to_owned());
    assert_eq!(place(&placement, &credential), Err(BadCredential), "only a whole request can be signed");
    let mut scrub = Scrub::new(Arc::new(Sought::new(&placement, &credential)));
    let mut out = Vec::new();
    scrub.push("wJalrXUtnFEMI session-token AKIDEXAMPLE".into(), &mut |bytes: bytes::Bytes| {
        out.extend_from_slice(&bytes)
    });
    scrub.finish(&mut |bytes: bytes::Bytes| out.extend_from_slice(&bytes));
    assert_eq!(String::from_utf8_lossy(&out), "************* ************* AKIDEXAMPLE");
}
