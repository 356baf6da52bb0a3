-- The view of whole rows, with who approved each call.
CREATE OR REPLACE VIEW calls AS SELECT
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
    r.outcome, o.body::json #>> '{row,approved_by}' AS approved_by, (c.body::json #>> '{row,latency_ms}')::bigint AS latency_ms,
    (c.body::json #>> '{row,overhead_us}')::bigint AS overhead_us, o.body::json #>> '{row,request_hash}' AS request_hash,
    o.body::json #>> '{row,trace_id}' AS trace_id, c.body::json #>> '{row,error}' AS error
FROM call_rows r JOIN events o ON o.seq = r.seq AND o.at = r.at LEFT JOIN events c ON c.seq = r.closed AND c.at = r.closed_at
    LEFT JOIN facts f ON f.id = r.facts;
