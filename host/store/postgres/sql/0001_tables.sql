-- The tables. Numbers of states follow EventState::ALL and DeliveryState::ALL of the model.
--
-- `id` is the row key of an event's id (milliseconds and a sequence), `epoch` says whose: together they are the id.
-- Times are milliseconds since 1970. What plugins or senders may have written with a NUL byte is a bytea.

-- The hosts. One row a host, by its name; the lease is of the database's clock.
CREATE TABLE host(
  name text PRIMARY KEY,
  -- The data directory that it runs over: a restart of the same host takes over at once.
  instance bytea NOT NULL,
  epoch integer NOT NULL UNIQUE,
  lease_until timestamptz NOT NULL,
  version text NOT NULL,
  -- Every event with a smaller or the same row key has an outcome.
  routed_to bigint NOT NULL DEFAULT 0);

-- Each start of a host is an epoch. `number` is the node in the ids of its events: random, so that the ids of two
-- databases can be told apart.
CREATE TABLE epoch(
  epoch integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  number bigint NOT NULL UNIQUE,
  host text NOT NULL,
  began timestamptz NOT NULL DEFAULT now());

-- Batches of outcomes that are recorded, so that one whose commit was not answered is not recorded twice.
CREATE TABLE recorded(
  epoch integer NOT NULL, batch bigint NOT NULL, PRIMARY KEY(epoch, batch));

-- Insert only, by day of the id. An event without an outcome is to be routed.
CREATE TABLE event(
  id bigint NOT NULL, epoch integer NOT NULL, received bigint NOT NULL,
  source text NOT NULL, kind bytea NOT NULL, headers bytea NOT NULL, body bytea NOT NULL,
  PRIMARY KEY(id, epoch)) PARTITION BY RANGE(id);
-- Accepted while the clock was behind itself: the time is not that of the id.
CREATE INDEX event_skewed ON event(received) WHERE received <> id >> 16;

-- What routing came to. In state 0 the event is to be routed again; `source` is kept for as long as it is.
CREATE TABLE outcome(
  id bigint NOT NULL, epoch integer NOT NULL, state smallint NOT NULL, reason text, rulings bytea,
  source text, due bigint NOT NULL, tries integer NOT NULL, replays integer NOT NULL,
  PRIMARY KEY(id, epoch)) PARTITION BY RANGE(id);
CREATE INDEX outcome_due ON outcome(source, due, id, epoch) WHERE state = 0;
CREATE INDEX outcome_ended ON outcome(state, id) WHERE state > 1;

-- Deliveries that have ended. `first` is the attempt that was the first and the last; others are in `attempt`.
CREATE TABLE delivery(
  id bigint NOT NULL, epoch integer NOT NULL, destination text NOT NULL,
  state smallint NOT NULL, due bigint NOT NULL, tries integer NOT NULL, attempts integer NOT NULL,
  cause text, order_key bytea, replayed boolean NOT NULL, payload bytea, first bytea,
  PRIMARY KEY(id, epoch, destination)) PARTITION BY RANGE(id);
CREATE INDEX delivery_dead ON delivery(destination, id) WHERE state = 2;

CREATE TABLE attempt(
  id bigint NOT NULL, epoch integer NOT NULL, destination text NOT NULL,
  number bigint NOT NULL, data bytea NOT NULL,
  PRIMARY KEY(id, epoch, destination, number)) PARTITION BY RANGE(id);

-- Deliveries that wait: the one table whose rows come and go.
CREATE TABLE waiting(
  id bigint NOT NULL, epoch integer NOT NULL, destination text NOT NULL,
  due bigint NOT NULL, tries integer NOT NULL, attempts integer NOT NULL,
  order_key bytea, behind boolean NOT NULL, replayed boolean NOT NULL, payload bytea,
  PRIMARY KEY(id, epoch, destination))
  WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX waiting_due ON waiting(destination, due, id, epoch) WHERE NOT behind;
CREATE INDEX waiting_key ON waiting(destination, order_key, id, epoch) WHERE order_key IS NOT NULL;
CREATE INDEX waiting_behind ON waiting(destination) WHERE behind;

CREATE TABLE dedupe(
  source text NOT NULL, key bytea NOT NULL, id bigint NOT NULL, epoch integer NOT NULL, expires bigint NOT NULL,
  PRIMARY KEY(source, key));
CREATE INDEX dedupe_expires ON dedupe(expires);

CREATE TABLE plugin_state(
  plugin text NOT NULL, key bytea NOT NULL, number bigint, bytes bytea, expires bigint,
  PRIMARY KEY(plugin, key));
CREATE INDEX plugin_state_expires ON plugin_state(expires) WHERE expires IS NOT NULL;

-- Destinations that have or had deliveries, and what is remembered of them.
CREATE TABLE destination(
  name text PRIMARY KEY, disabled text, paused bigint, failing bigint);

CREATE TABLE replay(
  id bigint PRIMARY KEY, created bigint NOT NULL, wanted text NOT NULL, state smallint NOT NULL,
  after_id bigint, after_number bigint, looked bigint NOT NULL, replayed bigint NOT NULL);
