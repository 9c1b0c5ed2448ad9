-- The tables of stage A. {durable} stands for the settings that every table carries
-- (stepwell_store/migrate.py): deduplication of resent blocks and safety against power loss.
-- A statement ends with a semicolon at the end of a line.

CREATE TABLE IF NOT EXISTS points
(
    series UInt64 CODEC(ZSTD(1)),
    step Int64 CODEC(DoubleDelta, ZSTD(1)),
    time Int64 CODEC(Delta, ZSTD(1)) COMMENT 'microseconds since 1970 UTC',
    value Float64 CODEC(Gorilla, ZSTD(1))
)
ENGINE = MergeTree ORDER BY (series, step)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS series_stats
(
    project_id UInt64 CODEC(ZSTD(1)),
    metric_id UInt64 CODEC(ZSTD(1)),
    run_key UInt64 CODEC(ZSTD(1)),
    series UInt64 CODEC(ZSTD(1)),
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    nan_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    positive_inf_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    negative_inf_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    min SimpleAggregateFunction(min, Float64) CODEC(ZSTD(1)),
    max SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)),
    sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    first SimpleAggregateFunction(min, Tuple(step Int64, time Int64, value Float64)) CODEC(ZSTD(1)),
    last SimpleAggregateFunction(max, Tuple(step Int64, time Int64, value Float64)) CODEC(ZSTD(1)),
    time_min SimpleAggregateFunction(min, Int64) CODEC(ZSTD(1)),
    time_max SimpleAggregateFunction(max, Int64) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree ORDER BY (project_id, metric_id, run_key, series)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS rollups
(
    width UInt16 CODEC(ZSTD(1)) COMMENT 'steps in a bucket',
    series UInt64 CODEC(ZSTD(1)),
    bucket Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'floor(step / width)',
    count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    nan_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    positive_inf_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    negative_inf_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    min SimpleAggregateFunction(min, Float64) CODEC(Gorilla, ZSTD(1)),
    max SimpleAggregateFunction(max, Float64) CODEC(Gorilla, ZSTD(1)),
    sum SimpleAggregateFunction(sum, Float64) CODEC(Gorilla, ZSTD(1)),
    last SimpleAggregateFunction(max, Tuple(step Int64, time Int64, value Float64)) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree ORDER BY (width, series, bucket)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS series
(
    project String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    metric String CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    series UInt64 CODEC(ZSTD(1)),
    project_id UInt64 CODEC(ZSTD(1)),
    metric_id UInt64 CODEC(ZSTD(1)),
    run_key UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree ORDER BY (project, run_id, metric, label)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS writers
(
    project String,
    run_id String,
    writer_id String,
    label SimpleAggregateFunction(max, String),
    host SimpleAggregateFunction(max, String),
    pid SimpleAggregateFunction(max, Int64),
    rank SimpleAggregateFunction(max, Int32) COMMENT '-1 until known',
    world_size SimpleAggregateFunction(max, Int32) COMMENT '0 until known',
    client SimpleAggregateFunction(max, String),
    resumed SimpleAggregateFunction(max, UInt8),
    started_at SimpleAggregateFunction(max, Int64) COMMENT 'microseconds since 1970 UTC; 0 until known',
    last_seen SimpleAggregateFunction(max, Int64) COMMENT 'of its latest event; points: series_stats.time_max',
    state SimpleAggregateFunction(max, Tuple(time Int64, state String, exit_code Int32))
)
ENGINE = AggregatingMergeTree ORDER BY (project, run_id, writer_id)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS attributes
(
    project String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    kind LowCardinality(String) COMMENT 'config, summary, metadata, run or define_metric',
    path String CODEC(ZSTD(1)) COMMENT 'nested names joined by dots',
    type LowCardinality(String) COMMENT 'float, int, bool, text, json or null',
    float Float64 CODEC(ZSTD(1)) COMMENT 'of float, int and bool',
    int Int64 CODEC(ZSTD(1)) COMMENT 'of int and bool',
    text String CODEC(ZSTD(1)) COMMENT 'of text, json and ints beyond 64 bits',
    deleted UInt8,
    version Int64 COMMENT 'microseconds since 1970 UTC'
)
ENGINE = ReplacingMergeTree(version) ORDER BY (project, run_id, kind, path)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS console
(
    project String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    writer_id String CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    stream LowCardinality(String),
    number Int64 CODEC(DoubleDelta, ZSTD(1)),
    time Int64 CODEC(Delta, ZSTD(1)),
    text String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(time) ORDER BY (project, run_id, writer_id, stream, number)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS texts
(
    project String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    metric String CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    step Int64 CODEC(DoubleDelta, ZSTD(1)),
    time Int64 CODEC(Delta, ZSTD(1)),
    type LowCardinality(String) COMMENT 'null, text or json',
    text String CODEC(ZSTD(3))
)
ENGINE = MergeTree ORDER BY (project, run_id, metric, label, step)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS gaps
(
    project String,
    run_id String,
    writer_id String,
    label String,
    time Int64,
    reason LowCardinality(String),
    rows UInt64,
    points UInt64,
    first_step Int64,
    last_step Int64
)
ENGINE = MergeTree ORDER BY (project, run_id, writer_id, time)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS events
(
    project String CODEC(ZSTD(1)),
    run_id String CODEC(ZSTD(1)),
    writer_id String CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    step Int64,
    time Int64,
    kind LowCardinality(String),
    body String CODEC(ZSTD(3)) COMMENT 'JSON'
)
ENGINE = MergeTree ORDER BY (project, run_id, kind, time)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS node_series
(
    host String CODEC(ZSTD(1)),
    metric String CODEC(ZSTD(1)),
    label String CODEC(ZSTD(1)),
    series UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree ORDER BY (host, metric, label)
SETTINGS {durable};

CREATE TABLE IF NOT EXISTS node_points
(
    series UInt64 CODEC(ZSTD(1)),
    time Int64 CODEC(DoubleDelta, ZSTD(1)) COMMENT 'microseconds since 1970 UTC',
    value Float64 CODEC(Gorilla, ZSTD(1))
)
ENGINE = MergeTree ORDER BY (series, time)
SETTINGS {durable};
