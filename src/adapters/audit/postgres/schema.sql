-- `events` is the whole truth, one partition a month. `call_rows` and `facts` are its index, as in the SQLite books.
CREATE TABLE events (
    seq bigint NOT NULL, at bigint NOT NULL, kind text, call_id uuid, body text NOT NULL, head bytea NOT NULL,
    PRIMARY KEY (seq, at)
) PARTITION BY RANGE (at);
-- The net under the months: what comes before its month was made is kept all the same.
CREATE TABLE events_other PARTITION OF events DEFAULT;

-- What is not a call's usual way; a usual call does not pay for it.
CREATE INDEX changes ON events (seq) WHERE kind NOT IN ('admitted', 'settled', 'denied');

-- Who and where, once for all calls that share it. An index entry has a limit and a text has none, so the hash is unique.
CREATE TABLE facts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hash bytea NOT NULL UNIQUE, json text NOT NULL,
    tenant text NOT NULL, agent text, run text, key text, policy text NOT NULL, vendor text NOT NULL, operation text NOT NULL
);
CREATE INDEX facts_by_agent ON facts USING hash (agent);
CREATE INDEX facts_by_run ON facts USING hash (run);
CREATE INDEX facts_by_key ON facts USING hash (key);

-- `seq` is the event that opened the call; `closed` and `adjusted` are later ones, with the time that finds their partition.
CREATE TABLE call_rows (
    seq bigint PRIMARY KEY, call_id uuid NOT NULL UNIQUE, at bigint NOT NULL, facts bigint REFERENCES facts (id),
    admitted boolean NOT NULL, verdict text NOT NULL, outcome text, closed bigint, closed_at bigint,
    adjusted bigint, adjusted_at bigint, flagged boolean NOT NULL, usd bigint NOT NULL, tokens bigint NOT NULL,
    calls bigint NOT NULL, risk bigint NOT NULL
);
CREATE INDEX call_rows_by_facts ON call_rows (facts, seq);
-- They hold only what is rare.
CREATE INDEX call_rows_by_verdict ON call_rows (verdict, seq) WHERE verdict <> 'allow';
CREATE INDEX call_rows_by_outcome ON call_rows (outcome, seq) WHERE outcome <> 'ok';
CREATE INDEX call_rows_flagged ON call_rows (seq) WHERE flagged;

CREATE TABLE place (only_row boolean PRIMARY KEY CHECK (only_row), seq bigint NOT NULL, head bytea NOT NULL);
INSERT INTO place VALUES (true, 0, decode(repeat('00', 32), 'hex'));
CREATE TABLE gaps (first bigint PRIMARY KEY, last bigint NOT NULL, noticed_at bigint NOT NULL);

-- `last` is the event that a checkpoint ends with; `body` its JSON, with the signature.
CREATE TABLE checkpoints (number bigint PRIMARY KEY, last bigint NOT NULL, names_key boolean NOT NULL, body text NOT NULL);
CREATE INDEX checkpoints_that_name_a_key ON checkpoints (number) WHERE names_key;

-- The first call at or after a time. The ledger's time never goes backward, so halving finds it without an index. Rows of
-- calls stay when retention deletes their events.
CREATE FUNCTION first_since(since bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    low bigint; high bigint; middle bigint; found record;
BEGIN
    SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) + 1 INTO low, high FROM call_rows;
    WHILE low < high LOOP
        middle := low + (high - low) / 2;
        SELECT seq, at INTO found FROM call_rows WHERE seq >= middle ORDER BY seq LIMIT 1;
        IF found.at < since THEN low := found.seq + 1; ELSE high := middle; END IF;
    END LOOP;
    RETURN low;
END $$;

-- Whole rows, for whoever opens the books with `psql`.
CREATE VIEW calls AS SELECT
    r.seq, r.call_id, f.run AS run_id, f.agent AS agent_id, o.body::json #> '{row,facts,subject}' AS subject, f.key AS key_id,
    f.policy AS policy_id, o.body::json #>> '{row,policy_hash}' AS policy_hash, o.body::json ->> 'at' AS timestamp_utc,
    f.vendor, o.body::json #>> '{row,endpoint}' AS endpoint, o.body::json #>> '{row,method}' AS method,
    o.body::json #>> '{row,path}' AS path, o.body::json #>> '{row,action}' AS action, o.body::json #>> '{row,tier}' AS tier,
    r.verdict, (o.body::json #>> '{row,enforced}')::boolean AS enforced, o.body::json #>> '{row,reason}' AS reason,
    coalesce(c.body::json #>> '{row,http_status}', o.body::json #>> '{row,http_status}')::int AS http_status,
    c.body::json #>> '{row,vendor_request_id}' AS vendor_request_id, o.body::json #>> '{row,estimate,usd}' AS estimate_usd,
    CASE WHEN r.outcome IS NOT NULL THEN trim_scale(r.usd / 100000000.0) END AS cost_usd,
    CASE WHEN NOT r.admitted THEN 'none' WHEN r.outcome = 'expired' THEN 'estimated'
        ELSE c.body::json #>> '{row,cost_source}' END AS cost_source,
    (c.body::json #>> '{row,tokens,input}')::bigint AS tokens_in, (c.body::json #>> '{row,tokens,output}')::bigint AS tokens_out,
    (c.body::json #>> '{row,tokens,cached}')::bigint AS tokens_cached,
    (c.body::json #>> '{row,tokens,reasoning}')::bigint AS tokens_reasoning,
    r.outcome, NULL::text AS approved_by, (c.body::json #>> '{row,latency_ms}')::bigint AS latency_ms,
    (c.body::json #>> '{row,overhead_us}')::bigint AS overhead_us, o.body::json #>> '{row,request_hash}' AS request_hash,
    o.body::json #>> '{row,trace_id}' AS trace_id, c.body::json #>> '{row,error}' AS error
FROM call_rows r JOIN events o ON o.seq = r.seq AND o.at = r.at LEFT JOIN events c ON c.seq = r.closed AND c.at = r.closed_at
    LEFT JOIN facts f ON f.id = r.facts;
